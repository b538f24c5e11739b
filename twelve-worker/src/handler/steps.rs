//! `Steps`: effects outside the database, recorded across attempts.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use twelve_core::{Error, Failure, FromContext, Needs, Run};

use super::run::JobRun;
use crate::{
    enqueue::jobs::Jobs,
    store::{
        Store,
        model::{Lease, Recorded},
    },
};

/// The longest idempotency key that services commonly accept; a job's id and a colon take 37 characters of it.
const MAX_KEY_LEN: usize = 255;

/// Records the effects of a job outside the database, so that a later attempt does not repeat them.
///
/// ```no_run
/// # use serde::{Serialize, Deserialize};
/// # use twelve_worker::{Job, Steps, StepKey};
/// # #[derive(Serialize, Deserialize)] struct Charge;
/// # impl Job for Charge { const KIND: &'static str = "charge"; }
/// # async fn pay(_key: StepKey) -> Result<String, std::io::Error> { Ok(String::new()) }
/// async fn charge(job: Charge, steps: Steps) -> twelve_core::Result<()> {
///     let charge = steps.once("charge", |key| pay(key)).await?;
///     # let _: String = charge;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Steps {
    store: Arc<dyn Store>,
    lease: Lease,
    begun: Arc<Mutex<HashSet<String>>>,
}

impl Steps {
    /// Runs a step, unless an earlier attempt has recorded its result: then returns that result.
    ///
    /// The step gets a key that is the same in every attempt at this job.
    /// Pass it on as the idempotency key, since a worker can die between the effect and its record.
    /// The result is recorded at once, outside of the handler's `Tx`, so it stays when the handler fails afterwards.
    /// A step that fails records nothing, and may run again in this attempt or the next.
    ///
    /// # Errors
    ///
    /// That of the step; [`Error::is_lost_lease`] when the job was taken back in the meantime; [`Error::is_unavailable`] when the result cannot be recorded; another [`Error`] when the name was used before in this attempt, is not ASCII or is too long, or the result is not JSON.
    pub async fn once<T, E, S, Fut>(&self, name: &str, step: S) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        E: Into<Failure>,
        S: FnOnce(StepKey) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let key = StepKey::new(self.lease, name)?;
        let begun = Begun::new(&self.begun, name)?;
        if let Some(before) = self.store.step(self.lease.job, name).await? {
            begun.recorded();
            return Ok(read(name, &before)?);
        }
        let value = step(key).await.map_err(Into::into)?;
        let value = self.record(name, value).await?;
        begun.recorded();
        Ok(value)
    }

    async fn record<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        value: T,
    ) -> Result<T, Error> {
        let result = serde_json::to_string(&value).map_err(|error| {
            Error::internal(format!("the result of step `{name}` is not JSON")).with_source(error)
        })?;
        match self.store.record_step(self.lease, name, &result).await? {
            Recorded::First => Ok(value),
            Recorded::Before(before) => read(name, &before),
            Recorded::Refused => Err(Error::lost_lease(format!(
                "the job was taken back before the result of step `{name}` could be recorded"
            ))),
        }
    }
}

fn read<T: DeserializeOwned>(name: &str, result: &str) -> Result<T, Error> {
    serde_json::from_str(result).map_err(|error| {
        Error::internal(format!(
            "the recorded result of step `{name}` cannot be read"
        ))
        .with_source(error)
    })
}

/// The name of a step that runs or is recorded. It is free again when the step fails.
struct Begun<'s> {
    names: &'s Mutex<HashSet<String>>,
    name: Option<&'s str>,
}

impl<'s> Begun<'s> {
    fn new(names: &'s Mutex<HashSet<String>>, name: &'s str) -> Result<Self, Error> {
        if !lock(names).insert(name.to_owned()) {
            return Err(Error::internal(format!(
                "the step `{name}` was done already in this attempt: give each step a name of its own"
            )));
        }
        Ok(Self {
            names,
            name: Some(name),
        })
    }

    /// The result is recorded: the name stays taken.
    fn recorded(mut self) {
        self.name = None;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name {
            lock(self.names).remove(name);
        }
    }
}

/// A panic while the lock was held cannot leave the set half changed.
fn lock(names: &Mutex<HashSet<String>>) -> std::sync::MutexGuard<'_, HashSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Steps").field(&self.lease).finish()
    }
}

impl FromContext<JobRun> for Steps {
    fn needs(needs: &mut Needs) {
        needs.add::<Jobs>();
    }

    async fn from_context(run: &Run<JobRun>) -> Result<Self, Error> {
        Ok(Self {
            store: Arc::clone(Jobs::of(run.context())?.store()),
            lease: run.kind().lease(),
            begun: Arc::clone(run.kind().steps()),
        })
    }
}

/// The key of one step of one job: the same in every attempt, and never the same for another.
///
/// It is `{job id}:{name}`, at most 255 characters of ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepKey(String);

impl StepKey {
    fn new(lease: Lease, name: &str) -> Result<Self, Error> {
        let key = format!("{}:{name}", lease.job);
        if name.is_empty() || key.len() > MAX_KEY_LEN || !name.bytes().all(|c| c.is_ascii_graphic())
        {
            return Err(Error::internal(format!(
                "`{name}` is not the name of a step: write 1 to {} visible characters of ASCII",
                MAX_KEY_LEN - 37
            )));
        }
        Ok(Self(key))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for StepKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<StepKey> for String {
    fn from(key: StepKey) -> Self {
        key.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::id::JobId;

    fn lease() -> Lease {
        Lease {
            job: JobId::new(),
            epoch: 1,
        }
    }

    #[test]
    fn a_key_is_stable_across_attempts() {
        let first = lease();
        let second = Lease { epoch: 2, ..first };
        let key = StepKey::new(first, "charge").unwrap();
        assert_eq!(key.as_str(), format!("{}:charge", first.job));
        assert_eq!(StepKey::new(second, "charge").unwrap(), key);
        assert_ne!(StepKey::new(lease(), "charge").unwrap(), key);
    }

    #[test]
    fn a_key_fits_where_keys_go() {
        let longest = "a".repeat(218);
        assert_eq!(StepKey::new(lease(), &longest).unwrap().as_str().len(), 255);
        for wrong in ["", "a b", "é", "a\n", &"a".repeat(219)] {
            assert!(StepKey::new(lease(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_step_that_failed_may_be_begun_again() {
        let names = Mutex::default();
        drop(Begun::new(&names, "charge").unwrap());
        Begun::new(&names, "charge").unwrap().recorded();
        assert!(Begun::new(&names, "charge").is_err());
    }
}
