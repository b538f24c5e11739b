//! Keeps the process of one slot alive, and replaces it by a newer one.
//!
//! ```text
//! start ─► ready ─► works ─► ended ─► pause ─► start
//!                     │        └─ for a reason that starting again does not cure: waits to be replaced
//!                     └─ replace: the new one is ready ─► the old one drains
//! ```

use std::{future::pending, io, net::TcpListener, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use twelve_core::{Exit, Lifecycle};

use super::{
    backoff::Backoff,
    child::{Child, Ended},
    formation::ProcessSlot,
    launch::Launch,
};

/// How long a new process may take until it is ready; then the old one goes on.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Asks a keeper to replace its process; the answer is what went wrong.
pub(super) type Replace = oneshot::Sender<Result<(), String>>;

/// What a keeper reports to its supervisor.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeeperEvent {
    /// A process is ready.
    Ready,
    /// A process ended, though nobody had asked it to.
    Crashed(Ended),
}

/// Keeps one process alive.
pub(super) struct Keeper {
    pub(super) slot: ProcessSlot,
    pub(super) launch: Arc<Launch>,
    /// It stays open while processes come and go, so that nobody who connects is refused.
    pub(super) listener: Option<Arc<TcpListener>>,
    pub(super) lifecycle: Lifecycle,
    pub(super) events: mpsc::UnboundedSender<(String, KeeperEvent)>,
}

impl Keeper {
    /// Keeps the process until the supervisor drains; tells how the last one ended.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Replace>) -> Exit {
        let mut backoff = Backoff::default();
        let mut leaving = JoinSet::new();
        let mut child = None;
        let mut start_at = Some(Instant::now());
        loop {
            tokio::select! {
                biased;
                () = self.lifecycle.draining() => break,
                Some(answer) = orders.recv() => {
                    let replaced = self.replacement().await.map(|new| {
                        start_at = None;
                        backoff = Backoff::default();
                        self.report(KeeperEvent::Ready);
                        if let Some(old) = child.replace(new) {
                            leaving.spawn(stop(old, self.launch.budget));
                        }
                    });
                    let _ = answer.send(replaced);
                }
                Some(ended) = leaving.join_next() => {
                    self.drained("the old process", ended);
                }
                (ended, worked) = self.watch(child.as_mut()) => {
                    child = None;
                    start_at = self.after(ended, worked, &mut backoff);
                }
                () = due(start_at) => {
                    start_at = None;
                    match self.start() {
                        Ok(started) => child = Some(started),
                        Err(error) => {
                            self.say(&format!("cannot be started: {error}"));
                            start_at = Some(Instant::now() + backoff.pause_after(None));
                        }
                    }
                }
            }
        }
        // From here on whoever connects shall be refused, once the process has closed its own: a reset would be worse.
        self.listener = None;
        let last = child.map(|child| tokio::spawn(stop(child, self.launch.budget)));
        while let Some(ended) = leaving.join_next().await {
            self.drained("the old process", ended);
        }
        match last {
            Some(last) => self.drained("it", last.await),
            None => Exit::Done,
        }
    }

    /// Says so when a process that was told to drain has not.
    fn drained(&self, who: &str, ended: Result<Ended, JoinError>) -> Exit {
        // A task of ours that panicked has said so itself.
        let (how, exit) = ended.map_or(("a panic".to_owned(), Exit::Failure), |ended| {
            (ended.to_string(), ended.exit())
        });
        if exit != Exit::Done {
            self.say(&format!("{who} did not drain: it ended with {how}"));
        }
        exit
    }

    /// Resolves when the process has ended; tells how, and for how long it had been ready.
    async fn watch(&self, child: Option<&mut Child>) -> (Ended, Option<Duration>) {
        let Some(child) = child else {
            return pending().await;
        };
        if child.worked().is_none() {
            if let Err(ended) = child.until_ready(&self.slot, &self.launch).await {
                return (ended, None);
            }
            self.report(KeeperEvent::Ready);
        }
        let ended = child.ended().await;
        (ended, child.worked())
    }

    /// When to start again, if that can help.
    fn after(
        &self,
        ended: Ended,
        worked: Option<Duration>,
        backoff: &mut Backoff,
    ) -> Option<Instant> {
        self.report(KeeperEvent::Crashed(ended));
        if ended.is_final() {
            self.say(&format!(
                "ended with {ended}: starting it again would not help"
            ));
            return None;
        }
        // Killed before its readiness was seen: no reason to take it for one that cannot start.
        let worked = worked.or(ended.was_killed().then_some(Duration::ZERO));
        let pause = backoff.pause_after(worked);
        self.say(&format!("ended with {ended}; starts again in {pause:.1?}"));
        Some(Instant::now() + pause)
    }

    /// A new process that is ready.
    async fn replacement(&self) -> Result<Child, String> {
        let mut new = self.start().map_err(|error| error.to_string())?;
        let failed = tokio::select! {
            biased;
            () = self.lifecycle.draining() => "the supervisor was told to stop".to_owned(),
            ready = timeout(READY_LIMIT, new.until_ready(&self.slot, &self.launch)) => match ready {
                Ok(Ok(())) => return Ok(new),
                Ok(Err(ended)) => return Err(format!("it ended with {ended}")),
                Err(_) => format!("it was not ready within {READY_LIMIT:?}"),
            },
        };
        new.stop(self.launch.budget).await;
        Err(failed)
    }

    fn start(&self) -> io::Result<Child> {
        let command = self.launch.process(&self.slot, self.listener.as_deref())?;
        Child::start(command, &self.slot.name, &self.launch.printer)
    }

    fn report(&self, event: KeeperEvent) {
        // A supervisor that is ending receives no more events.
        let _ = self.events.send((self.slot.name.clone(), event));
    }

    fn say(&self, text: &str) {
        self.launch.printer.say(&self.slot.name, text);
    }
}

async fn stop(mut child: Child, budget: Duration) -> Ended {
    child.stop(budget).await
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
