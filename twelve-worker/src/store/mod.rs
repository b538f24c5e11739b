//! The store, where jobs live: what any store must do, in the words of the domain.
//!
//! A store makes no decision about a job: the engine tells it how an attempt ended.
//! It keeps three promises, which the conformance suite checks:
//!
//! - a job is held by at most one worker, and only the claim with the highest epoch can be acked;
//! - a job is never lost between two states: every verb is one atomic move;
//! - all times are of the store's own clock, so a wrong clock of a worker does no harm.

#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod listing;
pub(crate) mod model;
pub mod postgres;
pub(crate) mod retry;
pub(crate) mod state;
pub(crate) mod timetable;
pub(crate) mod verbs;
pub(crate) mod why;

pub use crate::job::draft::{Draft, Due};
pub use listing::{Filter, JobDetails, JobError, JobSummary, WorkerSummary};
pub use model::{
    Ack, Acked, Batch, Beat, Claim, Claimed, Done, FailureText, Lane, Lease, Level, Observation,
    Profile, Recorded, Rescued, Retention, Survey, Wake,
};
pub use postgres::schedules::ScheduleStore;
pub use state::Cause;
pub use state::State;
pub use timetable::{DueTicks, Fired, Registration, ScheduleState, Timetable};
pub use verbs::{Cancellation, Pausable, Paused};
pub use why::{Reason, Why};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use std::{fmt, sync::Arc};
use twelve_core::{Db, Error};

use self::postgres::PostgresStore;
use crate::job::{
    enqueued::Enqueued,
    id::{ClaimId, JobId, WorkerId},
    queues::Queues,
};

/// Opens the store of a process. Only this function decides which store that is.
pub(crate) fn open(db: Db) -> Arc<dyn Store> {
    Arc::new(PostgresStore::new(db))
}

/// The answer to a verb of a store.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Where jobs live.
///
/// `enqueue_in` and `ack_in` name Postgres, whatever the store is: `Tx` is a transaction on the app's own Postgres.
/// A store on another server would write to an outbox in that Postgres.
pub trait Store: Producing + Working + Controlling {}

impl<S: Producing + Working + Controlling> Store for S {}

/// What producers need.
pub trait Producing: fmt::Debug + Send + Sync + 'static {
    /// Adds these jobs, all or none; returns the result for each.
    fn enqueue(&self, drafts: Vec<Draft>) -> Answer<'_, Vec<Enqueued>>;

    /// Adds these jobs when the transaction on this connection commits.
    fn enqueue_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        drafts: Vec<Draft>,
    ) -> Answer<'a, Vec<Enqueued>>;

    /// Tells workers everywhere that there may be jobs on these queues.
    fn wake<'a>(&'a self, queues: &'a [String]) -> Answer<'a, ()>;
}

/// What workers need.
pub trait Working: fmt::Debug + Send + Sync + 'static {
    /// Surveys these queues: what there is to do.
    fn survey<'a>(&'a self, queues: &'a Queues) -> Answer<'a, Survey>;

    /// Moves at most `limit` due jobs from the schedule to their lanes; returns how many.
    fn promote(&self, limit: usize) -> Answer<'_, usize>;

    /// Claims jobs for a worker. A worker that is not registered gets none.
    ///
    /// Within a lane the oldest job comes first.
    fn claim<'a>(&'a self, claim: &'a Claim) -> Answer<'a, Batch>;

    /// Records that jobs are done, and forgets claims whose jobs have all ended. Returns the leases that no longer held.
    fn done<'a>(
        &'a self,
        worker: WorkerId,
        done: &'a [Done],
        ended: &'a [ClaimId],
    ) -> Answer<'a, Vec<Lease>>;

    /// Records how an attempt ended, if the lease still holds.
    fn ack<'a>(&'a self, worker: WorkerId, lease: Lease, ack: &'a Ack) -> Answer<'a, Acked>;

    /// Records how an attempt ended when the transaction on this connection commits, if the lease still holds.
    fn ack_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        worker: WorkerId,
        lease: Lease,
        ack: &'a Ack,
    ) -> Answer<'a, Acked>;

    /// Releases leases of jobs that did not end. Those jobs go first, in this order, and no attempt is spent. Returns how many leases still held.
    fn release<'a>(&'a self, leases: &'a [Lease]) -> Answer<'a, usize>;

    /// Releases a claim whose answer was lost; returns how many jobs it held.
    fn release_claim(&self, worker: WorkerId, claim: ClaimId) -> Answer<'_, usize>;

    /// The claims that the store has for this worker.
    fn claims_of(&self, worker: WorkerId) -> Answer<'_, Vec<ClaimId>>;

    /// The cancellation requests for these jobs, with their reasons.
    fn cancellations<'a>(&'a self, held: &'a [Lease]) -> Answer<'a, Vec<(Lease, String)>>;

    /// Writes the heartbeat of one worker, on a connection of its own.
    fn heartbeat_writer(&self) -> Box<dyn HeartbeatWriter>;

    /// Forgets a worker that has stopped.
    fn deregister(&self, worker: WorkerId) -> Answer<'_, ()>;

    /// The heartbeats of all workers.
    fn observe(&self) -> Answer<'_, Observation>;

    /// Declares a worker dead unless its heartbeat has changed since: takes its jobs back, as suspects.
    ///
    /// The crash counts only for a suspect that was the worker's only job; after three in a row that job has failed.
    /// A job whose ack is being committed at this moment is left to [`rescue_orphans`](Self::rescue_orphans), which comes after that commit.
    fn rescue(&self, worker: WorkerId, beat: i64) -> Answer<'_, Vec<Rescued>>;

    /// Takes back the jobs that no registered worker holds. They are not suspects, since no worker died while it ran them.
    fn rescue_orphans(&self) -> Answer<'_, Vec<Rescued>>;

    /// Removes at most `limit` jobs whose retention is over; returns how many.
    fn prune(&self, limit: usize) -> Answer<'_, usize>;

    /// Refreshes the statistics that query plans rely on, if the number of jobs has changed much; returns whether it had.
    fn refresh_statistics(&self) -> Answer<'_, bool>;

    /// The recorded result of a step, as JSON.
    fn step<'a>(&'a self, job: JobId, name: &'a str) -> Answer<'a, Option<String>>;

    /// Records the result of a step, if the lease still holds. The first result wins.
    fn record_step<'a>(
        &'a self,
        lease: Lease,
        name: &'a str,
        result: &'a str,
    ) -> Answer<'a, Recorded>;

    /// Listens for wake-ups for ever, and calls `woken` for each; reconnects by itself.
    fn listen(&self, woken: Box<dyn Fn(Wake<'_>) + Send + Sync>) -> BoxFuture<'static, ()>;
}

/// What the command line and [`Admin`](crate::Admin) need.
pub trait Controlling: fmt::Debug + Send + Sync + 'static {
    /// The jobs that match, the newest first.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobSummary>>;

    /// One job with all that is known about it.
    fn show(&self, job: JobId) -> Answer<'_, Option<JobDetails>>;

    /// Makes jobs due now and grants them all their attempts again, if they wait, have failed, or were discarded or cancelled. Returns which.
    ///
    /// A job that had ended takes its unique key again. If another job holds the key, it stays as it is.
    fn retry<'a>(&'a self, jobs: &'a [JobId]) -> Answer<'a, Vec<JobId>>;

    /// Discards those of these jobs that wait or have failed; returns which.
    fn discard<'a>(&'a self, jobs: &'a [JobId], reason: &'a FailureText) -> Answer<'a, Vec<JobId>>;

    /// Cancels those of these jobs that wait, and requests the cancellation of those that run.
    ///
    /// A request outlives a rescue of its job. It ends with the job, or when the job is retried by hand.
    fn cancel<'a>(&'a self, jobs: &'a [JobId], reason: &'a FailureText)
    -> Answer<'a, Cancellation>;

    /// Changes the due time of those of these jobs that wait; returns which.
    fn reschedule<'a>(&'a self, jobs: &'a [JobId], due: Due) -> Answer<'a, Vec<JobId>>;

    /// How many jobs match.
    fn count<'a>(&'a self, filter: &'a Filter) -> Answer<'a, u64>;

    /// The first `limit` jobs that match, the oldest first; after the job `after`, and up to the job `last`.
    fn matching<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<JobId>,
        last: JobId,
        limit: usize,
    ) -> Answer<'a, Vec<JobId>>;

    /// Was any job ever enqueued on this queue?
    fn has_queue<'a>(&'a self, queue: &'a str) -> Answer<'a, bool>;

    /// Pauses a queue or a kind, on every worker; false, when it was paused before.
    fn pause<'a>(&'a self, what: &'a Pausable) -> Answer<'a, bool>;

    /// Resumes it, and moves its parked jobs back to their lanes; false, when it was not paused.
    fn resume<'a>(&'a self, what: &'a Pausable) -> Answer<'a, bool>;

    /// What is paused.
    fn paused(&self) -> Answer<'_, Vec<Paused>>;

    /// The state of a job, and why it does not run.
    fn why(&self, job: JobId) -> Answer<'_, Why>;

    /// The workers that are registered.
    fn workers(&self) -> Answer<'_, Vec<WorkerSummary>>;
}

/// Writes the heartbeat of one worker.
///
/// It has a connection of its own, so that a busy pool cannot delay it.
pub trait HeartbeatWriter: Send {
    /// Writes one beat. Registers the worker if the store does not know it, or no longer does.
    fn beat<'a>(&'a mut self, worker: &'a Profile, is_draining: bool) -> Answer<'a, Beat>;
}
