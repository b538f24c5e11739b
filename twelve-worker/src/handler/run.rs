//! What only the run of a job has, and the extractors for it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock},
};
use tokio_util::sync::CancellationToken;
use twelve_core::{Error, FromContext, Needs, Run, UnitOfWork};

use crate::{
    job::id::{JobId, WorkerId},
    schedule::tick::Tick,
    store::model::{Claimed, Lease},
};

/// The kind of a job handler's run: one attempt at one job.
///
/// A handler does not take it as an argument: an extractor does, through [`Run::kind`].
/// [`JobId`], [`Attempt`], [`Cancel`], [`Steps`](crate::Steps) and [`Tick`] are such extractors; for anything else write your own:
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Job, NewJob, Registry};
/// use twelve_core::{Error, FromContext, Run};
/// use twelve_worker::JobRun;
///
/// # #[derive(Serialize, Deserialize)] struct Remind;
/// # impl Job for Remind { const KIND: &'static str = "remind"; }
/// /// What the producer said by `Remind.metadata("asked_by", "ada")`.
/// #[derive(Deserialize)]
/// struct Metadata {
///     asked_by: Option<String>,
/// }
///
/// impl FromContext<JobRun> for Metadata {
///     async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
///         let json = run.kind().metadata().unwrap_or("{}");
///         serde_json::from_str(json)
///             .map_err(|error| Error::internal("the metadata cannot be read").with_source(error))
///     }
/// }
///
/// async fn remind(_job: Remind, metadata: Metadata) {
///     if let Some(who) = metadata.asked_by {
///         println!("{who} asked for it");
///     }
/// }
/// # Registry::default().job(remind);
/// ```
#[derive(Debug)]
pub struct JobRun {
    lease: Lease,
    worker: WorkerId,
    cancel: CancellationToken,
    kind: String,
    queue: String,
    metadata: Option<String>,
    attempt: Attempt,
    /// The steps that this attempt has begun.
    steps: Arc<Mutex<HashSet<String>>>,
    /// What a schedule's job runs for.
    tick: OnceLock<Tick>,
}

impl UnitOfWork for JobRun {}

impl JobRun {
    pub(crate) fn new(claimed: &Claimed, worker: WorkerId, cancel: CancellationToken) -> Self {
        Self {
            lease: claimed.lease,
            worker,
            cancel,
            metadata: claimed.metadata.clone(),
            kind: claimed.kind.clone(),
            queue: claimed.queue.clone(),
            attempt: Attempt {
                number: claimed.attempt(),
                max: claimed.max_attempts,
            },
            steps: Arc::default(),
            tick: OnceLock::new(),
        }
    }

    /// The job's name.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.lease.job
    }

    /// The kind under which it was enqueued.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The queue in which it waited.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// What its producer noted on it by [`NewJob::metadata`](crate::NewJob::metadata): a JSON object.
    #[must_use]
    pub fn metadata(&self) -> Option<&str> {
        self.metadata.as_deref()
    }

    /// Which attempt this is.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The worker that runs it.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The fencing token of this run. Each retry, release or rescue raises it, so no two runs have the same.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.lease.epoch
    }

    pub(crate) fn lease(&self) -> Lease {
        self.lease
    }

    /// Stores the tick of a schedule's job. Only the decoder of its handler calls it, once.
    pub(crate) fn set_tick(&self, tick: Tick) {
        let _ = self.tick.set(tick);
    }

    pub(crate) fn tick(&self) -> Option<&Tick> {
        self.tick.get()
    }

    pub(crate) fn steps(&self) -> &Arc<Mutex<HashSet<String>>> {
        &self.steps
    }
}

/// Which attempt at the job this is.
///
/// Runs that spent no attempt do not count: those that snoozed, were deferred or released, or whose worker died.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Attempt, Job};
/// # #[derive(Serialize, Deserialize)] struct Charge;
/// # impl Job for Charge { const KIND: &'static str = "charge"; }
/// async fn charge(_job: Charge, attempt: Attempt) {
///     if attempt.is_last() {
///         println!("attempt {} of {}: tell somebody", attempt.number(), attempt.max());
///     }
/// }
/// # twelve_worker::Registry::default().job(charge);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    number: u32,
    max: u32,
}

impl Attempt {
    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The number of the last one.
    #[must_use]
    pub fn max(self) -> u32 {
        self.max
    }

    /// Has an attempt failed before?
    #[must_use]
    pub fn is_retry(self) -> bool {
        self.number > 1
    }

    /// Is it the last one: has the job failed if this attempt does?
    #[must_use]
    pub fn is_last(self) -> bool {
        self.number >= self.max
    }
}

impl FromContext<JobRun> for Attempt {
    async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
        Ok(run.kind().attempt())
    }
}

/// The cancellation request for a job (`jobs cancel`).
///
/// A handler that takes this must end by itself, within its timeout. If it then returns `Ok`, that is its outcome; if an error, the job is cancelled.
/// Any other handler is stopped at its next `await`.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Cancel, Job};
/// # #[derive(Serialize, Deserialize)] struct Import { files: Vec<String> }
/// # impl Job for Import { const KIND: &'static str = "import"; }
/// # async fn import(_file: &str) {}
/// async fn run(job: Import, cancel: Cancel) -> twelve_core::Result<()> {
///     for file in &job.files {
///         if cancel.is_wanted() {
///             return Err(twelve_core::Failure::new("stopped between two files"));
///         }
///         import(file).await;
///     }
///     Ok(())
/// }
/// # twelve_worker::Registry::default().job(run);
/// ```
#[derive(Clone, Debug)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Whether cancellation was requested.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until cancellation is requested.
    pub async fn wanted(&self) {
        self.0.cancelled().await;
    }
}

impl FromContext<JobRun> for Cancel {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
        Ok(Self(run.kind().cancel.clone()))
    }
}

impl FromContext<JobRun> for JobId {
    async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
        Ok(run.kind().id())
    }
}

/// Only handlers of schedules have a tick. In other handlers the wiring check refuses it, since it finds it in their needs.
impl FromContext<JobRun> for Tick {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
        let tick = run.kind().tick().cloned();
        tick.ok_or_else(|| Error::internal("only the handlers of schedules have a `Tick`"))
    }
}
