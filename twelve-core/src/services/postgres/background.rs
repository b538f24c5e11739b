//! Tasks of the pool that must not depend on whoever needed them.
//!
//! A runtime that ends drops its tasks, and is not always the last that uses the pool.
//! Whoever drops them may hold the pool's lock, so the books are corrected by the next one who has it.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::runtime::Handle;

use super::pool::Inner;

/// Runs a task; without a runtime the process is ending, and it is dropped.
pub(super) fn in_background(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task);
    }
}

/// What a task is there for, and takes out of the pool's books at its end.
#[derive(Clone, Copy)]
pub(super) enum Duty {
    /// It has a place.
    Settle,
    /// It is an attempt to open a connection.
    Open,
    Look,
    Sweep,
}

/// A task, for as long as it has not come to its end.
pub(super) struct Task {
    pool: Weak<Inner>,
    duty: Option<Duty>,
}

impl Task {
    pub(super) fn new(pool: &Arc<Inner>, duty: Duty) -> Self {
        Self {
            pool: Arc::downgrade(pool),
            duty: Some(duty),
        }
    }

    /// Nothing when nobody uses the pool any more.
    pub(super) fn pool(&self) -> Option<Arc<Inner>> {
        self.pool.upgrade()
    }

    /// It has come to its end, and whoever calls this enters what it has done.
    pub(super) fn done(mut self) {
        self.duty = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let (Some(duty), Some(pool)) = (self.duty, self.pool()) {
            pool.lose(duty);
        }
    }
}

/// How many tasks were dropped before their end, by their duty.
#[derive(Default)]
pub(super) struct Dropped([AtomicUsize; 4]);

impl Dropped {
    pub(super) fn add(&self, duty: Duty) {
        self.0[duty as usize].fetch_add(1, Relaxed);
    }

    /// Hands over what has come together.
    pub(super) fn take(&self, mut correct: impl FnMut(Duty, usize)) {
        for duty in [Duty::Settle, Duty::Open, Duty::Look, Duty::Sweep] {
            let tasks = &self.0[duty as usize];
            if tasks.load(Relaxed) > 0 {
                correct(duty, tasks.swap(0, Relaxed));
            }
        }
    }
}
