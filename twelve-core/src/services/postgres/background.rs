//! Background tasks of the pool, which outlive the caller that needed them.
//!
//! A runtime that ends drops its tasks, and another runtime may go on using the pool.
//! The drop may happen while the pool's lock is held, so it only counts; the next one to take the lock corrects the pool.

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

/// What a task does, and so what the pool counts for it until its end.
#[derive(Clone, Copy)]
pub(super) enum Duty {
    /// It holds the place of a connection.
    Settle,
    /// It is an attempt to open a connection.
    Open,
    Probe,
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

    /// The task has ended; the caller corrects the pool itself.
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
    /// Notified when a place may be free.
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

    /// Takes the counts.
    pub(super) fn take(&self, mut correct: impl FnMut(Duty, usize)) {
        for duty in [Duty::Settle, Duty::Open, Duty::Probe, Duty::Sweep] {
            let tasks = &self.tasks[duty as usize];
            if tasks.load(Relaxed) > 0 {
                correct(duty, tasks.swap(0, Relaxed));
            }
        }
    }
}
