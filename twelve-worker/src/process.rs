//! The process type of a worker, and the same engine without a process, for tests.

use std::sync::Arc;
use twelve_core::{Context, Error, ProcessKind, ProcessType};

use crate::{
    Jobs, Queues, Registry,
    engine::{Ending, Engine, attempt},
};

/// How many attempts one [`drain`] makes: jobs that enqueue each other for ever must not hang a test.
const MAX_DRAINED: usize = 10_000;

/// A process type that runs jobs of these queues.
///
/// It needs what the handlers of jobs on these queues need.
#[must_use]
pub fn worker(name: impl Into<String>, queues: Queues, registry: Arc<Registry>) -> ProcessType {
    let mut needs = registry.needs(&queues);
    needs.add::<Jobs>();
    ProcessType::new(name, ProcessKind::Worker, needs, move |context| {
        let engine = Engine::new(context, Arc::clone(&registry), queues.clone());
        async move { Ok(engine?.run().await?) }
    })
}

/// What became of the attempts of a [`drain`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Jobs that are done.
    pub done: usize,
    /// Attempts that failed and have another one before them.
    pub retried: usize,
    /// Jobs that failed.
    pub failed: usize,
    /// Jobs that snoozed.
    pub snoozed: usize,
    /// Jobs that discarded themselves.
    pub discarded: usize,
    /// Jobs that were put back: no handler for their kind, or a backing service was unavailable.
    pub put_back: usize,
}

impl Drained {
    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.done + self.retried + self.failed + self.snoozed + self.discarded + self.put_back
    }

    fn count(&mut self, ending: Ending) {
        match ending {
            Ending::Done => self.done += 1,
            Ending::Retried => self.retried += 1,
            Ending::Failed => self.failed += 1,
            Ending::Snoozed => self.snoozed += 1,
            Ending::Discarded => self.discarded += 1,
            // A job that was taken back belongs to another worker, which counts it.
            Ending::Refused => {}
            Ending::PutBack => self.put_back += 1,
        }
    }
}

/// Runs every job that is due, one after the other, until none is: for tests.
///
/// What a job enqueues is run too; what is due later, such as the next attempt of a job that failed, is left.
///
/// # Errors
///
/// The store is unavailable, or the jobs do not come to an end.
pub async fn drain(context: &Context, registry: &Arc<Registry>) -> Result<Drained, Error> {
    let engine = Engine::new(context.clone(), Arc::clone(registry), Queues::all())?;
    engine.store.pulse().beat(&engine.profile()).await?;
    let drained = drain_all(&engine).await;
    engine.store.deregister(engine.worker).await?;
    drained
}

async fn drain_all(engine: &Engine) -> Result<Drained, Error> {
    let mut drained = Drained::default();
    loop {
        let jobs = engine.store.claim(engine.worker, &engine.queues, 1).await?;
        if jobs.is_empty() {
            return Ok(drained);
        }
        for job in jobs {
            let ending = attempt(engine, job).await;
            drained.count(ending);
        }
        if drained.attempts() >= MAX_DRAINED {
            let message = format!("jobs are still due after {MAX_DRAINED} attempts");
            return Err(Error::internal(message));
        }
    }
}
