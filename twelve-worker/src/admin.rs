//! Jobs as people see them: list, show, retry, discard.

use std::sync::Arc;
use twelve_core::{Context, Error};

use crate::{
    JobId, Jobs,
    store::{Evidence, Filter, JobDetails, JobSummary, Store},
};

/// Looks at jobs and acts on them.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Arc<dyn Store>,
    jobs: Jobs,
}

impl Admin {
    /// For the jobs of this app.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `DATABASE_URL` is missing or wrong.
    pub fn of(context: &Context) -> Result<Self, Error> {
        let jobs = Jobs::of(context)?;
        Ok(Self {
            store: Arc::clone(jobs.store()),
            jobs,
        })
    }

    /// The jobs that match, the newest first.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<JobSummary>, Error> {
        self.store.list(filter).await
    }

    /// One job, with its payload and the evidence on its attempts; `None` when there is none of that name.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn show(&self, job: JobId) -> Result<Option<JobDetails>, Error> {
        self.store.show(job).await
    }

    /// Makes those of these jobs that wait, have failed or were discarded due now, with all their attempts granted again; tells which.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn retry(&self, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
        let retried = self.store.retry(jobs).await?;
        if !retried.is_empty() {
            self.jobs.wake();
        }
        Ok(retried)
    }

    /// Discards those of these jobs that wait or have failed; tells which. A running one is left: its handler cannot be stopped from here.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn discard(&self, jobs: &[JobId], reason: &str) -> Result<Vec<JobId>, Error> {
        self.store.discard(jobs, &Evidence::new(reason)).await
    }
}
