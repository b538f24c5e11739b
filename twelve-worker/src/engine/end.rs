//! How an attempt can end, and what is recorded for it.
//!
//! Every way in which an attempt can end is one [`End`], every end is one [`Ack`], and every ack that is accepted is one [`Settled`].

use std::{error::Error as _, time::Duration};
use twelve_core::{Error, Failure, TxCell, chain};

use crate::{
    handler::outcome::{Disposition, Outcome},
    job::policy::Policy,
    store::{
        model::{Ack, Claimed, FailureText, Retention},
        state::Cause,
    },
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
    Deferred,
    /// Nothing: the job belongs to somebody else.
    Refused,
}

/// An attempt that has ended.
pub(super) struct Attempted<'a> {
    pub(super) job: Claimed,
    pub(super) policy: &'a Policy,
    /// Of the handler, if it was called.
    pub(super) cell: Option<TxCell>,
    /// Has it recorded steps?
    pub(super) has_steps: bool,
}

impl End {
    pub(super) fn of(failure: &Failure) -> Self {
        match failure.asked_pause() {
            Some(pause) => Self::Busy(failure.to_string(), pause),
            None if failure.is_unavailable() => Self::Unavailable(failure.to_string()),
            None => Self::Failed(failure.to_string()),
        }
    }

    /// Core calls every failed commit unavailable; its cause tells an outage from a constraint that is checked at the commit.
    pub(super) fn of_commit(error: &Error) -> Self {
        let cause = error
            .source()
            .and_then(|cause| cause.downcast_ref::<Error>());
        if cause.is_some_and(|cause| !cause.is_unavailable()) {
            return Self::Failed(chain(error));
        }
        Self::of(&Failure::from(error.clone()))
    }
}

impl<'a> Attempted<'a> {
    /// One whose handler was not called.
    pub(super) fn unstarted(job: Claimed, policy: &'a Policy) -> Self {
        Self {
            job,
            policy,
            cell: None,
            has_steps: false,
        }
    }

    /// What to record for an end.
    pub(super) fn ack(&self, end: End) -> Ack {
        let Self { job, policy, .. } = self;
        let again = |pause, error: &str| {
            let text = FailureText::new(error);
            if job.attempt() < job.max_attempts {
                Ack::Retry(pause, text)
            } else {
                Ack::Fail(text)
            }
        };
        match end {
            End::Ok(Outcome(Disposition::Done)) => Ack::Done(Retention {
                keep: policy.what_is_kept(),
                span: policy.kept_for(),
                is_bare: job.lease.epoch == 0 && !job.is_unique && !self.has_steps,
            }),
            End::Ok(Outcome(Disposition::Snooze(delay))) => Ack::Snooze(delay),
            End::Ok(Outcome(Disposition::Discard(reason))) => {
                Ack::Discard(FailureText::new(&reason), policy.kept_for())
            }
            End::Ok(Outcome(Disposition::Fail(reason))) => Ack::Fail(FailureText::new(&reason)),
            End::Cancelled(reason) => Ack::Cancel(FailureText::new(&reason), policy.kept_for()),
            End::Unavailable(error) if job.deferrals < MAX_DEFERRALS => {
                let patient = Policy::new().max_backoff(LONGEST_DEFERRAL);
                let pause = patient.pause_after(job.deferrals + 1);
                Ack::Defer(pause, Cause::Unavailable, FailureText::new(&error))
            }
            End::Busy(error, pause) => again(pause, &error),
            End::Failed(error) | End::Panicked(error) | End::Unavailable(error) => {
                again(policy.pause_after(job.attempt()), &error)
            }
            // In a rolling deploy an old worker meets payloads of the new shape: they must live until a new one takes them.
            End::Undecodable(error) if job.attempt() < job.max_attempts => {
                Ack::Retry(policy.pause_after(job.attempt()), FailureText::new(&error))
            }
            End::Undecodable(error) => Ack::Undecodable(FailureText::new(&error)),
            End::UnknownKind(error) => Ack::Defer(
                UNKNOWN_KIND_PAUSE,
                Cause::UnknownKind,
                FailureText::new(&error),
            ),
        }
    }

    /// Tells of it, as loudly as it concerns somebody.
    pub(super) fn log(&self, end: &End) {
        let (attempt, of) = (self.job.attempt(), self.job.max_attempts);
        let is_last = attempt >= of;
        match end {
            End::Ok(Outcome(Disposition::Fail(reason))) => {
                tracing::error!(reason, "the job has failed");
            }
            End::Ok(outcome) => tracing::debug!(?outcome, "the attempt has ended"),
            End::Failed(error) | End::Busy(error, _) if is_last => {
                tracing::error!(
                    error,
                    "attempt {attempt} of {of} failed: the job has failed"
                );
            }
            End::Failed(error) | End::Busy(error, _) => {
                tracing::warn!(error, "attempt {attempt} of {of} failed");
            }
            // The process's panic hook has logged the message, with its place.
            End::Panicked(_) if is_last => {
                tracing::error!("attempt {attempt} of {of} panicked: the job has failed");
            }
            End::Panicked(_) => tracing::warn!("attempt {attempt} of {of} panicked"),
            End::Unavailable(error) => {
                tracing::warn!(error, "attempt {attempt} of {of} is put off");
            }
            End::Undecodable(error) => tracing::error!(error, "the job has failed"),
            End::UnknownKind(error) => tracing::warn!(error, "the job is put back"),
            End::Cancelled(reason) => tracing::info!(reason, "the job was cancelled"),
        }
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
            Ack::Defer(..) => Self::Deferred,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::id::JobId, store::model::Lease};

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
        Attempted::unstarted(job.clone(), &Policy::new()).ack(end)
    }

    #[test]
    fn the_last_failed_attempt_fails_the_job() {
        let failed = || End::Failed("no".into());
        assert!(matches!(judge(failed(), &job(0, 0)), Ack::Retry(..)));
        assert!(matches!(judge(failed(), &job(1, 0)), Ack::Retry(..)));
        assert_eq!(
            judge(failed(), &job(2, 0)),
            Ack::Fail(FailureText::new("no"))
        );
    }

    #[test]
    fn a_handler_may_say_that_no_attempt_will_help() {
        let refused = End::Ok(Outcome::fail("550 no such user"));
        let ack = Ack::Fail(FailureText::new("550 no such user"));
        assert_eq!(judge(refused, &job(0, 0)), ack);
    }

    #[test]
    fn an_outage_spends_no_attempt_until_it_has_done_so_too_often() {
        let down = || End::Unavailable("Postgres is unavailable".into());
        for deferrals in 0..MAX_DEFERRALS {
            let ack = judge(down(), &job(2, deferrals));
            assert!(
                matches!(ack, Ack::Defer(pause, Cause::Unavailable, _) if pause <= LONGEST_DEFERRAL)
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
            Ack::Defer(UNKNOWN_KIND_PAUSE, Cause::UnknownKind, _)
        ));
    }

    #[test]
    fn a_payload_that_cannot_be_read_is_tried_again_by_whoever_may_be_newer() {
        let undecodable = |attempts| judge(End::Undecodable("no".into()), &job(attempts, 0));
        assert!(matches!(undecodable(0), Ack::Retry(..)));
        assert!(matches!(undecodable(2), Ack::Undecodable(_)));
    }

    #[test]
    fn a_commit_that_failed_for_its_contents_is_a_failed_attempt() {
        let commit =
            |cause| Error::unavailable("the transaction could not be committed").with_source(cause);
        let constraint = commit(Error::internal("a statement failed on Postgres"));
        assert!(matches!(End::of_commit(&constraint), End::Failed(_)));
        let outage = commit(Error::unavailable("Postgres is unavailable"));
        assert!(matches!(End::of_commit(&outage), End::Unavailable(_)));
        let escaped = Error::internal("a `Tx` has outlived its handler");
        assert!(matches!(End::of_commit(&escaped), End::Failed(_)));
    }
}
