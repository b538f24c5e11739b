//! Takes as many jobs as there are free slots, and starts each in a task of its own.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use twelve_core::State;

use super::{
    Engine, attempt,
    setback::{PATIENCE, Setback, within},
};
use crate::store::Claimed;

/// How often an idle worker looks for jobs that nobody announced: those that became due, or whose producer could not wake anyone.
const POLL: Duration = Duration::from_secs(1);

/// Claims until the process drains.
pub(super) async fn run(engine: &Arc<Engine>, slots: usize) {
    let free = Arc::new(Semaphore::new(slots));
    let mut setback = Setback::default();
    loop {
        let Some(slots) = next_slots(engine, &free).await else {
            return;
        };
        let wanted = slots.num_permits();
        // A claim is never dropped half way when the drain begins: its jobs would be taken and forgotten.
        let claim = engine.store.claim(engine.worker, &engine.queues, wanted);
        match within(PATIENCE, claim).await {
            Ok(jobs) => {
                setback.over();
                let found = jobs.len();
                start(engine, jobs, slots).await;
                if found < wanted {
                    wait(engine).await;
                }
            }
            Err(error) => {
                drop(slots);
                // Whether anything was claimed is unknown: what was, the rescuer finds.
                tokio::select! {
                    () = engine.context.lifecycle().draining() => return,
                    () = setback.pause("claiming jobs", &error) => {}
                }
            }
        }
    }
}

/// All free slots, at least one; `None` when the process drains.
async fn next_slots(engine: &Engine, free: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut slots = tokio::select! {
        biased;
        () = engine.context.lifecycle().draining() => return None,
        slot = Arc::clone(free).acquire_owned() => slot.ok()?,
    };
    let more = u32::try_from(free.available_permits()).unwrap_or(u32::MAX);
    // Only this task takes slots, so what was free still is.
    if let Ok(more) = Arc::clone(free).try_acquire_many_owned(more) {
        slots.merge(more);
    }
    Some(slots)
}

/// Starts the jobs, or gives them back when the drain has begun meanwhile.
async fn start(engine: &Arc<Engine>, jobs: Vec<Claimed>, mut slots: OwnedSemaphorePermit) {
    if engine.context.lifecycle().state() >= State::Drain {
        let leases: Vec<_> = jobs.iter().map(|job| job.lease).collect();
        if !leases.is_empty()
            && let Err(error) = within(PATIENCE, engine.store.hand_back(&leases)).await
        {
            tracing::debug!(%error, "claimed jobs run again when this worker has left");
        }
        return;
    }
    for job in jobs {
        let slot = slots.split(1);
        let lease = job.lease;
        let tracked = engine
            .context
            .lifecycle()
            .tracker()
            .begin(format!("job {} {}", job.kind, lease.job));
        let holding = engine.held.hold(lease);
        let engine = Arc::clone(engine);
        let held = engine.held.clone();
        let task = tokio::spawn(async move {
            attempt(&engine, job).await;
            drop((holding, tracked, slot));
        });
        held.stop_with(lease, task.abort_handle());
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
