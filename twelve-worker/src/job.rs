//! What a job is: a payload with a name.

use serde::{Serialize, de::DeserializeOwned};
use std::time::{Duration, SystemTime};

use crate::{NewJob, Policy};

/// The payload of a job: derive it.
///
/// The kind is written out and never derived from the type's name, so that renaming the type strands no job.
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
    fn on_queue(self, queue: impl Into<String>) -> NewJob {
        NewJob::of(&self).on_queue(queue)
    }
}
