//! Jobs as people see them: list, show, retry, discard, count.

use serde::Serialize;
use std::{collections::HashSet, sync::Arc};
use twelve_core::{Context, Error};

use crate::{
    JobId, Jobs,
    store::{Count, Evidence, Filter, JobDetails, JobSummary, State, Store},
};

/// The most jobs that one action may change.
const MAX_SELECTED: usize = 10_000;

/// Looks at jobs and acts on them.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Arc<dyn Store>,
    jobs: Jobs,
}

/// Which jobs an action is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Selection {
    /// These.
    Jobs(Vec<JobId>),
    /// Those that match, the newest first, up to the filter's limit.
    ///
    /// A filter without a state selects failed jobs: nothing else asks for a hand by itself.
    Matching(Filter),
}

/// What became of jobs that were to be discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Discarded {
    /// They will not run.
    pub discarded: Vec<JobId>,
    /// They were refused: they are running, or finished already, or do not exist.
    pub refused: Vec<JobId>,
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

    /// Makes waiting, failed and discarded jobs due now, with all their attempts granted again; tells which.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn retry(&self, selection: &Selection) -> Result<Vec<JobId>, Error> {
        let ids = self.select(selection).await?;
        let retried = self.store.retry(&ids).await?;
        if !retried.is_empty() {
            self.jobs.wake();
        }
        Ok(retried.into_iter().map(|(id, _)| id).collect())
    }

    /// Discards waiting and failed jobs. A running one is refused: its handler cannot be stopped from here.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn discard(&self, selection: &Selection, reason: &str) -> Result<Discarded, Error> {
        let ids = self.select(selection).await?;
        let discarded = self.store.discard(&ids, &Evidence::new(reason)).await?;
        let known: HashSet<_> = discarded.iter().collect();
        let refused = ids
            .iter()
            .filter(|id| !known.contains(id))
            .copied()
            .collect();
        Ok(Discarded { discarded, refused })
    }

    /// How many jobs there are of each queue and state.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn counts(&self) -> Result<Vec<Count>, Error> {
        self.store.counts().await
    }

    async fn select(&self, selection: &Selection) -> Result<Vec<JobId>, Error> {
        match selection {
            Selection::Jobs(ids) => Ok(ids.iter().copied().take(MAX_SELECTED).collect()),
            Selection::Matching(filter) => {
                let mut filter = filter.clone();
                filter.limit = filter.limit.min(MAX_SELECTED);
                if filter.states.is_empty() {
                    filter.states.push(State::Failed);
                }
                let found = self.store.list(&filter).await?;
                Ok(found.into_iter().map(|job| job.id).collect())
            }
        }
    }
}
