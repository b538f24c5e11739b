//! One attempt at one job.
//!
//! ```text
//! find handler ─► decode ─► gather arguments ─► run ─► end ─► ack ─► settle
//! ```
//!
//! Every way in which an attempt can end is one [`End`], and every end is one [`Ack`].

use futures_util::{FutureExt, future::BoxFuture};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::{runtime::Handle, select, time::timeout};
use tracing::Instrument;
use twelve_core::{Blocking, Failure, FromContext, Run, panic_message};

use super::{
    Engine,
    acker::{self, Attempted},
    buffer::Job,
    held::Stop,
};
use crate::{
    JobRun, Outcome, Policy,
    outcome::Wish,
    registry::{NoOutcome, Registered},
    store::{Ack, Cause, Evidence, Retention},
};

/// How often in a row an attempt is put off because a backing service is unavailable; then it counts as failed.
///
/// An outage is nobody's fault, so it spends no attempt; but a handler that always calls something "unavailable" must come to an end.
const MAX_DEFERRALS: u32 = 10;

/// The longest pause after an attempt that was put off: ten of them take about three minutes.
const LONGEST_DEFERRAL: Duration = Duration::from_secs(30);

/// How long a job whose kind has no handler is put back: a worker of the next release may know it.
const UNKNOWN_KIND_PAUSE: Duration = Duration::from_secs(30);

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// The handler returned `Ok`.
    Ok(Outcome),
    /// The handler, an argument or the commit failed; or it took too long.
    Failed(String),
    /// The same, and it said after which time to try again.
    Busy(String, Duration),
    /// The handler panicked.
    Panicked(String),
    /// A backing service was unavailable.
    Unavailable(String),
    /// The payload is not what the handler takes.
    Undecodable(String),
    /// Nobody registered the kind.
    UnknownKind(String),
    /// Somebody wanted it to be stopped.
    Cancelled(String),
}

/// What was recorded of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Done,
    Discarded,
    Cancelled,
    Snoozed,
    Retried,
    Failed,
    PutBack,
    /// Nothing: the job belongs to somebody else.
    Refused,
}

/// Attempts a job, and records how that ended.
pub(super) async fn attempt(engine: &Engine, job: Job) -> Settled {
    let Job {
        mut claimed,
        holding,
    } = job;
    let span = tracing::info_span!(
        "job",
        kind = claimed.kind,
        id = %claimed.lease.job,
        attempt = claimed.attempt(),
    );
    let name = format!("job {} {}", claimed.kind, claimed.lease.job);
    let held = (holding, engine.context.lifecycle().tracker().begin(name));
    async {
        let Some(handler) = engine.registry.find(&claimed.kind) else {
            let process_type = &engine.context.identity().process_type;
            let end = format!(
                "no handler for kind `{}` in worker `{process_type}`",
                claimed.kind
            );
            let attempted = Attempted {
                job: &claimed,
                slot: None,
                policy: &Policy::new(),
                has_steps: false,
            };
            return acker::settle(engine, attempted, held, End::UnknownKind(end)).await;
        };
        let stop = engine.held.has_started(claimed.lease);
        if stop.token.is_cancelled() {
            let attempted = Attempted {
                job: &claimed,
                slot: None,
                policy: handler.policy(),
                has_steps: false,
            };
            return acker::settle(engine, attempted, held, End::Cancelled(stop.reason())).await;
        }
        let run = Run::new(
            engine.context.clone(),
            JobRun::new(&claimed, engine.worker, stop.token.clone()),
        );
        let slot = run.tx_cell().clone();
        let steps = run.kind().steps().clone();
        let payload = std::mem::take(&mut claimed.payload);
        let running = call(handler, run, payload).await;
        let end = select! {
            biased;
            end = guard(running, handler.policy().attempt_timeout(), &stop, handler.heeds_cancel()) => end,
            // It is handed back.
            () = engine.held.stopped() => return Settled::Refused,
        };
        let attempted = Attempted {
            job: &claimed,
            slot: Some(&slot),
            policy: handler.policy(),
            has_steps: !steps.lock().is_ok_and(|steps| steps.is_empty()),
        };
        acker::settle(engine, attempted, held, end).await
    }
    .instrument(span)
    .await
}

type Running = BoxFuture<'static, Result<Outcome, NoOutcome>>;

/// The handler's future, on a thread where it may compute if its kind says so.
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
                    // It gets no further than its next await.
                    () = cancelled.until_set() => Err(NoOutcome::Failed(Failure::new("nobody waits for it"))),
                    ended = running => ended,
                }
            })
        });
        let ended = work.await;
        ended.unwrap_or_else(|panicked| Err(NoOutcome::Failed(panicked.into())))
    })
}

/// Runs a handler, but not for too long; nothing that it does stops the worker.
async fn guard(handler: Running, limit: Duration, stop: &Stop, heeds_cancel: bool) -> End {
    let mut handler = AssertUnwindSafe(handler).catch_unwind();
    let ended = select! {
        biased;
        ended = timeout(limit, &mut handler) => Some(ended),
        // One that listens ends by itself, within its time.
        () = stop.token.cancelled(), if !heeds_cancel => None,
    };
    // A handler that was cut off is dropped here, and what it holds may panic.
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(handler)));
    let end = match (ended, dropped) {
        // It would run again.
        (Some(Ok(Ok(Ok(Outcome(Wish::Snooze(_)))))), _) if stop.token.is_cancelled() => {
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
    // Whatever a job that was to be stopped ends with, but a good end, it was stopped.
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
        NoOutcome::Failed(failure) => failed(&failure),
    }
}

pub(super) fn failed(failure: &Failure) -> End {
    match failure.asked_pause() {
        Some(pause) => End::Busy(failure.to_string(), pause),
        None if failure.is_unavailable() => End::Unavailable(failure.to_string()),
        None => End::Failed(failure.to_string()),
    }
}

/// What to record for an end.
pub(super) fn ack_for(end: End, attempted: &Attempted<'_>) -> Ack {
    let Attempted { job, policy, .. } = *attempted;
    let again = |pause, error: &str| {
        let evidence = Evidence::new(error);
        if job.attempt() < job.max_attempts {
            Ack::Retry(pause, evidence)
        } else {
            Ack::Fail(evidence)
        }
    };
    match end {
        End::Ok(Outcome(Wish::Done)) => Ack::Done(Retention {
            keep: policy.what_is_kept(),
            span: policy.kept_for(),
            is_bare: job.lease.epoch == 0 && !job.is_unique && !attempted.has_steps,
        }),
        End::Ok(Outcome(Wish::Snooze(delay))) => Ack::Snooze(delay),
        End::Ok(Outcome(Wish::Discard(reason))) => {
            Ack::Discard(Evidence::new(&reason), policy.kept_for())
        }
        End::Ok(Outcome(Wish::Fail(reason))) => Ack::Fail(Evidence::new(&reason)),
        End::Cancelled(reason) => Ack::Cancel(Evidence::new(&reason), policy.kept_for()),
        End::Unavailable(error) if job.deferrals < MAX_DEFERRALS => {
            let patient = Policy::new().max_backoff(LONGEST_DEFERRAL);
            let pause = patient.pause_after(job.deferrals + 1);
            Ack::PutBack(pause, Cause::Unavailable, Evidence::new(&error))
        }
        End::Busy(error, pause) => again(pause, &error),
        End::Failed(error) | End::Panicked(error) | End::Unavailable(error) => {
            again(policy.pause_after(job.attempt()), &error)
        }
        // In a rolling deploy an old worker meets payloads of the new shape: they must live until a new one takes them.
        End::Undecodable(error) if job.attempt() < job.max_attempts => {
            Ack::Retry(policy.pause_after(job.attempt()), Evidence::new(&error))
        }
        End::Undecodable(error) => Ack::Undecodable(Evidence::new(&error)),
        End::UnknownKind(error) => Ack::PutBack(
            UNKNOWN_KIND_PAUSE,
            Cause::UnknownKind,
            Evidence::new(&error),
        ),
    }
}

impl Settled {
    pub(super) fn of(ack: &Ack) -> Self {
        match ack {
            Ack::Done(_) => Self::Done,
            Ack::Discard(..) => Self::Discarded,
            Ack::Cancel(..) => Self::Cancelled,
            Ack::Snooze(_) => Self::Snoozed,
            Ack::Retry(..) => Self::Retried,
            Ack::Fail(_) | Ack::Undecodable(_) => Self::Failed,
            Ack::PutBack(..) => Self::PutBack,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        JobId,
        store::{Claimed, Lease},
    };
    use twelve_core::Error;

    fn job(attempts: u32, deferrals: u32) -> Claimed {
        Claimed {
            lease: Lease {
                job: JobId::new(),
                epoch: 1,
            },
            kind: "charge".into(),
            queue: "default".into(),
            payload: "null".into(),
            metadata: None,
            attempts,
            max_attempts: 3,
            deferrals,
            is_unique: false,
        }
    }

    fn judge(end: End, job: &Claimed) -> Ack {
        let attempted = Attempted {
            job,
            slot: None,
            policy: &Policy::new(),
            has_steps: false,
        };
        ack_for(end, &attempted)
    }

    async fn end(
        handler: impl Future<Output = Result<Outcome, NoOutcome>> + Send + 'static,
    ) -> End {
        let stop = Stop::default();
        guard(Box::pin(handler), Duration::from_millis(10), &stop, false).await
    }

    #[test]
    fn the_last_failed_attempt_fails_the_job() {
        let failed = || End::Failed("no".into());
        assert!(matches!(judge(failed(), &job(0, 0)), Ack::Retry(..)));
        assert!(matches!(judge(failed(), &job(1, 0)), Ack::Retry(..)));
        assert_eq!(judge(failed(), &job(2, 0)), Ack::Fail(Evidence::new("no")));
    }

    #[test]
    fn a_handler_may_say_that_no_attempt_will_help() {
        let refused = End::Ok(Outcome::fail("550 no such user"));
        let ack = Ack::Fail(Evidence::new("550 no such user"));
        assert_eq!(judge(refused, &job(0, 0)), ack);
    }

    #[test]
    fn an_outage_spends_no_attempt_until_it_has_done_so_too_often() {
        let down = || End::Unavailable("Postgres is unavailable".into());
        for deferrals in 0..MAX_DEFERRALS {
            let ack = judge(down(), &job(2, deferrals));
            assert!(
                matches!(ack, Ack::PutBack(pause, Cause::Unavailable, _) if pause <= LONGEST_DEFERRAL)
            );
        }
        assert!(matches!(
            judge(down(), &job(0, MAX_DEFERRALS)),
            Ack::Retry(..)
        ));
        assert!(matches!(
            judge(down(), &job(2, MAX_DEFERRALS)),
            Ack::Fail(_)
        ));
    }

    #[test]
    fn what_cannot_be_attempted_spends_no_attempt() {
        let unknown = judge(End::UnknownKind("no handler".into()), &job(2, 0));
        assert!(matches!(
            unknown,
            Ack::PutBack(UNKNOWN_KIND_PAUSE, Cause::UnknownKind, _)
        ));
    }

    #[test]
    fn a_payload_that_cannot_be_read_is_tried_again_by_whoever_may_be_newer() {
        let undecodable = |attempts| judge(End::Undecodable("no".into()), &job(attempts, 0));
        assert!(matches!(undecodable(0), Ack::Retry(..)));
        assert!(matches!(undecodable(2), Ack::Undecodable(_)));
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
