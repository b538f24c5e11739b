//! The process type of a worker; and [`drain`], which runs the same engine without a process, for tests.

use std::sync::Arc;
use tokio::task::JoinSet;
use twelve_core::{Context, Error, ProcessKind, ProcessType};

use super::{Engine, end::Settled, heartbeat::Heartbeat, settings::Settings};
use crate::{enqueue::jobs::Jobs, handler::registry::Registry, job::queues::Queues};

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
        let engine = Settings::read(context.environment()).and_then(|settings| {
            let queues = settings.narrow(queues.clone())?;
            Engine::new(context, Arc::clone(&registry), queues, settings)
        });
        async move { Ok(engine?.run().await?) }
    })
    .reads::<Settings>()
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
    /// Jobs that were deferred: no handler for their kind, or a backing service was unavailable.
    pub deferred: usize,
}

impl Drained {
    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.done + self.retried + self.failed + self.snoozed + self.discarded + self.deferred
    }

    /// The same, when every attempt ended as its job wanted: done, snoozed or discarded.
    ///
    /// # Panics
    ///
    /// A job failed, was deferred, or has another attempt before it.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check alone is of use")]
    pub fn expect_done(self) -> Self {
        let amiss = self.retried + self.failed + self.deferred;
        assert_eq!(amiss, 0, "not all jobs are done: {self:?}");
        self
    }

    fn count(&mut self, settled: Settled) {
        match settled {
            Settled::Done => self.done += 1,
            Settled::Retried => self.retried += 1,
            Settled::Failed => self.failed += 1,
            Settled::Snoozed => self.snoozed += 1,
            Settled::Discarded | Settled::Cancelled => self.discarded += 1,
            // A job that was taken back belongs to another worker, which counts it.
            Settled::Refused => {}
            Settled::Deferred => self.deferred += 1,
        }
    }
}

/// Runs every job that is due on these queues, one after the other, until none is: for tests.
///
/// What a job enqueues is run too; what is due later, such as the next attempt of a job that failed, is left.
///
/// # Errors
///
/// The store is unavailable, or the jobs do not come to an end.
pub async fn drain(
    context: &Context,
    registry: &Arc<Registry>,
    queues: Queues,
) -> Result<Drained, Error> {
    let settings = Settings::read(context.environment())?;
    let engine = Engine::new(context.clone(), Arc::clone(registry), queues, settings)?;
    let engine = Arc::new(engine);
    // Only a registered worker can claim, so the first beat is written here.
    let mut writer = engine.store.heartbeat_writer();
    writer.beat(&engine.profile(), false).await?;
    let heartbeat = Heartbeat::start(&engine)?;
    let mut duties = JoinSet::new();
    engine.start_acker(&mut duties);
    let drained = drain_all(&engine).await;
    duties.shutdown().await;
    engine.leave(heartbeat).await;
    drained
}

async fn drain_all(engine: &Engine) -> Result<Drained, Error> {
    let mut drained = Drained::default();
    while let Some(settled) = engine.attempt_one().await? {
        drained.count(settled);
        if drained.attempts() >= MAX_DRAINED {
            let message = format!("jobs are still due after {MAX_DRAINED} attempts");
            return Err(Error::internal(message));
        }
    }
    Ok(drained)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "not all jobs are done: Drained { done: 1, retried: 1,")]
    fn an_attempt_that_failed_is_told_with_all_counts() {
        let mut drained = Drained::default();
        drained.count(Settled::Done);
        assert_eq!(drained.expect_done().done, 1);
        drained.count(Settled::Retried);
        drained.expect_done();
    }
}
