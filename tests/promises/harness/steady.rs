//! Clients at a steady rate, which repeat what has a key until it is answered, and account for every request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::http::{Answer, Connection, Failure, Request};
use super::wait::until_true;

/// How long a request with a key is repeated once the load was told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) request: Request,
    pub(crate) result: Result<Answer, Failure>,
}

impl Sent {
    /// Nothing when there was no answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().map(|answer| answer.status)
    }

    pub(crate) fn is_served(&self) -> bool {
        matches!(self.status(), Some(200 | 201))
    }

    /// Would a client that can repeat it do so?
    fn is_open(&self) -> bool {
        let again = matches!(self.status(), None | Some(409 | 503));
        again && self.request.has_key()
    }
}

/// Everything that was sent.
#[derive(Debug)]
pub(crate) struct Account(pub(crate) Vec<Sent>);

impl Account {
    /// Those that were not served, but for the ones that `is_expected` knows.
    pub(crate) fn expect_served(&self, is_expected: impl Fn(&Sent) -> bool) {
        let unexpected = |sent: &&Sent| !sent.is_served() && !is_expected(sent);
        let mut failed = self.0.iter().filter(unexpected).peekable();
        if let Some(first) = failed.peek() {
            let Request { method, target, .. } = &first.request;
            let answer = match &first.result {
                Ok(answer) => answer.to_string(),
                Err(failure) => format!("{failure:?}"),
            };
            let all = self.0.len();
            panic!(
                "{} of {all} failed, first {method} {target}: {answer}",
                failed.count()
            );
        }
    }

    /// The bodies' names of those that were acknowledged at `target`, each once.
    pub(crate) fn acknowledged(&self, target: &str) -> Vec<String> {
        let served = self.0.iter().filter(|sent| sent.is_served());
        let names = served.filter_map(|sent| sent.request.named_at(target));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.dedup();
        names
    }
}

/// How often which answer came, by target.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
        for sent in &self.0 {
            let answer = match &sent.result {
                Ok(answer) => answer.status.to_string(),
                Err(failure) => format!("{failure:?}"),
            };
            let Request { method, target, .. } = &sent.request;
            *counts.entry((target, method, answer)).or_default() += 1;
        }
        for ((target, method, answer), count) in counts {
            writeln!(f, "{method:<5} {target:<28} {answer:<14} {count:>6}")?;
        }
        Ok(())
    }
}

/// Clients that ask until they are told to stop.
#[derive(Debug)]
pub(crate) struct Steady {
    stop: watch::Sender<bool>,
    sent: Arc<Mutex<Vec<Sent>>>,
    clients: JoinSet<()>,
}

impl Steady {
    /// So many requests a second by so many clients, which take the ports in turn; `next` makes the one with a number.
    pub(crate) fn start<F>(ports: &[u16], clients: usize, per_second: u32, next: F) -> Self
    where
        F: Fn(usize) -> Request + Clone + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let sent = Arc::default();
        let mut running = JoinSet::new();
        for first in 0..clients {
            let client = Client {
                ports: ports.to_vec(),
                pace: Duration::from_secs(1) * u32::try_from(clients).expect("few") / per_second,
                stopped: stopped.clone(),
                sent: Arc::clone(&sent),
            };
            let next = next.clone();
            running.spawn(client.run(move |turn| next(first + turn * clients)));
        }
        Self {
            stop,
            sent,
            clients: running,
        }
    }

    /// Waits until so many more have been answered, whatever the answer.
    pub(crate) async fn until_more(&self, count: usize) {
        let before = lock(&self.sent).len();
        until_true("more requests", Duration::from_mins(1), async || {
            lock(&self.sent).len() >= before + count
        })
        .await;
    }

    /// Waits until `is_seen` knows one of what was sent from now on.
    pub(crate) async fn until_seen(&self, what: &str, is_seen: impl Fn(&Sent) -> bool) {
        let before = lock(&self.sent).len();
        until_true(what, Duration::from_secs(20), async || {
            lock(&self.sent)[before..].iter().any(&is_seen)
        })
        .await;
    }

    /// Lets each client come to an end with its request, and answers what became of all.
    pub(crate) async fn stop(mut self) -> Account {
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client does not panic");
        }
        Account(std::mem::take(&mut *lock(&self.sent)))
    }
}

struct Client {
    ports: Vec<u16>,
    pace: Duration,
    stopped: watch::Receiver<bool>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Client {
    async fn run(mut self, next: impl Fn(usize) -> Request) {
        let mut kept: Vec<_> = self.ports.iter().map(|_| None).collect();
        let mut pace = interval(self.pace);
        // One that fell behind goes on at the pace, and does not make up for it in one go.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped_at = None;
        let mut turn = 0;
        let mut open = None;
        loop {
            pace.tick().await;
            if stopped_at.is_none() && *self.stopped.borrow_and_update() {
                stopped_at = Some(Instant::now());
            }
            let is_over = stopped_at.is_some_and(|at: Instant| at.elapsed() > PATIENCE);
            if is_over || (stopped_at.is_some() && open.is_none()) {
                return;
            }
            let mut request = None;
            if stopped_at.is_none() {
                turn += 1;
                request = Some(next(turn - 1));
            }
            // One that is repeated takes the turns of those with a key alone, or all would be repeating while writes are refused.
            if request.as_ref().is_none_or(Request::has_key) {
                request = open.take().or(request);
            }
            let Some(request) = request else { continue };
            // One that is repeated goes to another process.
            let process = fastrand::usize(..self.ports.len());
            let sent = ask_on(&mut kept[process], self.ports[process], request).await;
            if sent.is_open() {
                open = Some(sent.request.clone());
            }
            lock(&self.sent).push(sent);
        }
    }
}

async fn ask_on(kept: &mut Option<Connection>, port: u16, request: Request) -> Sent {
    let at = Instant::now();
    let asking = async {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(port).await?,
        };
        let answer = connection.ask(&request).await?;
        if !answer.closes() {
            *kept = Some(connection);
        }
        Ok(answer)
    };
    let result = asking.await;
    Sent {
        at,
        request,
        result,
    }
}

fn lock(sent: &Mutex<Vec<Sent>>) -> std::sync::MutexGuard<'_, Vec<Sent>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
