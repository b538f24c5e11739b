//! One attempt at one job.
//!
//! ```text
//! find handler ─► decode ─► gather arguments ─► run ─► end ─► ack ─► settle
//! ```

use futures_util::{FutureExt, future::BoxFuture};
use std::{mem::take, panic::AssertUnwindSafe, sync::LazyLock, time::Duration};
use tokio::{runtime::Handle, select, time::timeout};
use tracing::Instrument;
use twelve_core::{Blocking, Failure, FromContext, Run, panic_message};

use super::{
    Engine, acker,
    buffer::Job,
    end::{Attempted, End, Settled},
    in_flight::Stop,
};
use crate::{
    handler::{
        outcome::{Disposition, Outcome},
        registry::{NoOutcome, Registered},
        run::JobRun,
    },
    job::policy::Policy,
    store::model::Claimed,
};

/// Attempts a job, and records how that ended.
pub(super) async fn attempt(engine: &Engine, job: Job) -> Settled {
    let Job {
        claimed,
        lease_guard,
    } = job;
    let span = tracing::info_span!(
        "job",
        kind = claimed.kind,
        id = %claimed.lease.job,
        attempt = claimed.attempt(),
    );
    let name = format!("job {} {}", claimed.kind, claimed.lease.job);
    let tracked = engine.context.lifecycle().tracker().begin(name);
    async {
        select! {
            biased;
            (attempted, end) = run(engine, claimed) => {
                acker::settle(engine, &attempted, end, (lease_guard, tracked)).await
            }
            // The engine releases its lease.
            () = engine.in_flight.stopped() => Settled::Refused,
        }
    }
    .instrument(span)
    .await
}

/// Runs the handler of a job, if there is one, to its end.
async fn run(engine: &Engine, mut job: Claimed) -> (Attempted<'_>, End) {
    let Some(handler) = engine.registry.find(&job.kind) else {
        let process_type = &engine.context.identity().process_type;
        let kind = &job.kind;
        let end = format!("no handler for kind `{kind}` in worker `{process_type}`");
        return (Attempted::unstarted(job, &NO_POLICY), End::UnknownKind(end));
    };
    let policy = handler.policy();
    let stop = engine.in_flight.has_started(job.lease);
    if stop.token.is_cancelled() {
        let end = End::Cancelled(stop.reason());
        return (Attempted::unstarted(job, policy), end);
    }
    let kind = JobRun::new(&job, engine.worker, stop.token.clone());
    let steps = kind.steps().clone();
    let run = Run::new(engine.context.clone(), kind);
    let cell = run.tx_cell().clone();
    let payload = take(&mut job.payload);
    let running = call(handler, run, payload).await;
    let limit = policy.attempt_timeout();
    let end = guard(running, limit, &stop, handler.heeds_cancel()).await;
    let attempted = Attempted {
        cell: Some(cell),
        has_steps: !steps.lock().is_ok_and(|steps| steps.is_empty()),
        ..Attempted::unstarted(job, policy)
    };
    (attempted, end)
}

/// The policy for a kind without a handler; none of its values is used.
static NO_POLICY: LazyLock<Policy> = LazyLock::new(Policy::new);

type Running = BoxFuture<'static, Result<Outcome, NoOutcome>>;

/// The handler's future; it runs on a blocking thread if the kind's policy says so.
async fn call(handler: &Registered, run: Run<JobRun>, payload: String) -> Running {
    if !handler.policy().is_blocking() {
        return handler.call(run, payload);
    }
    let blocking = match Blocking::from_context(&run).await {
        Ok(blocking) => blocking,
        Err(error) => return Box::pin(async { Err(NoOutcome::Failed(error.into())) }),
    };
    let (runtime, running) = (Handle::current(), handler.call(run, payload));
    let running = running.in_current_span();
    Box::pin(async move {
        let work = blocking.run_cancellable(move |cancelled| {
            runtime.block_on(async {
                select! {
                    biased;
                    // Cancellation takes effect at the handler's next `await`.
                    () = cancelled.until_set() => Err(NoOutcome::Failed(Failure::new("nobody waits for it"))),
                    ended = running => ended,
                }
            })
        });
        let ended = work.await;
        ended.unwrap_or_else(|panicked| Err(NoOutcome::Failed(panicked.into())))
    })
}

/// Runs a handler up to its time limit, and catches its panics, so that it cannot stop the worker.
async fn guard(handler: Running, limit: Duration, stop: &Stop, heeds_cancel: bool) -> End {
    let mut handler = AssertUnwindSafe(handler).catch_unwind();
    let ended = select! {
        biased;
        ended = timeout(limit, &mut handler) => Some(ended),
        // A handler that takes `Cancel` ends by itself, within its time limit.
        () = stop.token.cancelled(), if !heeds_cancel => None,
    };
    // A handler that timed out is dropped here, and the drop of its values may panic.
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(handler)));
    let end = match (ended, dropped) {
        // A snooze would run the job again, but it was cancelled.
        (Some(Ok(Ok(Ok(Outcome(Disposition::Snooze(_)))))), _) if stop.token.is_cancelled() => {
            End::Failed(String::new())
        }
        (Some(Ok(Ok(Ok(outcome)))), _) => return End::Ok(outcome),
        (None, _) => End::Failed(String::new()),
        (Some(Ok(Ok(Err(why)))), _) => end_of(why),
        (Some(Ok(Err(panic))), _) => End::Panicked(format!(
            "panicked: {}",
            panic_message(&*panic).unwrap_or("without a message")
        )),
        (Some(Err(_)), Ok(())) => End::Failed(format!("took longer than {limit:?}")),
        (Some(Err(_)), Err(panic)) => End::Failed(format!(
            "took longer than {limit:?}, then panicked: {}",
            panic_message(&*panic).unwrap_or("without a message")
        )),
    };
    // A handler whose cancellation was requested counts as cancelled, unless it succeeded.
    if stop.token.is_cancelled() {
        return End::Cancelled(stop.reason());
    }
    end
}

fn end_of(why: NoOutcome) -> End {
    match why {
        NoOutcome::Undecodable(error) => {
            End::Undecodable(format!("the payload cannot be read: {error}"))
        }
        NoOutcome::Failed(failure) => End::of(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twelve_core::Error;

    async fn end(
        handler: impl Future<Output = Result<Outcome, NoOutcome>> + Send + 'static,
    ) -> End {
        let stop = Stop::default();
        guard(Box::pin(handler), Duration::from_millis(10), &stop, false).await
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let panicking = async { panic!("the kettle is dry") };
        assert!(
            matches!(end(panicking).await, End::Panicked(why) if why == "panicked: the kettle is dry")
        );
    }

    #[tokio::test]
    async fn a_handler_that_takes_too_long_is_cut_off() {
        let ended = end(std::future::pending()).await;
        assert!(matches!(ended, End::Failed(why) if why == "took longer than 10ms"));
    }

    #[tokio::test]
    async fn a_handler_that_panics_when_it_is_cut_off_is_caught() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        let ended = end(async {
            let _bomb = Bomb;
            std::future::pending().await
        });
        assert!(matches!(ended.await, End::Failed(why) if why.ends_with("then panicked: boom")));
    }

    #[tokio::test]
    async fn an_outage_is_told_from_a_mistake() {
        let down = end(async {
            Err(NoOutcome::Failed(
                Error::unavailable("Redis is down").into(),
            ))
        });
        assert!(matches!(down.await, End::Unavailable(_)));
        let wrong = end(async { Err(NoOutcome::Failed(Failure::new("no such order"))) });
        assert!(matches!(wrong.await, End::Failed(_)));
    }
}
