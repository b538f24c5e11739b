//! Takes as many jobs as there are free slots, and starts each in a task of its own.
//!
//! A suspect takes all slots, so it runs alone: when a worker dies, it is known of what.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use twelve_core::{Error, State};

use super::{
    Engine, attempt,
    held::Holding,
    setback::{PATIENCE, Setback, within},
};
use crate::store::{Claimed, Lease};

/// How often an idle worker looks for jobs that nobody announced: those that became due, or whose producer could not wake anyone.
const POLL: Duration = Duration::from_secs(1);

/// How long a busy worker leaves suspects to idle ones.
///
/// Then it takes one and no other job until that has run: no load starves a suspect, and between two of them other jobs have their turn.
const LEAVE_SUSPECTS: Duration = Duration::from_secs(3);

/// Claims until the process drains.
pub(super) async fn run(engine: &Arc<Engine>, slots: u32) {
    let mut claimer = Claimer {
        engine,
        slots,
        free: Arc::new(Semaphore::new(slots as usize)),
        looked: Instant::now(),
    };
    let mut setback = Setback::default();
    while let Some(slots) = claimer.next_slots().await {
        match claimer.round(slots).await {
            Ok(Found::Enough) => setback.over(),
            Ok(Found::All) => {
                setback.over();
                wait(engine).await;
            }
            Err(error) => {
                // Whether anything was claimed is unknown: what was, the rescuer finds.
                tokio::select! {
                    () = engine.context.lifecycle().draining() => return,
                    () = setback.pause("claiming jobs", &error) => {}
                }
            }
        }
    }
}

struct Claimer<'e> {
    engine: &'e Arc<Engine>,
    slots: u32,
    free: Arc<Semaphore>,
    /// When it last looked for a suspect.
    looked: Instant,
}

/// What a claim found.
enum Found {
    /// As much as was wanted: there may be more.
    Enough,
    /// All that there was.
    All,
}

impl Claimer<'_> {
    /// All free slots, at least one; `None` when the process drains.
    async fn next_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut slots = self.acquire(1).await?;
        let more = u32::try_from(self.free.available_permits()).unwrap_or(u32::MAX);
        // Only this task takes slots, so what was free still is.
        if let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(more) {
            slots.merge(more);
        }
        Some(slots)
    }

    /// Waits for so many slots; `None` when the process drains.
    async fn acquire(&self, slots: u32) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.engine.context.lifecycle().draining() => None,
            slots = Arc::clone(&self.free).acquire_many_owned(slots) => slots.ok(),
        }
    }

    async fn round(&mut self, slots: OwnedSemaphorePermit) -> Result<Found, Error> {
        let Engine {
            store,
            worker,
            queues,
            ..
        } = &**self.engine;
        let wanted = slots.num_permits();
        // A claim is never dropped half way when the drain begins: its jobs would be taken and forgotten.
        let jobs = within(PATIENCE, store.claim(*worker, queues, wanted)).await?;
        let found = jobs.len();
        self.start_all(jobs, slots).await;
        let is_idle = found == 0 && wanted == self.slots as usize;
        if is_idle || self.looked.elapsed() >= LEAVE_SUSPECTS {
            self.looked = Instant::now();
            if let Some(job) = within(PATIENCE, store.claim_suspect(*worker, queues)).await? {
                self.start_alone(job).await;
                return Ok(Found::Enough);
            }
        }
        Ok(if found == wanted {
            Found::Enough
        } else {
            Found::All
        })
    }

    /// Starts the jobs, or hands them back when the drain has begun meanwhile.
    async fn start_all(&self, jobs: Vec<Claimed>, mut slots: OwnedSemaphorePermit) {
        if self.engine.context.lifecycle().state() >= State::Drain {
            let leases: Vec<_> = jobs.iter().map(|job| job.lease).collect();
            return self.hand_back(&leases).await;
        }
        for job in jobs {
            let holding = self.engine.held.hold(job.lease);
            self.start(job, holding, slots.split(1));
        }
    }

    /// Starts a suspect when nothing else runs here any more: that is bounded by the time limits of what does.
    async fn start_alone(&self, job: Claimed) {
        // Held while it waits: else it would look like a job whose claim was never answered.
        let holding = self.engine.held.hold(job.lease);
        match self.acquire(self.slots).await {
            all @ Some(_) => self.start(job, holding, all),
            None => self.hand_back(&[job.lease]).await,
        }
    }

    fn start(&self, job: Claimed, holding: Holding, slots: Option<OwnedSemaphorePermit>) {
        let lease = job.lease;
        let lifecycle = self.engine.context.lifecycle();
        let name = format!("job {} {}", job.kind, lease.job);
        let tracked = lifecycle.tracker().begin(name);
        let engine = Arc::clone(self.engine);
        let task = tokio::spawn(async move {
            attempt(&engine, job).await;
            drop((holding, tracked, slots));
        });
        self.engine.held.stop_with(lease, task.abort_handle());
    }

    async fn hand_back(&self, leases: &[Lease]) {
        if !leases.is_empty()
            && let Err(error) = within(PATIENCE, self.engine.store.hand_back(leases)).await
        {
            tracing::debug!(%error, "claimed jobs run again when this worker has left");
        }
    }
}

/// Waits until there may be jobs.
async fn wait(engine: &Engine) {
    tokio::select! {
        () = engine.context.lifecycle().draining() => {}
        () = engine.hint.given() => {}
        () = sleep(POLL) => {}
    }
}
