//! Wake-ups from producers to workers, at most one statement every 10 ms, however many jobs there are.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::Notify, time::sleep};
use twelve_core::{Context, Error, Tracker};

use crate::{engine::settings::Waking, store::Store};

/// The shortest time between two announcements of one process.
const PAUSE: Duration = Duration::from_millis(10);

/// Tells the worker in this process, if there is one, to look for jobs.
#[derive(Debug, Default)]
pub(crate) struct Hint {
    jobs: Notify,
    /// Something was paused or resumed.
    control: AtomicBool,
    cancelled: Notify,
}

impl Hint {
    pub(crate) fn of(context: &Context) -> Result<Arc<Self>, Error> {
        context.singleton(|| Ok(Self::default()))
    }

    /// Gives a hint. If no task waits for it, it is stored for the next that does.
    pub(crate) fn give(&self) {
        self.jobs.notify_one();
    }

    pub(crate) async fn given(&self) {
        self.jobs.notified().await;
    }

    /// Something was paused, resumed or cancelled.
    pub(crate) fn give_control(&self) {
        self.control.store(true, Ordering::Release);
        self.give();
        self.give_cancelled();
    }

    /// Was something paused or resumed since this was asked last?
    pub(crate) fn is_control(&self) -> bool {
        self.control.swap(false, Ordering::AcqRel)
    }

    /// There are cancellation requests for running jobs.
    pub(crate) fn give_cancelled(&self) {
        self.cancelled.notify_one();
    }

    pub(crate) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

/// Announces jobs to all workers: the first time at once, then at most every 10 ms.
#[derive(Clone)]
pub(crate) struct Waker {
    store: Arc<dyn Store>,
    local: Arc<Hint>,
    tracker: Tracker,
    pending: Arc<Mutex<Pending>>,
    /// Others find jobs by themselves.
    is_poll_only: bool,
}

#[derive(Default)]
struct Pending {
    queues: BTreeSet<String>,
    announcing: bool,
}

impl Waker {
    pub(crate) fn new(context: &Context, store: Arc<dyn Store>) -> Result<Self, Error> {
        Ok(Self {
            store,
            local: Hint::of(context)?,
            tracker: context.lifecycle().tracker().clone(),
            pending: Arc::default(),
            is_poll_only: Waking::read(context.environment())?.is_poll_only,
        })
    }

    /// Announces these queues soon. If that fails, polling finds the jobs.
    pub(crate) fn wake(&self, queues: Vec<String>) {
        if queues.is_empty() {
            return;
        }
        self.local.give();
        if self.is_poll_only {
            return;
        }
        // Without a runtime no task can announce it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut pending = lock(&self.pending);
        pending.queues.extend(queues);
        if !std::mem::replace(&mut pending.announcing, true) {
            // A command that has enqueued jobs waits for this before it closes its connections.
            let announcing = self.tracker.begin("waking the workers");
            let waker = self.clone();
            runtime.spawn(async move {
                waker.announce().await;
                drop(announcing);
            });
        }
    }

    async fn announce(self) {
        while let Some(queues) = self.next() {
            if let Err(error) = self.store.wake(&queues).await {
                tracing::debug!(%error, "workers were not woken: they find the jobs by themselves");
            }
            sleep(PAUSE).await;
        }
    }

    fn next(&self) -> Option<Vec<String>> {
        let mut pending = lock(&self.pending);
        let queues = std::mem::take(&mut pending.queues);
        pending.announcing = !queues.is_empty();
        pending.announcing.then(|| queues.into_iter().collect())
    }
}

/// A panic while the lock was held cannot leave the set half changed.
fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
