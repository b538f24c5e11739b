//! What a store takes and tells.

use serde::{Serialize, Serializer};
use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};
use twelve_core::Error;

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
    /// How often it had been claimed, this claim included.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// Its state now: waiting, or failed when too many workers have died under it.
    pub state: State,
}

/// How many workers may die under a job before it counts as failed.
pub(crate) const MAX_CRASHES: i32 = 10;

/// There may be jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake<'a> {
    /// On this queue.
    Queue(&'a str),
    /// On any queue: something may have been missed.
    Any,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// It waits for a worker.
    Waiting,
    /// It waits for its time.
    Scheduled,
    /// A worker runs it.
    Running,
    /// It is done.
    Done,
    /// It failed for good. It is kept until somebody retries or discards it.
    Failed,
    /// A handler or a person did not want it any more.
    Discarded,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Discarded,
    ];

    /// The state's name, as listings show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::usage(format!(
                "`{text}` is not a state of a job: write one of {names}"
            ))
        })
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Which jobs are meant.
#[derive(Clone, Debug)]
#[must_use]
pub struct Filter {
    pub(crate) kind: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) states: Vec<State>,
    pub(crate) limit: usize,
}

impl Filter {
    /// All jobs, but no more than 100.
    pub fn new() -> Self {
        Self {
            kind: None,
            queue: None,
            states: Vec::new(),
            limit: 100,
        }
    }

    /// Only jobs of this kind.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only jobs of this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Only jobs in this state, or in one of several when called again.
    pub fn state(mut self, state: State) -> Self {
        self.states.push(state);
        self
    }

    /// No more than this many jobs.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

/// A job in a listing. Times are in RFC 3339, in UTC.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JobSummary {
    /// Its name.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands.
    pub state: State,
    /// Attempts that were spent.
    pub attempts: u32,
    /// Attempts after which it has failed.
    pub max_attempts: u32,
    /// Workers that died under it.
    pub crashes: u32,
    /// The worker that runs it.
    pub worker: Option<WorkerId>,
    /// When it is or was due.
    pub run_at: String,
    /// When it was enqueued.
    pub created_at: String,
    /// When it was last claimed.
    pub claimed_at: Option<String>,
    /// When it was done, failed or discarded.
    pub finished_at: Option<String>,
    /// What the last evidence on it says.
    pub last_error: Option<String>,
}

/// A job with all that is known about it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JobDetails {
    /// What a listing shows.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Its payload.
    pub payload: serde_json::Value,
    /// How often it was claimed.
    pub epoch: i64,
    /// The evidence on its attempts, the oldest first.
    pub errors: Vec<JobError>,
    /// The steps whose results are recorded, in the order in which they were.
    pub steps: Vec<String>,
}

/// Evidence on one attempt.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JobError {
    /// The attempt's number.
    pub attempt: u32,
    /// What kind of evidence it is: `failed`, `unavailable`, `crashed`, `unknown_kind`, `undecodable` or `discarded`.
    pub cause: String,
    /// What happened, the last time.
    pub message: String,
    /// How often.
    pub times: u32,
    /// When, the last time.
    pub at: String,
    /// The worker, the last time.
    pub worker: Option<WorkerId>,
}

/// How many jobs of one queue are in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// The queue.
    pub queue: String,
    /// The state.
    pub state: State,
    /// How many.
    pub jobs: u64,
}

impl Count {
    pub(crate) fn new(queue: String, state: State, jobs: u64) -> Self {
        Self { queue, state, jobs }
    }
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

    #[test]
    fn a_state_reads_what_it_writes() {
        for state in State::ALL {
            assert_eq!(state.name().parse::<State>().unwrap(), state);
        }
        assert!("asleep".parse::<State>().unwrap_err().is_usage());
    }
}
