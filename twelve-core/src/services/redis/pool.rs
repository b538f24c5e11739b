//! A bounded number of connections; when the server changes, all that were opened before are discarded together.
//!
//! ```text
//! acquire ─► a permit ─► an idle one that answers ─────────► checked out ─► idle again
//!                          └─ none: open one ───────────────►     │           └─ unless discarded
//!                               └─ failed: wait for one that ◄────┘
//!                                  is released, if there are any
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

use super::{CONNECT, answer::ServerFault, timeouts};
use crate::error::{Error, is_out_of_descriptors};

/// How long the test of an idle connection may take: half of [`CONNECT`], so that there is time to open another.
const TEST: Duration = CONNECT.checked_div(2).unwrap();

pub(crate) struct Pool {
    client: Client,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    /// Counts the connections: each holds a clone.
    alive: Arc<()>,
    /// Connections opened before this moment are not used again.
    discarded: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct State {
    /// Last in, first out, so that the others may stay idle.
    idle: Vec<Opened>,
    /// Callers that could not connect, first come, first served. Each holds a permit, which bounds their number.
    waiters: VecDeque<oneshot::Sender<Opened>>,
}

/// Clones share one connection.
#[derive(Clone)]
struct Opened {
    connection: MultiplexedConnection,
    /// When its opening began, and so when the address was resolved.
    since: Instant,
    /// Is the answer to an abandoned command pending? The command may block the server for long.
    is_pending: bool,
    _alive: Arc<()>,
}

/// A connection that is checked out; the drop of this releases it.
pub(super) struct CheckedOut {
    opened: Opened,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(client: Client, size: usize) -> Self {
        Self {
            client,
            permits: Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS))),
            state: Mutex::default(),
            alive: Arc::default(),
            discarded: watch::Sender::new(None),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn acquire(self: &Arc<Self>) -> Result<CheckedOut, Error> {
        let deadline = Instant::now() + CONNECT;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let busy = "every connection to Redis was busy for 2 s";
            return Err(Error::unavailable(busy));
        };
        loop {
            while let Some(mut opened) = self.next_idle() {
                if timeout_at(deadline, self.is_usable(&mut opened)).await == Ok(true) {
                    return Ok(self.check_out(opened, permit));
                }
            }
            let unreachable = match timeout_at(deadline, self.open()).await {
                Ok(Ok(opened)) => return Ok(self.check_out(opened, permit)),
                Ok(Err(error)) if is_out_of_descriptors(&error) => {
                    Error::unavailable("this process has no file descriptor left to reach Redis with: raise its limit of open files").with_source(error)
                }
                Ok(Err(error)) => Error::unavailable("Redis cannot be reached").with_source(error),
                Err(elapsed) => Error::unavailable("Redis cannot be reached").with_source(elapsed),
            };
            // A server that accepts no more connections, or has a new password by now, still serves the open ones.
            let Some(coming) = self.join_waiters() else {
                return Err(unreachable);
            };
            match timeout_at(deadline, coming).await {
                Ok(Ok(mut opened)) => {
                    if timeout_at(deadline, self.is_usable(&mut opened)).await == Ok(true) {
                        return Ok(self.check_out(opened, permit));
                    }
                }
                // One was released that is of no use.
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
            is_pending: false,
            _alive: Arc::clone(&self.alive),
        })
    }

    fn next_idle(&self) -> Option<Opened> {
        self.state().idle.pop()
    }

    /// Any answer proves that the server is alive. UNWATCH also removes what an earlier user of the connection has watched.
    async fn is_usable(&self, opened: &mut Opened) -> bool {
        if self.is_discarded(opened) {
            return false;
        }
        let unwatch = redis::cmd("UNWATCH");
        let asking = opened.connection.req_packed_command(&unwatch);
        if let Ok(answer) = timeout(TEST, asking).await {
            return answer.is_ok();
        }
        // A host that is gone answers on no connection, and testing each of them would take too long.
        self.discard_all(opened.since, Duration::ZERO, "no answer");
        false
    }

    fn check_out(self: &Arc<Self>, opened: Opened, permit: OwnedSemaphorePermit) -> CheckedOut {
        CheckedOut {
            opened,
            pool: Arc::clone(self),
            _permit: permit,
        }
    }

    /// The next connection that is released, if there is any at all.
    fn join_waiters(&self) -> Option<oneshot::Receiver<Opened>> {
        let mut state = self.state();
        if Arc::strong_count(&self.alive) == 1 {
            return None;
        }
        state.waiters.retain(|waiting| !waiting.is_closed());
        let (sender, receiver) = oneshot::channel();
        state.waiters.push_back(sender);
        // One may have been released in the meantime.
        if let Some(opened) = state.idle.pop() {
            state.release(opened);
        }
        Some(receiver)
    }

    /// Discards all connections opened before now.
    ///
    /// It does nothing when the one `opened` at that time is discarded already, or when others were discarded less than `pace` ago.
    pub(crate) fn discard_all(&self, opened: Instant, pace: Duration, why: &str) {
        let is_news = self.discarded.send_if_modified(|discarded| {
            let now = Instant::now();
            let is_due = discarded.is_none_or(|last| opened > last && now - last >= pace);
            if is_due {
                *discarded = Some(now);
            }
            is_due
        });
        if is_news {
            tracing::warn!(
                why,
                "the connections to Redis are discarded, others will be opened"
            );
        }
    }

    /// Resolves when connections opened at that moment are discarded.
    pub(crate) async fn until_discarded(&self, opened: Instant) {
        let mut discarded = self.discarded.subscribe();
        // The sender lives as long as this.
        let _ = discarded
            .wait_for(|discarded| discarded.is_some_and(|moment| opened <= moment))
            .await;
    }

    fn is_discarded(&self, opened: &Opened) -> bool {
        self.discarded
            .borrow()
            .is_some_and(|moment| opened.since <= moment)
    }

    /// No code panics while it holds this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// To the first waiter, else to the idle ones.
    fn release(&mut self, mut opened: Opened) {
        while let Some(waiting) = self.waiters.pop_front() {
            match waiting.send(opened) {
                Ok(()) => return,
                // This waiter has left.
                Err(back) => opened = back,
            }
        }
        self.idle.push(opened);
    }
}

impl CheckedOut {
    /// The raw connection, for one command, whose result is to be passed to [`inspect`](Self::inspect).
    pub(super) fn raw(&mut self) -> &mut MultiplexedConnection {
        self.opened.is_pending = true;
        &mut self.opened.connection
    }

    pub(super) fn inspect(&mut self, answers: Result<&[Value], &RedisError>) {
        self.opened.is_pending = answers.is_err_and(RedisError::is_timeout);
        if let Some(ServerFault { pace, code }) = ServerFault::of(answers) {
            self.pool.discard_all(self.opened.since, pace, code);
        }
    }

    pub(super) fn database(&self) -> i64 {
        self.opened.connection.get_db()
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        let is_good = !self.opened.is_pending && !self.pool.is_discarded(&self.opened);
        let mut state = self.pool.state();
        if is_good {
            state.release(self.opened.clone());
        } else {
            // The first waiter is woken, and tries to open another one in its place.
            drop(state.waiters.pop_front());
        }
    }
}
