//! A bounded number of connections, of which those of one age are given up together.
//!
//! ```text
//! take ─► a permit ─► an idle one that answers ──────────────────► lent ─► idle again
//!                       └─ none: open one ────────────────────────►  │       └─ unless given up
//!                            └─ failed: wait in line for one ◄───────┘
//!                               that comes back, if there are any
//! ```
//!
//! Nothing here takes longer than [`CONNECT`] in all.

use redis::{
    Client, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{CONNECT, answer::Blame, timeouts};
use crate::error::{Error, is_out_of_descriptors};

/// How long an idle connection may take to prove that it is there: half of [`CONNECT`], so that there is time to open another.
const PROOF: Duration = CONNECT.checked_div(2).unwrap();

pub(crate) struct Pool {
    client: Client,
    permits: Arc<Semaphore>,
    shelf: Mutex<Shelf>,
    /// Has one clone in each connection, wherever that is.
    alive: Arc<()>,
    /// What was opened before this moment is not used again.
    given_up: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct Shelf {
    /// The one that was used last comes first, so that the others may stay quiet.
    idle: Vec<Opened>,
    /// Those who could not connect, in their order. Each has a permit, so there are no more of them than permits.
    waiting: VecDeque<oneshot::Sender<Opened>>,
}

/// Clones of it are the same connection.
#[derive(Clone)]
struct Opened {
    connection: MultiplexedConnection,
    /// When its opening began: where the address led by then.
    since: Instant,
    /// Was a command given up whose answer is still to come? The server may be blocked by it for long.
    is_owed: bool,
    _alive: Arc<()>,
}

/// A connection that somebody has; it comes back when this is dropped.
pub(super) struct Lent {
    opened: Opened,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(client: Client, size: usize) -> Self {
        Self {
            client,
            permits: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            shelf: Mutex::default(),
            alive: Arc::default(),
            given_up: watch::Sender::new(None),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn take(self: &Arc<Self>) -> Result<Lent, Error> {
        let deadline = Instant::now() + CONNECT;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let busy = "every connection to Redis was busy for 2 s";
            return Err(Error::unavailable(busy));
        };
        loop {
            while let Some(mut opened) = self.next_idle() {
                if timeout_at(deadline, self.is_usable(&mut opened)).await == Ok(true) {
                    return Ok(self.lend(opened, permit));
                }
            }
            let unreachable = match timeout_at(deadline, self.open()).await {
                Ok(Ok(opened)) => return Ok(self.lend(opened, permit)),
                Ok(Err(error)) if is_out_of_descriptors(&error) => {
                    Error::unavailable("this process has no file descriptor left to reach Redis with: raise its limit of open files").because(error)
                }
                Ok(Err(error)) => Error::unavailable("Redis cannot be reached").because(error),
                Err(elapsed) => Error::unavailable("Redis cannot be reached").because(elapsed),
            };
            // A server that takes no more connections, or another password by now, still serves those that there are.
            let Some(coming) = self.line_up() else {
                return Err(unreachable);
            };
            match timeout_at(deadline, coming).await {
                Ok(Ok(mut opened)) => {
                    if timeout_at(deadline, self.is_usable(&mut opened)).await == Ok(true) {
                        return Ok(self.lend(opened, permit));
                    }
                }
                // One has come back that is of no use.
                Ok(Err(_)) => {}
                Err(_) => return Err(unreachable),
            }
        }
    }

    async fn open(&self) -> RedisResult<Opened> {
        let since = Instant::now();
        let timeouts = timeouts();
        let opening = self
            .client
            .get_multiplexed_async_connection_with_config(&timeouts);
        Ok(Opened {
            connection: opening.await?,
            since,
            is_owed: false,
            _alive: Arc::clone(&self.alive),
        })
    }

    fn next_idle(&self) -> Option<Opened> {
        self.shelf().idle.pop()
    }

    /// Any answer proves that the server is there, and UNWATCH frees the next transaction from what the one before has watched.
    async fn is_usable(&self, opened: &mut Opened) -> bool {
        if self.is_given_up(opened) {
            return false;
        }
        let unwatch = redis::cmd("UNWATCH");
        let asking = opened.connection.req_packed_command(&unwatch);
        if let Ok(answer) = timeout(PROOF, asking).await {
            return answer.is_ok();
        }
        // A host that is gone says nothing on any connection, and to find that out of each would take too long.
        self.give_up(opened.since, Duration::ZERO, "no answer");
        false
    }

    fn lend(self: &Arc<Self>, opened: Opened, permit: OwnedSemaphorePermit) -> Lent {
        Lent {
            opened,
            pool: Arc::clone(self),
            _permit: permit,
        }
    }

    /// The next connection that comes back, if there is any at all.
    fn line_up(&self) -> Option<oneshot::Receiver<Opened>> {
        let mut now = self.shelf();
        if Arc::strong_count(&self.alive) == 1 {
            return None;
        }
        now.waiting.retain(|waiting| !waiting.is_closed());
        let (sender, receiver) = oneshot::channel();
        now.waiting.push_back(sender);
        // One may have come back since the shelf was looked at.
        if let Some(opened) = now.idle.pop() {
            now.hand_on(opened);
        }
        Some(receiver)
    }

    /// Gives up all connections that are there by now, unless the one that was `opened` then is given up already, or others were less than `pace` ago.
    pub(crate) fn give_up(&self, opened: Instant, pace: Duration, why: &str) {
        let is_news = self.given_up.send_if_modified(|given_up| {
            let now = Instant::now();
            let is_due = given_up.is_none_or(|last| opened > last && now - last >= pace);
            if is_due {
                *given_up = Some(now);
            }
            is_due
        });
        if is_news {
            tracing::warn!(
                why,
                "the connections to Redis are given up, others will be opened"
            );
        }
    }

    /// Ends when what was opened at that moment is given up.
    pub(crate) async fn until_given_up(&self, opened: Instant) {
        let mut given_up = self.given_up.subscribe();
        // The sender lives as long as this.
        let _ = given_up
            .wait_for(|given_up| given_up.is_some_and(|moment| opened <= moment))
            .await;
    }

    fn is_given_up(&self, opened: &Opened) -> bool {
        self.given_up
            .borrow()
            .is_some_and(|moment| opened.since <= moment)
    }

    /// Nobody panics while holding it.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// To the one who waits longest, else to whoever comes next.
    fn hand_on(&mut self, mut opened: Opened) {
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting.send(opened) {
                Ok(()) => return,
                // That one waits no more.
                Err(back) => opened = back,
            }
        }
        self.idle.push(opened);
    }
}

impl Lent {
    /// The connection, for one command; [`hear`](Self::hear) is told what became of it.
    pub(super) fn ask(&mut self) -> &mut MultiplexedConnection {
        self.opened.is_owed = true;
        &mut self.opened.connection
    }

    pub(super) fn hear(&mut self, answers: Result<&[Value], &RedisError>) {
        self.opened.is_owed = answers.is_err_and(RedisError::is_timeout);
        if let Some(Blame { pace, code }) = Blame::of(answers) {
            self.pool.give_up(self.opened.since, pace, code);
        }
    }

    pub(super) fn database(&self) -> i64 {
        self.opened.connection.get_db()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let is_good = !self.opened.is_owed && !self.pool.is_given_up(&self.opened);
        let mut now = self.pool.shelf();
        if is_good {
            now.hand_on(self.opened.clone());
        } else {
            // Who waits longest tries to open another one in its place.
            drop(now.waiting.pop_front());
        }
    }
}
