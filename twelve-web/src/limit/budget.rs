//! How many bytes of request bodies may be in memory at once: of one connection, and of the process.
//!
//! ```text
//! a body ─► its connection's share ─► the process's budget ─► reads ─► … answered: all of it is free again
//!               └─ waits, then 503 ◄──────┘
//! ```
//!
//! A body takes bytes before it reads them, so that none arrive which nobody has room for.
//! What it has taken stays taken until its request is answered: the handler has the bytes by then, or what it made of them.
//! Of a larger body, of which more than [`KEPT`] is read, only what is still alive counts: one that is read in passing may be of any size.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::Limits;

/// A part of the budget is only for so much of the beginning of each body: large ones that have taken the rest do not keep out small ones.
const FIRST: usize = 16 << 10;

/// So much of a body counts until its request is answered, whatever becomes of it.
const KEPT: usize = 2 << 20;

/// One connection may take a quarter of the budget, and so much is for the beginnings of bodies.
const PART: usize = 4;

/// The budget of a process.
#[derive(Debug)]
pub(super) struct Budget {
    firsts: Semaphore,
    rest: Semaphore,
    share: usize,
}

impl Budget {
    /// A budget of so many bytes, where a body may have `limit` of them.
    pub(super) fn new(bytes: usize, limit: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        let firsts = bytes / PART;
        // What its frames cost beside their bytes is some hundredths of it.
        let one_body = limit.saturating_add(limit / 16);
        Self {
            firsts: Semaphore::new(firsts),
            rest: Semaphore::new(bytes - firsts),
            share: (bytes / PART).max(one_body).min(bytes - firsts),
        }
    }
}

/// What the bodies of one connection may take.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<OfConnection>);

#[derive(Debug)]
struct OfConnection {
    limits: Limits,
    free: Semaphore,
}

impl Share {
    pub(super) fn of(limits: &Limits) -> Self {
        Self(Arc::new(OfConnection {
            limits: limits.clone(),
            free: Semaphore::new(limits.budget().share),
        }))
    }

    fn budget(&self) -> &Budget {
        self.0.limits.budget()
    }
}

/// What one body has taken; it is free again when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct Held(Arc<Hold>);

#[derive(Debug)]
struct Hold {
    share: Share,
    taken: Mutex<Taken>,
    /// Was the body read to its end? What is alive of it by then is in the handler's hands.
    is_read: AtomicBool,
}

#[derive(Debug, Default)]
struct Taken {
    first: usize,
    rest: usize,
}

/// Why a body cannot go on.
#[derive(Debug)]
pub(super) enum Full {
    /// Others have taken everything for too long.
    Busy,
    /// It would take more than one connection may have.
    TooLarge,
}

impl Held {
    pub(super) fn new(share: Share) -> Self {
        Self(Arc::new(Hold {
            share,
            taken: Mutex::default(),
            is_read: AtomicBool::new(false),
        }))
    }

    /// Takes so many bytes, if they are free.
    pub(super) fn try_take(&self, bytes: u32) -> bool {
        let hold = &*self.0;
        let budget = hold.share.budget();
        let Ok(connection) = hold.share.0.free.try_acquire_many(bytes) else {
            return false;
        };
        let mut taken = hold.taken();
        let is_first = taken.first < FIRST;
        if is_first && let Ok(process) = budget.firsts.try_acquire_many(bytes) {
            taken.first += keep(connection, process);
        } else if let Ok(process) = budget.rest.try_acquire_many(bytes) {
            taken.rest += keep(connection, process);
        } else {
            return false;
        }
        true
    }

    /// Takes so many bytes, as soon as they are free.
    pub(super) async fn take(self, bytes: u32, patience: Duration) -> Result<(), Full> {
        let hold = &*self.0;
        let budget = hold.share.budget();
        if hold.taken().total() + bytes as usize > budget.share {
            return Err(Full::TooLarge);
        }
        let taking = timeout(patience, async {
            let connection = hold.share.0.free.acquire_many(bytes).await;
            let is_first = hold.taken().first < FIRST;
            let part = if is_first {
                &budget.firsts
            } else {
                &budget.rest
            };
            let process = part.acquire_many(bytes).await;
            // Nobody closes them.
            let (Ok(connection), Ok(process)) = (connection, process) else {
                return;
            };
            let count = keep(connection, process);
            let mut taken = hold.taken();
            if is_first {
                taken.first += count;
            } else {
                taken.rest += count;
            }
        });
        taking.await.map_err(|_| Full::Busy)
    }

    /// Gives so many bytes back.
    pub(super) fn give_back(&self, bytes: usize) {
        let mut taken = self.0.taken();
        self.0.free(&mut taken, bytes);
    }

    /// A piece of the body is gone that had cost so much.
    pub(super) fn piece_gone(&self, cost: usize) {
        let mut taken = self.0.taken();
        if !self.0.is_read.load(Ordering::Relaxed) && taken.total() >= KEPT + cost {
            self.0.free(&mut taken, cost);
        }
    }

    /// The body was read to its end.
    pub(super) fn read_whole(&self) {
        self.0.is_read.store(true, Ordering::Relaxed);
    }

    /// Is so much read that pieces count only as long as they are alive?
    pub(super) fn is_long(&self) -> bool {
        self.0.taken().total() > KEPT
    }
}

impl Hold {
    fn free(&self, taken: &mut Taken, bytes: usize) {
        let rest = bytes.min(taken.rest);
        let first = (bytes - rest).min(taken.first);
        taken.rest -= rest;
        taken.first -= first;
        let budget = self.share.budget();
        budget.rest.add_permits(rest);
        budget.firsts.add_permits(first);
        self.share.0.free.add_permits(rest + first);
    }

    /// Nobody panics while holding it.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn total(&self) -> usize {
        self.first + self.rest
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut taken = std::mem::take(&mut *self.taken());
        let all = taken.total();
        self.free(&mut taken, all);
    }
}

/// Keeps both, to be given back by number.
fn keep(connection: SemaphorePermit<'_>, process: SemaphorePermit<'_>) -> usize {
    let count = process.num_permits();
    connection.forget();
    process.forget();
    count
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "other bodies took the whole TWELVE_BODY_BUDGET for 2 s",
            Self::TooLarge => "the body takes more of TWELVE_BODY_BUDGET than one connection may",
        })
    }
}

impl Error for Full {}
