//! The engine: one process that runs jobs.
//!
//! ```text
//!          ┌─ listener ─► hint ─┐
//! store ───┼─ survey ───────────┴─► claimer ─► buffer ─► executor slots ─► acker ─► store
//!          │                           └─ in_flight: the leases held ────────┘
//!          └─ rescuer, canceller, pruner, statistics: one background task each
//! heartbeat: a thread of its own
//! ```
//!
//! Each file is one task with one duty. It starts with the engine and ends when its future is dropped.

mod acker;
mod attempt;
mod buffer;
mod canceller;
mod claimer;
mod end;
mod heartbeat;
mod in_flight;
mod listener;
mod pruner;
mod rescuer;
pub(crate) mod settings;
mod statistics;
pub(crate) mod weights;
pub(crate) mod worker;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use twelve_core::{Context, Error, Exit, Tx};

use self::{
    acker::Ended,
    buffer::{Buffer, Job},
    end::Settled,
    heartbeat::Heartbeat,
    in_flight::InFlight,
    settings::Settings,
};
use crate::{
    enqueue::waker::Hint,
    group_commit::{Group, Groups},
    handler::registry::Registry,
    host,
    job::{id::WorkerId, queues::Queues},
    store::{
        self, Store,
        model::{Claim, Profile},
        retry::with_timeout,
    },
};

/// Connections for claims, acks and rescues, beside one each for the heartbeat and for wake-ups.
///
/// The engine does not share the handlers' pool, so an ack waits for no handler, only for the engine's own short statements.
const CONNECTIONS: u32 = 2;

/// How long the last statements may take: hosts kill a process soon after its budget.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the tasks of one worker share.
pub(crate) struct Engine {
    pub(crate) context: Context,
    pub(crate) registry: Arc<Registry>,
    pub(crate) queues: Queues,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) worker: WorkerId,
    settings: Settings,
    in_flight: InFlight,
    buffer: Buffer,
    ended: Group<Ended>,
    /// Taken by the acker when it starts.
    ends: Mutex<Option<Groups<Ended>>>,
    hint: Arc<Hint>,
    /// Notified of slow statements.
    slow: Notify,
}

impl Engine {
    pub(crate) fn new(
        context: Context,
        registry: Arc<Registry>,
        queues: Queues,
        settings: Settings,
    ) -> Result<Self, Error> {
        let db = context.db()?.sibling(CONNECTIONS);
        let (ended, ends) = Group::new();
        Ok(Self {
            hint: Hint::of(&context)?,
            buffer: Buffer::new(settings.concurrency() as usize),
            context,
            registry,
            queues,
            store: store::open(db),
            worker: WorkerId::new(),
            settings,
            in_flight: InFlight::default(),
            ended,
            ends: Mutex::new(Some(ends)),
            slow: Notify::new(),
        })
    }

    pub(crate) fn profile(&self) -> Profile {
        Profile {
            id: self.worker,
            process_type: self.context.identity().process_type.clone(),
            host: host::name(),
            pid: std::process::id(),
            release: self.settings.release().map(str::to_owned),
            concurrency: self.settings.concurrency(),
            queues: self.queues.clone(),
            kinds: self.registry.kinds(),
        }
    }

    /// Runs jobs until the process has drained.
    pub(crate) async fn run(self) -> Result<Exit, Error> {
        let slots = self.settings.concurrency();
        warn_of_a_small_pool(&self, slots)?;
        let engine = Arc::new(self);
        let heartbeat = Heartbeat::start(&engine)?;
        let mut duties = JoinSet::new();
        engine.start_acker(&mut duties);
        if !engine.settings.is_poll_only() {
            duties.spawn(listener::run(Arc::clone(&engine)));
        }
        duties.spawn(rescuer::run(Arc::clone(&engine)));
        duties.spawn(canceller::run(Arc::clone(&engine)));
        duties.spawn(pruner::run(Arc::clone(&engine)));
        duties.spawn(statistics::run(Arc::clone(&engine)));
        for _ in 0..slots {
            duties.spawn(executor_slot(Arc::clone(&engine)));
        }
        engine.context.lifecycle().ready();

        let work = async {
            claimer::run(&engine, engine.settings.weights()).await;
            engine.drain().await
        };
        // A worker without one of its tasks looks healthy but does not work: it ends, so that the host starts another.
        let ended = tokio::select! {
            exit = work => Ok(exit),
            Some(duty) = duties.join_next() => Err(broken("a duty of the worker has ended", duty.err())),
            () = heartbeat.has_failed() => Err(broken("the heartbeat has ended", None)),
        };
        if ended.is_err() {
            // Jobs in the buffer must not start. Their leases are released together with those of running jobs.
            let waiting = engine.buffer.take_all();
            engine.release_unfinished().await;
            drop(waiting);
        }
        duties.shutdown().await;
        engine.leave(heartbeat).await;
        ended
    }

    /// Starts the acker, which records the ends of attempts.
    pub(crate) fn start_acker(self: &Arc<Self>, duties: &mut JoinSet<()>) {
        let ends = self
            .ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ends) = ends {
            duties.spawn(acker::run(Arc::clone(self), ends));
        }
    }

    /// For tests, which run jobs one at a time: claims one job and attempts it; `None` when none is due.
    pub(crate) async fn attempt_one(&self) -> Result<Option<Settled>, Error> {
        while self.store.promote(1000).await? > 0 {}
        let survey = self.store.survey(&self.queues).await?;
        let claim = Claim {
            id: self.in_flight.begin(),
            worker: self.worker,
            lanes: survey.lanes,
            limit: 1,
            paused_kinds: survey.paused_kinds,
        };
        loop {
            let mut batch = self.store.claim(&claim).await?;
            let Some(claimed) = batch.jobs.pop() else {
                if batch.taken > 0 {
                    continue;
                }
                self.in_flight.forget(&[claim.id]);
                return Ok(None);
            };
            let lease_guard = self.in_flight.hold(claim.id, &[claimed.lease]).pop();
            let Some(lease_guard) = lease_guard else {
                return Ok(None);
            };
            let settled = attempt::attempt(
                self,
                Job {
                    claimed,
                    lease_guard,
                },
            )
            .await;
            self.in_flight.all_released().await;
            return Ok(Some(settled));
        }
    }

    /// Waits for running jobs to end, and releases those that are left when the budget is used up.
    async fn drain(&self) -> Exit {
        let lifecycle = self.context.lifecycle();
        tokio::select! {
            biased;
            () = lifecycle.overdue() => {}
            // A slot may have taken a job just before the rest of the buffer was released.
            () = async {
                lifecycle.tracker().idle().await;
                self.in_flight.all_released().await;
            } => return Exit::Done,
        }
        self.release_unfinished().await;
        Exit::Overdue
    }

    /// Stops running jobs and releases their leases.
    async fn release_unfinished(&self) {
        let leases = self.in_flight.stop_all().await;
        if leases.is_empty() {
            return;
        }
        match with_timeout(GOODBYE, self.store.release(&leases)).await {
            Ok(jobs) => tracing::warn!(jobs, "unfinished jobs were released"),
            Err(error) => {
                let error = twelve_core::chain(&error);
                tracing::error!(
                    error,
                    jobs = leases.len(),
                    "unfinished jobs could not be released; they run again when this worker counts as dead"
                );
            }
        }
    }

    /// Stops the heartbeat, then deregisters the worker. A beat after that would register it again.
    pub(crate) async fn leave(&self, heartbeat: Heartbeat) {
        heartbeat.stop().await;
        if let Err(error) = with_timeout(GOODBYE, self.store.deregister(self.worker)).await {
            tracing::debug!(%error, "the worker stays listed until its heartbeat is missed");
        }
    }
}

/// Executes one job after the other, until it is dropped.
async fn executor_slot(engine: Arc<Engine>) {
    loop {
        let job = engine.buffer.next().await;
        let began = Instant::now();
        attempt::attempt(&engine, job).await;
        engine.buffer.is_done(began.elapsed());
    }
}

/// The error of a worker whose task ended. A panic has been logged already.
fn broken(what: &'static str, cause: Option<JoinError>) -> Error {
    let error = Error::internal(what);
    match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// Warns when the pool is too small for all jobs to have a transaction at once. Jobs that wait in vain are deferred, which works but is slow.
fn warn_of_a_small_pool(engine: &Engine, slots: u32) -> Result<(), Error> {
    let pool = engine.context.db()?.size();
    if slots > pool.saturating_sub(2) && engine.registry.needs(&engine.queues).has::<Tx>() {
        tracing::warn!(
            "{slots} jobs may run at a time, but {pool} connections allow {} transactions: raise TWELVE_DATABASE_POOL to {}",
            pool.saturating_sub(2),
            slots + 2
        );
    }
    Ok(())
}
