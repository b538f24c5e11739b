//! What the engine and a store tell each other.

use std::time::{Duration, SystemTime};

use super::State;
use crate::{JobId, WorkerId};

/// The most evidence that is kept of one failure.
const MAX_EVIDENCE_BYTES: usize = 4096;

/// A job to be added.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Its payload, as JSON.
    pub payload: String,
    /// How many attempts it is granted.
    pub max_attempts: u32,
    /// When it is due.
    pub due: Due,
}

/// When a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// After this time, by the store's clock.
    After(Duration),
    /// At this moment.
    At(SystemTime),
}

/// Who holds a job: an ack must name it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The number of this claim: it grows with each claim, and whenever the job is taken or handed back.
    pub epoch: i64,
    /// The worker that claimed it.
    pub worker: WorkerId,
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
    /// Attempts that were spent.
    pub attempts: u32,
    /// Attempts after which it has failed.
    pub max_attempts: u32,
    /// How often in a row this attempt was put off because a backing service was unavailable.
    pub deferrals: u32,
}

impl Claimed {
    /// The number of the attempt that begins now, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempts + 1
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is done.
    Done,
    /// It is not wanted any more.
    Discard(Evidence),
    /// It runs again after this time; no attempt is spent.
    Snooze(Duration),
    /// The attempt failed; there will be another after this time.
    Retry(Duration, Evidence),
    /// The attempt failed, and it was the last.
    Fail(Evidence),
    /// The payload cannot be read: it has failed, without an attempt.
    Undecodable(Evidence),
    /// It could not be attempted for this cause: put back for this time, no attempt is spent.
    PutBack(Duration, Cause, Evidence),
}

/// What became of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused ack means that the job belongs to somebody else"]
pub enum Acked {
    /// It is recorded.
    Accepted,
    /// The lease does not hold any more: nothing was recorded.
    Refused,
}

/// Why there is evidence on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The handler failed, panicked, or took too long.
    Failed,
    /// A backing service was unavailable.
    Unavailable,
    /// The worker died.
    Crashed,
    /// No handler was registered for the kind.
    UnknownKind,
    /// The payload could not be read.
    Undecodable,
    /// A handler or a person discarded it.
    Discarded,
}

impl Cause {
    /// The cause's name, as the store and listings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Crashed => "crashed",
            Self::UnknownKind => "unknown_kind",
            Self::Undecodable => "undecodable",
            Self::Discarded => "discarded",
        }
    }
}

/// What is kept about a failure: bounded text that every store can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence(String);

impl Evidence {
    /// The text without what Postgres cannot hold (U+0000), cut after 4 KiB.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut text = text.replace('\0', "");
        if text.len() > MAX_EVIDENCE_BYTES {
            text.truncate(text.floor_char_boundary(MAX_EVIDENCE_BYTES));
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

/// What became of a step's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded.
    First,
    /// There was one already: this one.
    Before(String),
    /// The lease does not hold any more: nothing was recorded.
    Refused,
}

/// What a worker says about itself.
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
    /// Its queues, in words.
    pub queues: String,
}

/// What a heartbeat found.
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

/// How many workers in a row may die while they run a job alone; then it has failed.
pub(crate) const MAX_CRASHES: i32 = 3;

/// There may be jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake<'a> {
    /// On this queue.
    Queue(&'a str),
    /// On any queue: something may have been missed.
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_bounded_and_holds_no_nul() {
        assert_eq!(Evidence::new("a\0b").as_str(), "ab");
        let long = Evidence::new(&"é".repeat(4000));
        assert!(long.as_str().len() <= MAX_EVIDENCE_BYTES + '…'.len_utf8());
        assert!(long.as_str().ends_with("é…"));
    }
}
