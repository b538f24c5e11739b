//! A job: its kind, how it is run, and what its producer can say of it.

mod annotations;
mod backoff;
mod canonical;
pub(crate) mod draft;
pub(crate) mod enqueued;
pub(crate) mod id;
pub(crate) mod label;
pub(crate) mod new_job;
pub(crate) mod policy;
pub(crate) mod priority;
pub(crate) mod queues;
pub(crate) mod retention;
pub(crate) mod timestamp;
pub(crate) mod unique;

use serde::{Serialize, de::DeserializeOwned};
use std::time::{Duration, SystemTime};

use self::{new_job::NewJob, policy::Policy, priority::Priority, unique::Unique};

/// The payload of a job: derive it.
///
/// The kind is explicit and never derived from the type's name, so that jobs which wait survive a rename of the type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job payload",
    label = "the first argument of a job handler, and what is enqueued, must implement `Job`",
    note = "add `#[derive(Serialize, Deserialize, twelve::Job)]` to `{Self}`"
)]
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The stable name of this kind of job.
    const KIND: &'static str;

    /// Names under which such jobs were enqueued before.
    const ALIASES: &'static [&'static str] = &[];

    /// How such jobs are run.
    #[must_use]
    fn policy() -> Policy {
        Policy::new()
    }

    /// The same job, to be run after this time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde::{Serialize, Deserialize};
    /// # use twelve_core::Error;
    /// # use twelve_worker::{Job, Jobs};
    /// # #[derive(Serialize, Deserialize)] struct Remind;
    /// # impl Job for Remind { const KIND: &'static str = "remind"; }
    /// async fn handler(jobs: Jobs) -> Result<(), Error> {
    ///     jobs.enqueue(Remind.after(Duration::from_hours(1))).await?;
    ///     Ok(())
    /// }
    /// ```
    fn after(self, delay: Duration) -> NewJob {
        NewJob::of(&self).after(delay)
    }

    /// The same job, to be run at this moment.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use serde::{Serialize, Deserialize};
    /// # use twelve_worker::Job;
    /// # #[derive(Serialize, Deserialize)] struct Remind;
    /// # impl Job for Remind { const KIND: &'static str = "remind"; }
    /// let expires = SystemTime::now() + Duration::from_hours(24);
    /// let job = Remind.at(expires);
    /// ```
    fn at(self, moment: SystemTime) -> NewJob {
        NewJob::of(&self).at(moment)
    }

    /// The same job, in another queue than its kind's.
    ///
    /// ```
    /// # use serde::{Serialize, Deserialize};
    /// # use twelve_worker::Job;
    /// # #[derive(Serialize, Deserialize)] struct Remind;
    /// # impl Job for Remind { const KIND: &'static str = "remind"; }
    /// use twelve_worker::Priority;
    ///
    /// let job = Remind.on_queue("bulk").priority(Priority::Low).tag("campaign").metadata("batch", 7);
    /// ```
    fn on_queue(self, queue: impl Into<String>) -> NewJob {
        NewJob::of(&self).on_queue(queue)
    }

    /// The same job, more or less urgent than its kind.
    fn priority(self, priority: Priority) -> NewJob {
        NewJob::of(&self).priority(priority)
    }

    /// The same job, with more or fewer attempts than its kind: 1 to 100.
    fn attempts(self, attempts: u32) -> NewJob {
        NewJob::of(&self).attempts(attempts)
    }

    /// The same job, deduplicated: it runs once even if it is enqueued twice.
    ///
    /// ```
    /// # use serde::{Serialize, Deserialize};
    /// # use twelve_core::Error;
    /// # use twelve_worker::{Job, Jobs};
    /// use twelve_worker::Unique;
    /// # #[derive(Serialize, Deserialize)] struct Remind { order: u64 }
    /// # impl Job for Remind { const KIND: &'static str = "remind"; }
    ///
    /// async fn handler(jobs: Jobs) -> Result<(), Error> {
    ///     let job = Remind { order: 7 }.unique(Unique::fields(["order"]));
    ///     jobs.enqueue(job).await?;
    ///     Ok(())
    /// }
    /// ```
    fn unique(self, unique: Unique) -> NewJob {
        NewJob::of(&self).unique(unique)
    }

    /// The same job, with a tag by which people find it; see [`NewJob::tag`].
    fn tag(self, tag: impl Into<String>) -> NewJob {
        NewJob::of(&self).tag(tag)
    }

    /// The same job, with metadata beside the payload; see [`NewJob::metadata`].
    fn metadata(self, name: impl Into<String>, value: impl Serialize) -> NewJob {
        NewJob::of(&self).metadata(name, value)
    }
}
