//! The variables of a worker.

use twelve_core::{Config, Environment, Error, Reader};

use super::weights::Weights;
use crate::job::queues::{QueueNames, Queues};

/// The most jobs that one process may run at a time.
const MAX_CONCURRENCY: u32 = 1000;

/// What a worker process reads from its environment.
#[derive(Clone, Debug)]
pub struct Settings {
    concurrency: u32,
    queues: Option<QueueNames>,
    weights: Weights,
    waking: Waking,
    release: Option<String>,
}

impl Settings {
    pub(crate) fn read(environment: &Environment) -> Result<Self, Error> {
        environment.load("the worker is not configured")
    }

    /// How many jobs run at a time.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// The queues that `TWELVE_WORKER_QUEUES` names, of those that the process type takes; `None` when it is not set.
    #[must_use]
    pub fn queues(&self) -> Option<&[String]> {
        self.queues.as_ref().map(QueueNames::as_slice)
    }

    /// The queues of the process type, narrowed to those that `TWELVE_WORKER_QUEUES` names.
    pub(crate) fn narrow(&self, queues: Queues) -> Result<Queues, Error> {
        let Some(named) = self.queues() else {
            return Ok(queues);
        };
        match named.iter().find(|queue| !queues.takes(queue)) {
            None => Ok(Queues::only(named.to_vec())),
            Some(queue) => Err(Error::configuration(format!(
                "TWELVE_WORKER_QUEUES: queue `{queue}` is not for this process type, which takes {queues}"
            ))),
        }
    }

    /// The same, but so many jobs at a time.
    #[cfg(feature = "mail")]
    pub(crate) fn with_concurrency(self, concurrency: u32) -> Self {
        Self {
            concurrency,
            ..self
        }
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether the worker only polls, without wake-ups.
    pub(crate) fn is_poll_only(&self) -> bool {
        self.waking.is_poll_only
    }

    pub(crate) fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        // Of the default pool of ten connections, core allows eight to transactions. So no job waits for its `Tx`.
        let concurrency = reader.read(
            "TWELVE_WORKER_CONCURRENCY",
            Some("8"),
            "jobs that one worker process runs at a time; those with a `Tx` want two connections more in TWELVE_DATABASE_POOL",
        )?;
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            let fault = format!("not a number from 1 to {MAX_CONCURRENCY}");
            reader.reject("TWELVE_WORKER_CONCURRENCY", fault);
            return None;
        }
        let queues: Option<Option<QueueNames>> = reader.read(
            "TWELVE_WORKER_QUEUES",
            None,
            "the only queues that one worker process takes, of those that its process type does, such as mail,reports",
        );
        let weights: Option<Option<Weights>> = reader.read(
            "TWELVE_WORKER_WEIGHTS",
            None,
            "how often each queue has its turn, such as critical=4,reports=1; one that is not named has 1",
        );
        let waking = Waking::load(reader);
        let release = reader.read(
            "TWELVE_RELEASE",
            None,
            "what this release is called in listings, such as a version or a commit",
        );
        Some(Self {
            concurrency,
            queues: queues?,
            weights: weights?.unwrap_or_default(),
            waking: waking?,
            release: release?,
        })
    }
}

/// Whether workers are woken, which producers read too.
#[derive(Clone, Copy, Debug)]
pub struct Waking {
    pub(crate) is_poll_only: bool,
}

impl Waking {
    pub(crate) fn read(environment: &Environment) -> Result<Self, Error> {
        environment.load("the waking of workers is not configured")
    }
}

impl Config for Waking {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let is_poll_only = reader.read(
            "TWELVE_POLL_ONLY",
            Some("false"),
            "true: wake nobody and be woken by nobody, where LISTEN does not work; jobs are found within a second",
        )?;
        Some(Self { is_poll_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twelve_core::chain;

    #[test]
    fn a_worker_runs_eight_jobs_unless_told_otherwise() {
        let environment = Environment::default();
        assert_eq!(Settings::read(&environment).unwrap().concurrency(), 8);
        let environment = environment.with("TWELVE_WORKER_CONCURRENCY", "100");
        assert_eq!(Settings::read(&environment).unwrap().concurrency(), 100);
    }

    #[test]
    fn a_worker_takes_only_the_queues_that_it_is_told() {
        let told = |queues| Environment::default().with("TWELVE_WORKER_QUEUES", queues);
        let settings = Settings::read(&told("mail, reports")).unwrap();
        let narrowed = settings.narrow(Queues::all_except(["compute"])).unwrap();
        assert_eq!(narrowed, Queues::only(["mail", "reports"]));
        let error = settings.narrow(Queues::only(["compute"])).unwrap_err();
        assert!(error.is_configuration(), "{error}");
        for wrong in ["mail,,reports", "Bad Q", ","] {
            let error = Settings::read(&told(wrong)).unwrap_err();
            assert!(chain(&error).contains("is not a name"), "{error}");
        }
    }

    #[test]
    fn a_worker_without_slots_is_refused() {
        let environment = Environment::default().with("TWELVE_WORKER_CONCURRENCY", "0");
        let error = Settings::read(&environment).unwrap_err();
        assert!(chain(&error).contains("not a number from 1 to 1000"));
    }
}
