//! A job that is about to be enqueued.

use serde::Serialize;
use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};
use twelve_core::Error;

use super::{
    Job,
    annotations::{Metadata, add_tag},
    id::JobId,
    label,
    policy::check_attempts,
    priority::Priority,
    unique::Unique,
};
use crate::job::draft::{Draft, Due};

/// The largest payload: a job should refer to its data, not contain it.
const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// A job to enqueue, with its own settings where they differ from its kind's.
///
/// The methods of [`Job`] with the same names make it.
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Serialize, Deserialize};
/// use twelve_worker::{Job, NewJob, Priority};
///
/// #[derive(Serialize, Deserialize)]
/// struct Remind { order: u64 }
///
/// impl Job for Remind { // or derive it
///     const KIND: &'static str = "remind";
/// }
///
/// let tomorrow: NewJob = Remind { order: 7 }
///     .after(Duration::from_hours(24))
///     .on_queue("mail")
///     .priority(Priority::Low)
///     .tag("vip")
///     .metadata("asked_by", "ada");
/// ```
#[derive(Debug)]
#[must_use = "it is not enqueued yet"]
pub struct NewJob(Result<Parts, Error>);

#[derive(Debug)]
struct Parts {
    draft: Draft,
    unique: Option<Unique>,
    metadata: Metadata,
}

impl NewJob {
    pub(crate) fn of<J: Job>(job: &J) -> Self {
        Self(parts(job))
    }

    /// To be run after this time, counted from the enqueue. The longest delay is ten years: longer ones become ten years.
    pub fn after(self, delay: Duration) -> Self {
        self.with(|job| job.draft.due = Due::After(delay))
    }

    /// To be run at this moment, or at once when it has passed.
    ///
    /// The moment is by this host's clock, and is compared with the database's clock.
    pub fn at(self, moment: SystemTime) -> Self {
        self.with(|job| job.draft.due = Due::At(moment))
    }

    /// In another queue than its kind's.
    pub fn on_queue(self, queue: impl Into<String>) -> Self {
        self.with(|job| job.draft.queue = Cow::Owned(queue.into()))
    }

    /// More or less urgent than its kind.
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|job| job.draft.priority = priority)
    }

    /// With more or fewer attempts than its kind: 1 to 100.
    pub fn attempts(self, attempts: u32) -> Self {
        self.checked(|job| {
            job.draft.max_attempts = attempts;
            check_attempts(attempts)
        })
    }

    /// A unique job, which runs once even if it is enqueued twice; this replaces the setting of its kind.
    pub fn unique(self, unique: Unique) -> Self {
        self.with(|job| job.unique = Some(unique))
    }

    /// With a tag, by which people find it.
    ///
    /// A job has at most 20 tags, each of 1 to 255 characters and without U+0000.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.checked(|job| add_tag(&mut job.draft.tags, tag.into()))
    }

    /// With metadata: a value beside the payload, such as who asked for the job.
    ///
    /// A handler reads it through an extractor of yours over [`JobRun::metadata`](crate::JobRun::metadata): see the example of [`JobRun`](crate::JobRun).
    ///
    /// The name has 1 to 255 characters; the value is anything that JSON can hold, but for U+0000 in its texts.
    /// All of a job's metadata together have at most 16 KiB.
    pub fn metadata(self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.checked(|job| job.metadata.set(name.into(), value))
    }

    fn with(self, change: impl FnOnce(&mut Parts)) -> Self {
        self.checked(|job| {
            change(job);
            Ok(())
        })
    }

    /// The first problem is the one that the enqueue reports.
    fn checked(self, change: impl FnOnce(&mut Parts) -> Result<(), String>) -> Self {
        Self(self.0.and_then(|mut job| match change(&mut job) {
            Ok(()) => Ok(job),
            Err(problem) => Err(refused(&job.draft.kind).with_source(problem)),
        }))
    }

    /// The job as the store takes it.
    ///
    /// # Errors
    ///
    /// The payload cannot be written as JSON or is too large, or a name or another setting is invalid.
    pub(crate) fn into_draft(self) -> Result<Draft, Error> {
        let Parts {
            mut draft,
            unique,
            metadata,
        } = self.0?;
        let wrong = |problem| refused(&draft.kind).with_source(problem);
        label::check(&draft.kind).map_err(|problem| wrong(format!("the kind {problem}")))?;
        label::check(&draft.queue).map_err(|problem| wrong(format!("the queue {problem}")))?;
        let metadata = metadata.into_json().map_err(wrong)?;
        let key = unique.map(|unique| unique.key_of(&draft.kind, &draft.payload));
        let key = key.transpose().map_err(wrong)?;
        draft.metadata = metadata;
        draft.unique = key;
        Ok(draft)
    }
}

fn parts<J: Job>(job: &J) -> Result<Parts, Error> {
    let payload =
        serde_json::to_string(job).map_err(|error| refused(J::KIND).with_source(error))?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        let problem = format!(
            "the payload has {} bytes, of which {MAX_PAYLOAD_BYTES} are allowed",
            payload.len()
        );
        return Err(refused(J::KIND).with_source(problem));
    }
    let policy = J::policy();
    policy
        .check()
        .map_err(|problem| refused(J::KIND).with_source(problem))?;
    Ok(Parts {
        unique: policy.uniqueness().cloned(),
        metadata: Metadata::default(),
        draft: Draft {
            id: JobId::new(),
            kind: Cow::Borrowed(J::KIND),
            payload,
            max_attempts: policy.max_attempts(),
            due: Due::Now,
            priority: policy.default_priority(),
            queue: policy.into_queue(),
            tags: Vec::new(),
            metadata: None,
            unique: None,
        },
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
    use crate::job::policy::Policy;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use twelve_core::chain;

    #[derive(Serialize, Deserialize)]
    struct Note(String);

    impl Job for Note {
        const KIND: &'static str = "note";
    }

    #[derive(Serialize, Deserialize)]
    struct Restock {
        sku: String,
    }

    impl Job for Restock {
        const KIND: &'static str = "restock";

        fn policy() -> Policy {
            let unique = Unique::fields(["sku"]);
            Policy::new().priority(Priority::High).unique(unique)
        }
    }

    fn restock() -> Restock {
        Restock { sku: "lamp".into() }
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
        assert_eq!((draft.due, draft.priority), (Due::Now, Priority::Normal));
        assert_eq!(
            (draft.tags.len(), draft.metadata, draft.unique),
            (0, None, None)
        );
        let draft = restock().into_new_job().into_draft().unwrap();
        assert_eq!(draft.priority, Priority::High);
        assert!(draft.unique.is_some());
    }

    #[test]
    fn one_job_may_say_otherwise() {
        let delay = Duration::from_secs(5);
        let job = Note(String::new()).after(delay).on_queue("slow");
        let draft = job.into_draft().unwrap();
        assert_eq!((&*draft.queue, draft.due), ("slow", Due::After(delay)));
        let job = restock().tag("eu").metadata("by", "ada").attempts(3);
        let draft = job.priority(Priority::Low).into_draft().unwrap();
        assert_eq!((draft.priority, draft.max_attempts), (Priority::Low, 3));
        assert_eq!(draft.tags, ["eu"]);
        assert_eq!(draft.metadata.unwrap(), r#"{"by":"ada"}"#);
    }

    #[test]
    fn one_job_may_be_unique_by_something_else_than_its_kind() {
        let key = |job: NewJob| job.into_draft().unwrap().unique.unwrap().key;
        let by_kind = key(restock().into_new_job());
        assert_eq!(key(restock().tag("eu")), by_kind);
        let other = restock().unique(Unique::key("lamp"));
        assert_ne!(key(other), by_kind);
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
        let field = restock().unique(Unique::fields(["shelf"]));
        assert_eq!(
            refusal(field),
            "the job `restock` cannot be enqueued: the payload has no field `shelf` to be unique by"
        );
        for (job, problem) in [
            (restock().attempts(0), "`attempts` is a number"),
            (restock().tag(""), "a tag has 1 to 255"),
            (restock().metadata("a", "\0"), "contains U+0000"),
            (restock().unique(Unique::key("")), "the key of a unique job"),
            (restock().tag("").attempts(0), "a tag has 1 to 255"),
        ] {
            let refusal = refusal(job);
            assert!(refusal.contains(problem), "{refusal}");
        }
    }
}
