//! The data that the engine and a store exchange.

use std::time::Duration;

use super::state::{Cause, State};
use crate::job::{
    id::{ClaimId, JobId, WorkerId},
    priority::Priority,
    queues::Queues,
    retention::Keep,
};

/// The longest text that is recorded of one failure.
const MAX_FAILURE_TEXT_BYTES: usize = 4096;

/// The lane of a queue in which a job waits; the earlier ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Its lease was released before it ended. It has had its turn already, so it goes first.
    Returned,
    /// It waits for its turn.
    Priority(Priority),
    /// Its worker died, perhaps because of this job: it runs alone.
    Suspect,
}

impl Level {
    /// All lanes of a queue.
    pub const ALL: [Self; 5] = [
        Self::Returned,
        Self::Priority(Priority::High),
        Self::Priority(Priority::Normal),
        Self::Priority(Priority::Low),
        Self::Suspect,
    ];
}

/// Where jobs wait: one level of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The queue.
    pub queue: String,
    /// The level.
    pub level: Level,
    /// A number that orders lanes by the age of their oldest job: the lower, the older. `None` when the lane is empty.
    pub oldest: Option<i64>,
}

/// The result of a survey: what there is to do on some queues.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The lanes of the queues that are not paused.
    pub lanes: Vec<Lane>,
    /// The kinds that are paused.
    pub paused_kinds: Vec<String>,
    /// How long until the next scheduled job is due.
    pub next_due: Option<Duration>,
}

/// A request to claim jobs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The claim's id. The worker chooses it, so that it recognises a claim whose answer was lost.
    pub id: ClaimId,
    /// Who claims.
    pub worker: WorkerId,
    /// Where to look, in this order.
    pub lanes: Vec<Lane>,
    /// How many jobs at most.
    pub limit: usize,
    /// The kinds that are paused: their tickets are parked until the kind is resumed.
    pub paused_kinds: Vec<String>,
}

/// What a claim took.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The jobs, in the order of the lanes.
    pub jobs: Vec<Claimed>,
    /// How many tickets were taken off the lanes. Some may have been outdated, or were parked.
    pub taken: usize,
}

/// The right to run and ack a job.
///
/// Each retry, release or rescue raises the job's epoch, so no two holders ever have the same lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The fencing token.
    pub epoch: i64,
}

/// A job that was claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The proof of the claim.
    pub lease: Lease,
    /// The job's kind.
    pub kind: String,
    /// The queue in which it waited.
    pub queue: String,
    /// Its payload, as JSON.
    pub payload: String,
    /// What its producer noted on it, a JSON object.
    pub metadata: Option<String>,
    /// Attempts that were spent.
    pub attempts: u32,
    /// Attempts after which it has failed.
    pub max_attempts: u32,
    /// How often in a row this attempt was deferred because a backing service was unavailable.
    pub deferrals: u32,
    /// Does it hold a unique key?
    pub is_unique: bool,
}

impl Claimed {
    /// The number of the attempt that begins now, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempts + 1
    }
}

/// What is kept of a job that is done, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retention {
    /// How much.
    pub keep: Keep,
    /// How long.
    pub span: Duration,
    /// Whether the job has nothing but its own row: no unique key, no errors, no steps. A faster statement then removes it.
    pub is_bare: bool,
}

/// A job that is done.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The proof of the claim.
    pub lease: Lease,
    /// What is kept of it.
    pub retention: Retention,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is done.
    Done(Retention),
    /// The handler discarded it; it is kept for this time.
    Discard(FailureText, Duration),
    /// It was cancelled, and is kept for this time.
    Cancel(FailureText, Duration),
    /// It runs again after this time; no attempt is spent.
    Snooze(Duration),
    /// The attempt failed; there will be another after this time.
    Retry(Duration, FailureText),
    /// The attempt failed, and it was the last.
    Fail(FailureText),
    /// The payload cannot be read: it has failed, without an attempt.
    Undecodable(FailureText),
    /// It could not be attempted for this cause. It runs again after this time; no attempt is spent.
    Defer(Duration, Cause, FailureText),
}

/// The result of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused ack means that the job belongs to somebody else"]
pub enum Acked {
    /// It is recorded.
    Accepted,
    /// The lease does not hold any more: nothing was recorded.
    Refused,
}

/// The text that is recorded of a failure: bounded, and without characters that a store cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureText(String);

impl FailureText {
    /// The text without what Postgres cannot hold (U+0000), cut after 4 KiB.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut text = text.replace('\0', "");
        if text.len() > MAX_FAILURE_TEXT_BYTES {
            text.truncate(text.floor_char_boundary(MAX_FAILURE_TEXT_BYTES));
            text.push('…');
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The result of recording a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded.
    First,
    /// A result was recorded before: this one.
    Before(String),
    /// The lease does not hold any more: nothing was recorded.
    Refused,
}

/// What a worker registers about itself.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub id: WorkerId,
    /// Its process type.
    pub process_type: String,
    /// The host on which it runs.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// The release that it runs, if it knows.
    pub release: Option<String>,
    /// How many jobs it runs at a time.
    pub concurrency: u32,
    /// Its queues.
    pub queues: Queues,
    /// The kinds that it has handlers for.
    pub kinds: Vec<String>,
}

/// The result of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The store knew the worker.
    Known,
    /// It did not: the worker has just been registered, or was declared dead and is registered again.
    Registered,
}

/// The heartbeats of all workers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Each worker with the number of its last beat.
    pub beats: Vec<(WorkerId, i64)>,
    /// Are there jobs that no registered worker holds?
    pub orphans: bool,
    /// Are there cancellation requests?
    pub cancellations: bool,
}

/// A job that was taken back from a dead worker.
#[derive(Clone, Debug)]
pub struct Rescued {
    /// The job.
    pub job: JobId,
    /// Its kind.
    pub kind: String,
    /// Its state now: waiting, or failed when too many workers have died of it.
    pub state: State,
}

/// How many workers in a row may die while they run a job alone, before it has failed.
pub(crate) const MAX_CRASHES: i32 = 3;

/// A wake-up: there may be jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake<'a> {
    /// On this queue.
    Queue(&'a str),
    /// On any queue: wake-ups may have been lost.
    Any,
    /// Something was paused, resumed or cancelled.
    Control,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_bounded_and_holds_no_nul() {
        assert_eq!(FailureText::new("a\0b").as_str(), "ab");
        let long = FailureText::new(&"é".repeat(4000));
        assert!(long.as_str().len() <= MAX_FAILURE_TEXT_BYTES + '…'.len_utf8());
        assert!(long.as_str().ends_with("é…"));
    }
}
