//! Clients that never stop asking, and what became of each request.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PROMISED, SOON};
use crate::harness::http::{Connection, Request};
use crate::harness::wait::until_true;

/// More than a process has connections to Redis.
pub(super) const CLIENTS: usize = 16;

/// Each client asks about a hundred times a second at most: the answers matter, not their number.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    client: usize,
    begun: Instant,
    ended: Instant,
    pub(super) status: u16,
}

impl Asked {
    pub(super) fn is(&self, client: usize, status: u16) -> bool {
        self.client == client && self.status == status
    }
}

#[derive(Debug)]
pub(super) struct Load {
    stop: watch::Sender<bool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    clients: JoinSet<()>,
}

impl Load {
    pub(super) fn start(port: u16, request: impl Fn(usize) -> Request) -> Self {
        let (stop, stopped) = watch::channel(false);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (stopped, asked) = (stopped.clone(), Arc::clone(&asked));
            let request = request(client);
            clients.spawn(async move {
                let mut connection = Connection::open(port).await.expect("connect");
                while !*stopped.borrow() {
                    let begun = Instant::now();
                    let answer = connection.ask(&request).await.expect("an answer");
                    let ended = Instant::now();
                    let status = answer.status;
                    if status == 503 {
                        assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
                    }
                    locked(&asked).push(Asked {
                        client,
                        begun,
                        ended,
                        status,
                    });
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self {
            stop,
            asked,
            clients,
        }
    }

    /// Waits for so many more requests that are served.
    pub(super) async fn until_served(&self, more: usize) {
        self.until(more, |asked| asked.status == 200).await;
    }

    /// Waits for so many more requests that are not.
    pub(super) async fn until_refused(&self, more: usize) {
        self.until(more, |asked| asked.status >= 500).await;
    }

    async fn until(&self, more: usize, counts: impl Fn(&Asked) -> bool) {
        let count = || {
            let asked = locked(&self.asked);
            asked.iter().filter(|asked| counts(asked)).count()
        };
        let before = count();
        until_true("the load", SOON, async || count() >= before + more).await;
    }

    /// Goes on until then.
    pub(super) async fn until_after(&self, moment: Instant) {
        tokio::time::sleep_until(moment.into()).await;
    }

    pub(super) async fn stop(mut self) -> Vec<Asked> {
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client has its answers");
        }
        std::mem::take(&mut *locked(&self.asked))
    }
}

fn locked(asked: &Mutex<Vec<Asked>>) -> MutexGuard<'_, Vec<Asked>> {
    asked.lock().expect("nobody panics while holding the list")
}

/// What a load shows of the moment from which everything should have worked.
#[derive(Debug)]
pub(super) struct Account {
    served: usize,
    unavailable: usize,
    other: usize,
    /// From that moment to the first request that was served.
    first_served: Option<Duration>,
    /// From that moment to the end of the last request that was not.
    last_refused: Duration,
}

impl Account {
    pub(super) fn of(asked: &[Asked], moment: Instant) -> Self {
        let count = |status: u16| asked.iter().filter(|asked| asked.status == status).count();
        let after = |instant: Instant| instant.saturating_duration_since(moment);
        let later = asked.iter().filter(|asked| asked.begun > moment);
        let served = later.filter(|asked| asked.status == 200);
        let refused = asked.iter().filter(|asked| asked.status != 200);
        Self {
            served: count(200),
            unavailable: count(503),
            other: asked.len() - count(200) - count(503),
            first_served: served.map(|asked| after(asked.ended)).min(),
            last_refused: refused
                .map(|asked| after(asked.ended))
                .max()
                .unwrap_or_default(),
        }
    }

    /// Nothing but 200 and 503, and nothing but 200 two seconds after that moment.
    pub(super) fn expect_promised(&self) {
        assert_eq!(self.other, 0, "{self}");
        assert!(self.unavailable > 0, "nothing was refused: {self}");
        assert!(self.first_served.is_some(), "{self}");
        assert!(self.last_refused < PROMISED, "{self}");
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            served,
            unavailable,
            other,
            first_served,
            last_refused,
        } = self;
        write!(
            formatter,
            "{served} times 200, {unavailable} times 503, {other} times something else; \
             served {first_served:?} after the switch, last refused {last_refused:?} after it"
        )
    }
}
