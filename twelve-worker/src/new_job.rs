//! A job that is about to be enqueued.

use std::time::{Duration, SystemTime};
use twelve_core::Error;

use crate::{
    Job, JobId, label,
    store::{Draft, Due},
};

/// The largest payload: a job should name its data, not carry it.
const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// A job that is about to be enqueued, with what it does not share with its kind.
///
/// Made by [`Job::after`], [`Job::at`] and [`Job::on_queue`].
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Serialize, Deserialize};
/// use twelve_worker::{Job, NewJob};
///
/// #[derive(Serialize, Deserialize)]
/// struct Remind { order: u64 }
///
/// impl Job for Remind { // or derive it
///     const KIND: &'static str = "remind";
/// }
///
/// let tomorrow: NewJob = Remind { order: 7 }.after(Duration::from_hours(24)).on_queue("mail");
/// ```
#[derive(Debug)]
#[must_use = "it is not enqueued yet"]
pub struct NewJob(Result<Draft, Error>);

impl NewJob {
    pub(crate) fn of<J: Job>(job: &J) -> Self {
        Self(draft(job))
    }

    /// To be run after this time, counted from the enqueue. The longest delay is ten years.
    pub fn after(mut self, delay: Duration) -> Self {
        if let Ok(draft) = &mut self.0 {
            draft.due = Due::After(delay);
        }
        self
    }

    /// To be run at this moment, or at once when it has passed.
    ///
    /// The moment is taken by this host's clock and compared with the database's.
    pub fn at(mut self, moment: SystemTime) -> Self {
        if let Ok(draft) = &mut self.0 {
            draft.due = Due::At(moment);
        }
        self
    }

    /// In another queue than its kind's.
    pub fn on_queue(mut self, queue: impl Into<String>) -> Self {
        if let Ok(draft) = &mut self.0 {
            draft.queue = queue.into();
        }
        self
    }

    /// The job as the store takes it.
    ///
    /// # Errors
    ///
    /// The payload cannot be written as JSON or is too large, or a name is not one.
    pub(crate) fn into_draft(self) -> Result<Draft, Error> {
        let draft = self.0?;
        let wrong = |problem| refused(&draft.kind).because(problem);
        label::check(&draft.kind).map_err(|problem| wrong(format!("the kind {problem}")))?;
        label::check(&draft.queue).map_err(|problem| wrong(format!("the queue {problem}")))?;
        Ok(draft)
    }
}

fn draft<J: Job>(job: &J) -> Result<Draft, Error> {
    let payload = serde_json::to_string(job).map_err(|error| refused(J::KIND).because(error))?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        let problem = format!(
            "the payload has {} bytes, of which {MAX_PAYLOAD_BYTES} are allowed",
            payload.len()
        );
        return Err(refused(J::KIND).because(problem));
    }
    let policy = J::policy();
    policy
        .check()
        .map_err(|problem| refused(J::KIND).because(problem))?;
    Ok(Draft {
        id: JobId::new(),
        kind: J::KIND.to_owned(),
        queue: policy.queue_name().to_owned(),
        payload,
        max_attempts: policy.max_attempts(),
        due: Due::Now,
    })
}

fn refused(kind: &str) -> Error {
    Error::internal(format!("the job `{kind}` cannot be enqueued"))
}

/// What can be enqueued: a payload as it is, or a [`NewJob`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be enqueued",
    label = "not a job payload",
    note = "add `#[derive(Serialize, Deserialize, twelve::Job)]` to `{Self}`"
)]
pub trait IntoNewJob {
    /// The job.
    fn into_new_job(self) -> NewJob;
}

impl IntoNewJob for NewJob {
    fn into_new_job(self) -> NewJob {
        self
    }
}

impl<J: Job> IntoNewJob for J {
    fn into_new_job(self) -> NewJob {
        NewJob::of(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;
    use twelve_core::chain;

    #[derive(Serialize, Deserialize)]
    struct Note(String);

    impl Job for Note {
        const KIND: &'static str = "note";
    }

    #[derive(Serialize, Deserialize)]
    struct NotJson(BTreeMap<(u8, u8), u8>);

    impl Job for NotJson {
        const KIND: &'static str = "not_json";
    }

    #[test]
    fn a_job_takes_what_its_kind_says() {
        let draft = Note("a\0b".into()).into_new_job().into_draft().unwrap();
        assert_eq!((&*draft.kind, &*draft.queue), ("note", "default"));
        assert_eq!(draft.payload, r#""a\u0000b""#);
        assert_eq!(draft.due, Due::Now);
    }

    #[test]
    fn one_job_may_say_otherwise() {
        let delay = Duration::from_secs(5);
        let job = Note(String::new()).after(delay).on_queue("slow");
        let draft = job.into_draft().unwrap();
        assert_eq!((&*draft.queue, draft.due), ("slow", Due::After(delay)));
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_its_reason() {
        let refusal = |job: NewJob| chain(&job.into_draft().unwrap_err());
        let large = Note("a".repeat(MAX_PAYLOAD_BYTES)).into_new_job();
        assert!(
            refusal(large).contains("`note` cannot be enqueued: the payload has 4194306 bytes")
        );
        let key = NotJson(BTreeMap::from([((1, 2), 3)])).into_new_job();
        assert!(refusal(key).contains("key must be a string"));
        let queue = Note(String::new()).on_queue("no name");
        assert!(refusal(queue).contains("the queue `no name` is not a name"));
    }
}
