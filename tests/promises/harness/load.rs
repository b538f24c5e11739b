//! Keep-alive clients that never stop asking, and account for every request.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::http::{Answer, Connection, Failure, Request};
use super::shop::{Customer, fresh_key};

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) result: Result<Answer, Failure>,
}

impl Asked {
    /// A client got what it asked for.
    pub(crate) fn is_served(&self) -> bool {
        self.result
            .as_ref()
            .is_ok_and(|answer| matches!(answer.status, 200 | 201))
    }
}

/// Clients that read products and place orders until they are told to stop.
#[derive(Debug)]
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    clients: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(port: u16, customer: &Customer, clients: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut running = JoinSet::new();
        for _ in 0..clients {
            running.spawn(client(
                port,
                customer.clone(),
                stopped.clone(),
                Arc::clone(&asked),
            ));
        }
        Self {
            stop,
            asked,
            clients: running,
        }
    }

    /// How many requests have come to an end.
    pub(crate) fn count(&self) -> usize {
        self.asked
            .lock()
            .expect("nobody panics while holding the list")
            .len()
    }

    /// Lets each client finish its request, and answers what became of all.
    pub(crate) async fn stop(mut self) -> Vec<Asked> {
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client does not panic");
        }
        std::mem::take(
            &mut *self
                .asked
                .lock()
                .expect("nobody panics while holding the list"),
        )
    }
}

/// One client: on one connection for as long as the server keeps it, on the
/// next when the server said `Connection: close`.
async fn client(
    port: u16,
    customer: Customer,
    stopped: watch::Receiver<bool>,
    asked: Arc<Mutex<Vec<Asked>>>,
) {
    let mut kept = None;
    for turn in 0_u64.. {
        if *stopped.borrow() {
            return;
        }
        let request = if turn % 4 == 0 {
            customer.order(&fresh_key())
        } else {
            Request::get("/products")
        };
        let at = Instant::now();
        let result = match ask_on(&mut kept, port, &request).await {
            Err(failure) => {
                kept = None;
                Err(failure)
            }
            Ok(answer) => {
                if answer.closes() {
                    kept = None;
                }
                Ok(answer)
            }
        };
        if result == Err(Failure::Refused) {
            // Else a dead server is asked as fast as the machine can.
            tokio::time::sleep(super::wait::POLL).await;
        }
        asked
            .lock()
            .expect("nobody panics while holding the list")
            .push(Asked { at, result });
    }
}

async fn ask_on(
    kept: &mut Option<Connection>,
    port: u16,
    request: &Request,
) -> Result<Answer, Failure> {
    if kept.is_none() {
        *kept = Some(Connection::open(port).await?);
    }
    kept.as_mut().expect("just opened").ask(request).await
}
