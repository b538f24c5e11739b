//! Administration: looking at jobs, and acting on them.

use std::sync::Arc;
use twelve_core::{Context, Error, FromContext, Needs, Run, extractable};

use crate::{
    enqueue::jobs::Jobs,
    job::{draft::Due, id::JobId, label},
    store::{
        Store,
        listing::{Filter, JobDetails, JobSummary, WorkerSummary},
        model::FailureText,
        state::State,
        verbs::{Cancellation, Pausable, Paused},
        why::Why,
    },
};

/// How many jobs one statement changes: more would hold row locks for too long.
const BATCH: usize = 1000;

/// Looks at jobs and acts on them, for the workers on all hosts.
///
/// ```no_run
/// # use twelve_core::Error;
/// # use twelve_worker::{Act, Admin, Filter, Pausable};
/// # async fn example(jobs: Admin) -> Result<(), Error> {
/// // The provider is down: after a second no job of this kind starts, on any host.
/// jobs.pause(&Pausable::Kind("charge_order".into())).await?;
/// // The provider is up again: jobs that failed meanwhile get all their attempts again.
/// jobs.resume(&Pausable::Kind("charge_order".into())).await?;
/// let charges = Filter::new().kind("charge_order");
/// let retried = jobs.act(&Act::Retry, &charges, |so_far| println!("{}", so_far.acted)).await?;
/// println!("{} jobs run again", retried.acted);
/// # Ok(())
/// # }
/// ```
///
/// A handler of any kind takes it as an argument.
#[derive(Clone, Debug)]
pub struct Admin {
    store: Arc<dyn Store>,
    jobs: Jobs,
}

/// An action on all jobs that match a filter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Act {
    /// Run again now, with all attempts. Those that have failed, unless the filter names states.
    Retry,
    /// Give up, for this reason; a running one is left alone.
    Discard(String),
    /// Stop, for this reason; a running one too.
    Cancel(String),
    /// Be due then; a running one is left alone.
    Reschedule(Due),
}

/// The progress of an action on many jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Jobs that were changed.
    pub acted: u64,
    /// Running jobs whose cancellation was requested.
    pub requested: u64,
    /// Jobs that were not changed: they had another state by then, or, for a retry, another job holds their unique key.
    pub left: u64,
}

impl Act {
    /// The states of jobs that the action applies to.
    fn states(&self) -> &'static [State] {
        match self {
            Self::Retry => &[
                State::Failed,
                State::Discarded,
                State::Cancelled,
                State::Waiting,
                State::Scheduled,
            ],
            Self::Discard(_) => &[State::Waiting, State::Scheduled, State::Failed],
            Self::Cancel(_) => &[State::Waiting, State::Scheduled, State::Running],
            Self::Reschedule(_) => &[State::Waiting, State::Scheduled],
        }
    }

    /// The same filter, narrowed to those states.
    fn narrow(&self, filter: &Filter) -> Result<Filter, Error> {
        let able = self.states();
        let mut narrowed = filter.clone();
        if filter.states.is_empty() {
            narrowed.states = match self {
                Self::Retry => vec![State::Failed],
                _ => able.to_vec(),
            };
        } else if let Some(other) = filter.states.iter().find(|state| !able.contains(state)) {
            let able: Vec<_> = able.iter().map(|state| state.name()).collect();
            return Err(Error::usage(format!(
                "that cannot be done to jobs that are {other}: only to those that are {}",
                able.join(", ")
            )));
        }
        Ok(narrowed)
    }
}

impl Admin {
    /// The administration of this app's jobs. [`Run::context`](twelve_core::Run::context) has the context.
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

    /// How many jobs match. It reads all jobs that there are: with millions of them, that takes seconds.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn count(&self, filter: &Filter) -> Result<u64, Error> {
        self.store.count(filter).await
    }

    /// One job, with its payload and the errors of its attempts; `None` when there is no job with this id.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn show(&self, job: JobId) -> Result<Option<JobDetails>, Error> {
        self.store.show(job).await
    }

    /// The state of a job, and why it does not run.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn why(&self, job: JobId) -> Result<Why, Error> {
        self.store.why(job).await
    }

    /// The workers that are registered, on all hosts. One that has died is listed until its heartbeat is missed, up to 30 s.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn workers(&self) -> Result<Vec<WorkerSummary>, Error> {
        self.store.workers().await
    }

    /// Makes jobs due now and grants them all their attempts again, if they wait, have failed, or were discarded or cancelled. Returns which.
    ///
    /// A [unique](crate::Unique) job that had ended takes its key again. If another job holds the key, it stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn retry(&self, jobs: &[JobId]) -> Result<Vec<JobId>, Error> {
        let mut retried = Vec::new();
        for batch in jobs.chunks(BATCH) {
            retried.extend(self.store.retry(batch).await?);
        }
        self.wake_for(&retried);
        Ok(retried)
    }

    /// Discards those of these jobs that wait or have failed; returns which. A running job is not changed: [`cancel`](Self::cancel) stops it.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn discard(&self, jobs: &[JobId], reason: &str) -> Result<Vec<JobId>, Error> {
        let reason = FailureText::new(reason);
        let mut discarded = Vec::new();
        for batch in jobs.chunks(BATCH) {
            discarded.extend(self.store.discard(batch, &reason).await?);
        }
        Ok(discarded)
    }

    /// Cancels those of these jobs that wait, and requests the cancellation of those that run.
    ///
    /// A handler that takes [`Cancel`](crate::Cancel) sees the request within a second; any other is stopped at its next `await`.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn cancel(&self, jobs: &[JobId], reason: &str) -> Result<Cancellation, Error> {
        let reason = FailureText::new(reason);
        let mut all = Cancellation::default();
        for batch in jobs.chunks(BATCH) {
            let Cancellation {
                cancelled,
                requested,
            } = self.store.cancel(batch, &reason).await?;
            all.cancelled.extend(cancelled);
            all.requested.extend(requested);
        }
        Ok(all)
    }

    /// Changes the due time of those of these jobs that wait; returns which.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is; another error for a time after the year 9999.
    pub async fn reschedule(&self, jobs: &[JobId], due: Due) -> Result<Vec<JobId>, Error> {
        let mut moved = Vec::new();
        for batch in jobs.chunks(BATCH) {
            moved.extend(self.store.reschedule(batch, due).await?);
        }
        self.wake_for(&moved);
        Ok(moved)
    }

    /// How many jobs [`act`](Self::act) would apply to.
    ///
    /// # Errors
    ///
    /// As [`act`](Self::act).
    pub async fn count_for(&self, act: &Act, filter: &Filter) -> Result<u64, Error> {
        self.store.count(&act.narrow(filter)?).await
    }

    /// Applies an action to all jobs that match and existed when it began, a thousand at a time, the oldest first; calls `progress` after each batch.
    ///
    /// Each batch is a transaction of its own: an action that was interrupted is done in part, and can be started again.
    ///
    /// # Errors
    ///
    /// [`Error::is_usage`] when the filter names a state to whose jobs it cannot be done; [`Error::is_unavailable`] when the store is.
    pub async fn act(
        &self,
        act: &Act,
        filter: &Filter,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Progress, Error> {
        let filter = act.narrow(filter)?;
        let mut so_far = Progress::default();
        // Without an upper bound, jobs that are enqueued meanwhile would keep this going for ever.
        let newest = self.store.list(&filter.clone().limit(1)).await?;
        let Some(last) = newest.first().map(|job| job.id) else {
            return Ok(so_far);
        };
        let mut after = None;
        loop {
            let batch = self.store.matching(&filter, after, last, BATCH).await?;
            let Some(end) = batch.last() else {
                return Ok(so_far);
            };
            after = Some(*end);
            let (acted, requested) = self.act_on(act, &batch).await?;
            so_far.acted += acted as u64;
            so_far.requested += requested as u64;
            so_far.left += (batch.len() - acted - requested) as u64;
            progress(so_far);
        }
    }

    /// The number of jobs that were changed, and of requested cancellations.
    async fn act_on(&self, act: &Act, jobs: &[JobId]) -> Result<(usize, usize), Error> {
        Ok(match act {
            Act::Retry => (self.retry(jobs).await?.len(), 0),
            Act::Discard(reason) => (self.discard(jobs, reason).await?.len(), 0),
            Act::Cancel(reason) => {
                let Cancellation {
                    cancelled,
                    requested,
                } = self.cancel(jobs, reason).await?;
                (cancelled.len(), requested.len())
            }
            Act::Reschedule(due) => (self.reschedule(jobs, *due).await?.len(), 0),
        })
    }

    /// Pauses a queue or a kind: within a second no worker starts a job of it, and those that run go on. False, when it was paused before.
    ///
    /// # Errors
    ///
    /// [`Error::is_usage`] when nothing can have that name; [`Error::is_unavailable`] when the store is.
    pub async fn pause(&self, what: &Pausable) -> Result<bool, Error> {
        label::check(what.name())
            .map_err(|problem| Error::usage(format!("the {} {problem}", what.what())))?;
        self.store.pause(what).await
    }

    /// Was any job ever enqueued on this queue?
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn has_queue(&self, queue: &str) -> Result<bool, Error> {
        self.store.has_queue(queue).await
    }

    /// Ends a pause; false, when there was none.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is. Jobs that are still parked then are moved to their lanes by workers within a minute.
    pub async fn resume(&self, what: &Pausable) -> Result<bool, Error> {
        let is_news = self.store.resume(what).await?;
        self.jobs.wake();
        Ok(is_news)
    }

    /// What is paused.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when the store is.
    pub async fn paused(&self) -> Result<Vec<Paused>, Error> {
        self.store.paused().await
    }

    fn wake_for(&self, jobs: &[JobId]) {
        if !jobs.is_empty() {
            self.jobs.wake();
        }
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Admin {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.context())
    }
}

extractable!(impl for Admin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_concerns_only_jobs_that_it_can_be_done_to() {
        let any = Filter::new().kind("charge");
        assert_eq!(Act::Retry.narrow(&any).unwrap().states, [State::Failed]);
        let cancel = Act::Cancel("by hand".into());
        assert!(
            cancel
                .narrow(&any)
                .unwrap()
                .states
                .contains(&State::Running)
        );
        let done = any.state(State::Done);
        let error = cancel.narrow(&done).unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert!(
            error.to_string().contains("waiting, scheduled, running"),
            "{error}"
        );
    }
}
