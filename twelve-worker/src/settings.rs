//! The variables of a worker.

use twelve_core::{Config, Environment, Error, Reader};

/// The most jobs that one process may run at a time.
const MAX_CONCURRENCY: u32 = 1000;

/// What a worker process reads from its environment.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    concurrency: u32,
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
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        // Eight is what core lets transactions take of the default pool of ten: no job then waits for its `Tx`.
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
        Some(Self { concurrency })
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
    fn a_worker_without_slots_is_refused() {
        let environment = Environment::default().with("TWELVE_WORKER_CONCURRENCY", "0");
        let error = Settings::read(&environment).unwrap_err();
        assert!(chain(&error).contains("not a number from 1 to 1000"));
    }
}
