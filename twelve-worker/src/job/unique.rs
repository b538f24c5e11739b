//! Unique jobs: when two are the same, and what happens to the second.

use sha2::{Digest as _, Sha256};
use std::{borrow::Cow, time::Duration};
use twelve_core::Error;
use uuid::{Builder, Uuid};

use super::{
    canonical::{Members, canonical, members},
    id::JobId,
};

/// The longest time for which a key can be held.
const MAX_PERIOD: Duration = Duration::from_hours(365 * 24);

/// Deduplicates jobs: of several that are the same, one runs.
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Job, Jobs};
/// use twelve_worker::Unique;
/// # #[derive(Serialize, Deserialize)] struct Restock { order: u64, sku: String }
/// # impl Job for Restock { const KIND: &'static str = "restock"; }
///
/// # async fn handler(jobs: Jobs) -> Result<(), twelve_core::Error> {
/// let job = Restock { order: 7, sku: "lamp".to_owned() };
/// let once_an_hour = Unique::fields(["sku"]).within(Duration::from_hours(1));
/// jobs.enqueue(job.unique(once_an_hour)).await?;
/// # Ok(())
/// # }
/// ```
///
/// For all jobs of a kind, `#[job(unique)]` and `#[job(unique("sku"), unique_within = "1h")]` say the same.
///
/// # When two jobs are the same
///
/// They have one kind, and one [`payload`](Self::payload), or the same values in chosen [`fields`](Self::fields), or the same [`key`](Self::key).
/// They may be in different queues.
/// The order in which a map's entries are written does not matter.
///
/// # How long
///
/// A job holds its key until it has ended: done, failed, discarded or cancelled.
/// A job that waits for its next attempt holds it still.
/// With [`until_started`](Self::until_started) the key is free as soon as the job runs.
/// With [`within`](Self::within) it is held for at least that time, even if the job has ended before.
/// A job that has ended and is retried by hand takes its key again; if another job holds that, it is not retried.
///
/// # What becomes of the second
///
/// [`keep`](Self::keep), [`replace`](Self::replace) or [`reject`](Self::reject).
/// Two jobs that are enqueued at the same moment are deduplicated as reliably as two with a day between them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it belongs to a job or a policy"]
pub struct Unique {
    by: By,
    until: Until,
    period: Option<Duration>,
    on_conflict: OnConflict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Payload,
    Fields(Vec<Cow<'static, str>>),
    Key(String),
}

impl Unique {
    /// Jobs of one kind with the same payload are the same.
    pub fn payload() -> Self {
        Self::by(By::Payload)
    }

    /// Jobs of one kind with the same values in these fields are the same.
    ///
    /// The names are those of the payload's JSON, at its top level.
    /// A job whose payload lacks one of them is not enqueued: the error names it.
    pub fn fields<F: Into<Cow<'static, str>>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::by(By::Fields(fields.into_iter().map(Into::into).collect()))
    }

    /// Jobs of one kind with the same key are the same, whatever their payloads say.
    pub fn key(text: impl Into<String>) -> Self {
        Self::by(By::Key(text.into()))
    }

    fn by(by: By) -> Self {
        Self {
            by,
            until: Until::Ended,
            period: None,
            on_conflict: OnConflict::Keep,
        }
    }

    /// Holds the key for at least this time from the enqueue, even if the job has ended before. The longest time is a year.
    pub fn within(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Holds the key until the job runs: a job that is enqueued while it runs is new, and sees later changes.
    pub fn until_started(mut self) -> Self {
        self.until = Until::Started;
        self
    }

    /// The second job is not enqueued: the answer names the first. This is the default.
    pub fn keep(mut self) -> Self {
        self.on_conflict = OnConflict::Keep;
        self
    }

    /// The first job gets the payload, the time, the priority, the tags and the metadata of the second, as long as it has not started.
    ///
    /// If the first has started or ended, the second is a new job that takes over the key, even [`within`](Self::within) its period, which then begins again.
    /// So several jobs may run in one period. Where only one may run, use [`keep`](Self::keep).
    pub fn replace(mut self) -> Self {
        self.on_conflict = OnConflict::Replace;
        self
    }

    /// The second job is rejected with an error, of which [`Error::is_duplicate`] is true.
    pub fn reject(mut self) -> Self {
        self.on_conflict = OnConflict::Reject;
        self
    }

    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn check(&self) -> Result<(), String> {
        if matches!(&self.by, By::Fields(fields) if fields.is_empty()) {
            return Err("a unique job names at least one field".to_owned());
        }
        if matches!(&self.by, By::Key(text) if text.is_empty()) {
            return Err("the key of a unique job is empty".to_owned());
        }
        let wrong = |period: &Duration| period.is_zero() || *period > MAX_PERIOD;
        if self.period.as_ref().is_some_and(wrong) {
            return Err("a key is held for more than no time, and at most 365 days".to_owned());
        }
        Ok(())
    }

    /// What a store needs to know of a job with this payload.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn key_of(&self, kind: &str, payload: &str) -> Result<UniqueKey, String> {
        self.check()?;
        let (by, same) = match &self.by {
            By::Payload => ("payload", canonical(payload)?),
            By::Fields(names) => ("fields", canonical(&chosen(names, payload)?)?),
            By::Key(text) => ("key", quoted(text)),
        };
        Ok(UniqueKey {
            key: hash(&format!("[{},{},{same}]", quoted(kind), quoted(by))),
            until: self.until,
            period: self.period,
            on_conflict: self.on_conflict,
        })
    }
}

/// An object of those members of the payload.
fn chosen(names: &[Cow<'static, str>], payload: &str) -> Result<String, String> {
    let Some(members) = members(payload) else {
        return Err("the payload is no object, so it has no fields to be unique by".to_owned());
    };
    let mut chosen = Members::new();
    for name in names {
        let Some(value) = members.get(&**name) else {
            return Err(format!("the payload has no field `{name}` to be unique by"));
        };
        chosen.insert(name.to_string(), *value);
    }
    serde_json::to_string(&chosen).map_err(|error| error.to_string())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Sixteen bytes of SHA-256: a collision is infeasible, and every store has a type for them.
fn hash(text: &str) -> Uuid {
    let [first, _] = *Sha256::digest(text).as_chunks::<16>().0 else {
        unreachable!("SHA-256 has 32 bytes");
    };
    Builder::from_custom_bytes(first).into_uuid()
}

/// The error that rejects a duplicate of this job.
pub(crate) fn duplicate_of(kind: &str, other: JobId) -> Error {
    Error::duplicate(format!("the job `{kind}` is a duplicate of job {other}"))
}

/// What a store needs to know of a unique job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// A hash over the kind and what the job is unique by: a UUID of version 8.
    pub key: Uuid,
    /// Until when the job holds it.
    pub until: Until,
    /// For how long it is held at least, from the enqueue on.
    pub period: Option<Duration>,
    /// What happens to a second job.
    pub on_conflict: OnConflict,
}

/// Until when a job holds its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it runs: while it waits or is scheduled.
    Started,
    /// Until it has ended: while it runs, too.
    Ended,
}

/// What happens to a job whose key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The holder stays as it is.
    Keep,
    /// The holder gets the contents of this one; a holder that runs loses its key.
    Replace,
    /// It is rejected.
    Reject,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTOCK: &str = r#"{"sku":"lamp","order":7,"note":null}"#;

    fn key(unique: &Unique, payload: &str) -> Uuid {
        unique.key_of("restock", payload).unwrap().key
    }

    #[test]
    fn jobs_with_one_payload_are_the_same() {
        let unique = Unique::payload();
        let same = r#"{ "note": null, "order": 7, "sku": "lamp" }"#;
        assert_eq!(key(&unique, RESTOCK), key(&unique, same));
        let other = r#"{"sku":"lamp","order":8,"note":null}"#;
        assert_ne!(key(&unique, RESTOCK), key(&unique, other));
    }

    #[test]
    fn jobs_with_the_same_chosen_fields_are_the_same() {
        let unique = Unique::fields(["sku", "order"]);
        let same = r#"{"order":7,"sku":"lamp","note":"urgent"}"#;
        assert_eq!(key(&unique, RESTOCK), key(&unique, same));
        let turned = Unique::fields(["order".to_owned(), "sku".to_owned()]);
        assert_eq!(key(&unique, RESTOCK), key(&turned, same));
        assert_ne!(key(&unique, RESTOCK), key(&Unique::fields(["sku"]), same));
    }

    #[test]
    fn jobs_with_one_key_are_the_same_whatever_they_carry() {
        let unique = Unique::key("nightly");
        assert_eq!(key(&unique, RESTOCK), key(&unique, "null"));
        assert_ne!(key(&unique, "null"), key(&Unique::key("daily"), "null"));
    }

    #[test]
    fn another_kind_or_another_way_to_compare_is_another_key() {
        let keys = [
            Unique::payload().key_of("restock", r#""a""#).unwrap().key,
            Unique::payload().key_of("refund", r#""a""#).unwrap().key,
            Unique::key("a").key_of("restock", r#""a""#).unwrap().key,
        ];
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }

    /// Two releases that run side by side must compute the same key, or both enqueue.
    #[test]
    fn the_key_of_a_job_never_changes() {
        let unique = Unique::fields(["order", "sku"]);
        let expected = "4f043837-833d-8793-bf5c-189bef26d387";
        assert_eq!(key(&unique, RESTOCK).to_string(), expected);
        assert_eq!(key(&unique, RESTOCK).get_version_num(), 8);
    }

    #[test]
    fn a_field_that_is_not_there_is_named() {
        let refusal = |fields: &'static [&'static str], payload| {
            let unique = Unique::fields(fields.iter().copied());
            unique.key_of("restock", payload).unwrap_err()
        };
        let missing = "the payload has no field `shelf` to be unique by";
        assert_eq!(refusal(&["sku", "shelf"], RESTOCK), missing);
        let no_object = "the payload is no object, so it has no fields to be unique by";
        assert_eq!(refusal(&["sku"], "[1]"), no_object);
        let none = "a unique job names at least one field";
        assert_eq!(refusal(&[], RESTOCK), none);
    }

    #[test]
    fn a_key_and_its_period_are_bounded() {
        for wrong in [
            Unique::key(""),
            Unique::payload().within(Duration::ZERO),
            Unique::payload().within(MAX_PERIOD + Duration::from_secs(1)),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert_eq!(Unique::payload().within(MAX_PERIOD).check(), Ok(()));
    }

    #[test]
    fn a_store_hears_how_long_and_what_then() {
        let hour = Duration::from_hours(1);
        let by_default = Unique::payload().key_of("restock", "1").unwrap();
        assert_eq!(by_default.until, Until::Ended);
        assert_eq!(by_default.on_conflict, OnConflict::Keep);
        assert_eq!(by_default.period, None);
        let unique = Unique::payload().within(hour).until_started().replace();
        let told = unique.key_of("restock", "1").unwrap();
        assert_eq!((told.until, told.period), (Until::Started, Some(hour)));
        assert_eq!(told.on_conflict, OnConflict::Replace);
        let told = unique.reject().key_of("restock", "1").unwrap();
        assert_eq!(told.on_conflict, OnConflict::Reject);
    }

    #[test]
    fn a_refusal_names_the_other_job() {
        let other = JobId::new();
        let error = duplicate_of("restock", other);
        assert!(error.is_duplicate());
        let text = format!("the job `restock` is a duplicate of job {other}");
        assert_eq!(error.to_string(), text);
    }
}
