//! Jobs as people see them.

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};
use twelve_core::Error;

use crate::job::{
    id::{JobId, WorkerId},
    priority::Priority,
    queues::Queues,
};

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
    /// A person stopped it.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Discarded,
        Self::Cancelled,
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
            Self::Cancelled => "cancelled",
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
    pub(crate) tag: Option<String>,
    pub(crate) states: Vec<State>,
    pub(crate) limit: usize,
}

impl Filter {
    /// All jobs, but no more than 100.
    pub fn new() -> Self {
        Self {
            kind: None,
            queue: None,
            tag: None,
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

    /// Only jobs with this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Only jobs in this state, or in one of several when called again.
    pub fn state(mut self, state: State) -> Self {
        self.states.push(state);
        self
    }

    /// No more than this many jobs in a listing; what acts on all that match takes no notice of it.
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
    /// Workers in a row that died while they ran it alone, as they do when one has died before.
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
    /// Which goes first.
    pub priority: Priority,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it carries beside its payload.
    pub metadata: Option<serde_json::Value>,
    /// Its payload; `None` when only a summary was kept.
    pub payload: Option<serde_json::Value>,
    /// The number of its last claim; it also grows when the job is taken or handed back.
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
    /// What kind of evidence it is: `failed`, `unavailable`, `crashed`, `unknown_kind`, `undecodable`, `discarded` or `cancelled`.
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

/// A process that runs jobs. Times are in RFC 3339, in UTC.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkerSummary {
    /// Its name; another one each time that it is started.
    pub id: WorkerId,
    /// Its process type.
    pub process_type: String,
    /// The host on which it runs.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// The release that it runs, if it knows.
    pub release: Option<String>,
    /// How many jobs it runs at a time.
    pub concurrency: u32,
    /// How many it holds: those that run, and those that it has fetched ahead.
    pub held: u64,
    /// Its queues.
    #[serde(serialize_with = "in_words")]
    pub queues: Queues,
    /// The kinds that it has handlers for.
    pub kinds: Vec<String>,
    /// It takes no more jobs, for it is stopping.
    pub draining: bool,
    /// When it was started.
    pub started_at: String,
}

fn in_words<S: Serializer>(queues: &Queues, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(queues)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_what_it_writes() {
        for state in State::ALL {
            assert_eq!(state.name().parse::<State>().unwrap(), state);
        }
        assert!("asleep".parse::<State>().unwrap_err().is_usage());
    }
}
