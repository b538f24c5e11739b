//! Tasks of the pool that must not depend on whoever needed them.
//!
//! A runtime that ends drops its tasks, and is not always the last that uses the pool.
//! Whoever drops them may hold the pool's lock, so the books are corrected by the next one who has it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{runtime::Handle, sync::Notify};

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
    dropped: Arc<Dropped>,
    duty: Option<Duty>,
}

impl Task {
    pub(super) fn new(dropped: &Arc<Dropped>, duty: Duty) -> Self {
        Self {
            dropped: Arc::clone(dropped),
            duty: Some(duty),
        }
    }

    /// It has come to its end, and whoever calls this enters what it has done.
    pub(super) fn done(mut self) {
        self.duty = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(duty) = self.duty {
            self.dropped.add(duty);
        }
    }
}

/// How many tasks were dropped before their end, by their duty.
pub(super) struct Dropped {
    tasks: [AtomicUsize; 4],
    /// Tells whoever waits for places that some may be free.
    freed: Arc<Notify>,
}

impl Dropped {
    pub(super) fn new(freed: &Arc<Notify>) -> Self {
        Self {
            tasks: Default::default(),
            freed: Arc::clone(freed),
        }
    }

    fn add(&self, duty: Duty) {
        self.tasks[duty as usize].fetch_add(1, Relaxed);
        self.freed.notify_waiters();
    }

    /// Hands over what has come together.
    pub(super) fn take(&self, mut correct: impl FnMut(Duty, usize)) {
        for duty in [Duty::Settle, Duty::Open, Duty::Look, Duty::Sweep] {
            let tasks = &self.tasks[duty as usize];
            if tasks.load(Relaxed) > 0 {
                correct(duty, tasks.swap(0, Relaxed));
            }
        }
    }
}
