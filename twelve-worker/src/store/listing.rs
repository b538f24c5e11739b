//! Jobs and workers in listings.

use serde::{Serialize, Serializer};

use crate::{
    job::{
        id::{JobId, WorkerId},
        priority::Priority,
        queues::Queues,
        timestamp::Timestamp,
    },
    store::state::{Cause, State},
};

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

    /// No more than this many jobs in a listing. Actions on all jobs that match ignore it.
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

/// A job in a listing.
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
    /// How many workers in a row died while they ran it alone.
    pub crashes: u32,
    /// The worker that runs it.
    pub worker: Option<WorkerId>,
    /// When it is or was due.
    pub run_at: Timestamp,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it was last claimed.
    pub claimed_at: Option<Timestamp>,
    /// When it was done, failed or discarded.
    pub finished_at: Option<Timestamp>,
    /// The last error that is recorded on it.
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
    /// Its metadata.
    pub metadata: Option<serde_json::Value>,
    /// Its payload; `None` when only a summary was kept.
    pub payload: Option<serde_json::Value>,
    /// Its fencing token, which each retry, release or rescue raises.
    pub epoch: i64,
    /// The errors of its attempts, the oldest first.
    pub errors: Vec<JobError>,
    /// The steps whose results are recorded, in the order in which they were.
    pub steps: Vec<String>,
}

/// What is recorded of one attempt that did not succeed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct JobError {
    /// The attempt's number.
    pub attempt: u32,
    /// What kind of error it is.
    pub cause: Cause,
    /// What happened, the last time.
    pub message: String,
    /// How often.
    pub times: u32,
    /// When, the last time.
    pub at: Timestamp,
    /// The worker, the last time.
    pub worker: Option<WorkerId>,
}

/// A process that runs jobs.
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
    /// It is draining, and takes no more jobs.
    pub draining: bool,
    /// When it was started.
    pub started_at: Timestamp,
}

fn in_words<S: Serializer>(queues: &Queues, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(queues)
}
