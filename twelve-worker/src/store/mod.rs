//! Where jobs live: what any store must be able to do, in the words of the domain.
//!
//! A store decides nothing about a job: the engine tells it what an attempt ended as.
//! It keeps three promises, and the conformance suite checks them:
//!
//! - a job is held by at most one worker, and only the claim with the highest epoch can be acked;
//! - a job is never lost between two states: every verb is one atomic move;
//! - all times are the store's own clock, so a worker's clock can be wrong.

#[cfg(feature = "conformance")]
pub mod conformance;
mod listing;
mod model;
pub mod postgres;
mod timetable;

pub use listing::{Filter, JobDetails, JobError, JobSummary, State};
pub use model::{
    Ack, Acked, Beat, Cause, Claimed, Draft, Due, Evidence, Lease, Observation, Profile, Recorded,
    Rescued, Wake,
};
pub use postgres::Calendar;
pub use timetable::{Fired, Firing, Registration, Standing, Timetable};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use std::{fmt, time::Duration};
use twelve_core::Error;

use crate::{JobId, Queues, WorkerId};

/// The answer to a verb of a store.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Where jobs live.
///
/// `enqueue_in` and `ack_in` name Postgres, whatever the store is: `Tx` is a transaction on the app's own Postgres.
/// A store somewhere else writes to an outbox there.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Adds these jobs, all or none.
    fn enqueue(&self, drafts: Vec<Draft>) -> Answer<'_, ()>;

    /// Adds these jobs when the transaction on this connection commits.
    fn enqueue_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        drafts: Vec<Draft>,
    ) -> Answer<'a, ()>;

    /// Takes at most `limit` due jobs for a registered worker, but no suspects; none, when the worker is not registered.
    ///
    /// Within a queue the oldest comes first; no queue starves another.
    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        queues: &'a Queues,
        limit: usize,
    ) -> Answer<'a, Vec<Claimed>>;

    /// Takes one due suspect for a registered worker, which must run it alone.
    ///
    /// A suspect is a job whose worker died: nobody knows whether of this one, and beside others it could take them along again.
    fn claim_suspect<'a>(
        &'a self,
        worker: WorkerId,
        queues: &'a Queues,
    ) -> Answer<'a, Option<Claimed>>;

    /// Records how an attempt ended, if the lease still holds.
    fn ack<'a>(&'a self, lease: Lease, ack: &'a Ack) -> Answer<'a, Acked>;

    /// Records how an attempt ended when the transaction on this connection commits, if the lease still holds.
    fn ack_in<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        lease: Lease,
        ack: &'a Ack,
    ) -> Answer<'a, Acked>;

    /// Gives jobs back that a stopping worker could not finish; tells how many it still held. Spends no attempt.
    fn hand_back<'a>(&'a self, leases: &'a [Lease]) -> Answer<'a, usize>;

    /// What this worker holds, as the store sees it.
    fn held_by(&self, worker: WorkerId) -> Answer<'_, Vec<Lease>>;

    /// A heart for one worker, on a connection of its own.
    fn pulse(&self) -> Box<dyn Pulse>;

    /// Forgets a worker that has stopped.
    fn deregister(&self, worker: WorkerId) -> Answer<'_, ()>;

    /// The heartbeats of all workers.
    fn observe(&self) -> Answer<'_, Observation>;

    /// Declares a worker dead, unless its heart has beaten since: takes its jobs back, as suspects.
    ///
    /// The crash is counted only against a suspect that was all the worker held; after three in a row that job has failed.
    /// A job whose ack is being committed at this moment is left to [`rescue_orphans`](Self::rescue_orphans): its fate is decided first.
    fn rescue(&self, worker: WorkerId, beat: i64) -> Answer<'_, Vec<Rescued>>;

    /// Takes back the jobs that no registered worker holds. Nobody died of them, so they are no suspects.
    fn rescue_orphans(&self) -> Answer<'_, Vec<Rescued>>;

    /// Removes at most `limit` jobs that were done or discarded longer ago than `age`; tells how many.
    fn prune(&self, age: Duration, limit: usize) -> Answer<'_, usize>;

    /// The recorded result of a step, as JSON.
    fn step<'a>(&'a self, job: JobId, name: &'a str) -> Answer<'a, Option<String>>;

    /// Records the result of a step, if the lease still holds. The first result wins.
    fn record_step<'a>(
        &'a self,
        lease: Lease,
        name: &'a str,
        result: &'a str,
    ) -> Answer<'a, Recorded>;

    /// Tells workers everywhere that there may be jobs on these queues.
    fn wake<'a>(&'a self, queues: &'a [String]) -> Answer<'a, ()>;

    /// Calls `woken` whenever somebody calls [`wake`](Self::wake), for ever; reconnects by itself.
    fn listen(&self, woken: Box<dyn Fn(Wake<'_>) + Send + Sync>) -> BoxFuture<'static, ()>;

    /// The jobs that match, the newest first.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Vec<JobSummary>>;

    /// One job with all that is known about it.
    fn show(&self, job: JobId) -> Answer<'_, Option<JobDetails>>;

    /// Makes those of these jobs that wait, have failed or were discarded due now, with all their attempts granted again; tells which.
    fn retry<'a>(&'a self, jobs: &'a [JobId]) -> Answer<'a, Vec<JobId>>;

    /// Discards those of these jobs that wait or have failed; tells which.
    fn discard<'a>(&'a self, jobs: &'a [JobId], reason: &'a Evidence) -> Answer<'a, Vec<JobId>>;
}

/// The heart of one worker.
///
/// It holds a connection of its own, so that a busy pool cannot stop it.
pub trait Pulse: Send {
    /// Beats; registers the worker when the store does not know it, or not any more.
    fn beat<'a>(&'a mut self, worker: &'a Profile) -> Answer<'a, Beat>;
}
