//! What can be done to jobs, to the store and the model alike.

use fastrand::Rng;
use std::time::Duration;
use twelve_worker::{
    JobId, Keep, Queues, WorkerId,
    store::{
        Ack, Acked, Cause, Done, Due, FailureText, Lease, Level, Retention, State,
        conformance::retention,
    },
};

use super::{
    control, enqueue,
    world::{Held, World},
};

pub(super) const NOW: Duration = Duration::ZERO;
pub(super) const LATER: Duration = Duration::from_hours(1);

/// Does one thing of all that can be done.
pub(super) async fn step(world: &mut World<'_>, rng: &mut Rng) {
    let worker = rng.usize(..world.workers.len());
    match rng.u32(..100) {
        0..22 => enqueue::enqueue(world, rng).await,
        22..45 => {
            let limit = rng.usize(1..5);
            claim(world, worker, rng.u32(..4) == 0, limit).await;
        }
        45..62 => ack(world, rng).await,
        62..68 => done(world, rng).await,
        68..74 => release(world, rng).await,
        74..77 => release_claim(world, rng).await,
        77..81 => crash(world, worker).await,
        81..83 => crash_again_and_again(world, rng, worker).await,
        83..86 => leave(world, worker).await,
        86..90 => {
            if let Some(id) = any(world, rng) {
                control::retry(world, id).await;
            }
        }
        90..93 => control::discard(world, rng).await,
        93..96 => control::pause(world, rng).await,
        _ => control::resume(world, rng).await,
    }
}

/// Claims as a worker does: from all lanes, or one suspect.
pub(super) async fn claim(world: &mut World<'_>, worker: usize, alone: bool, limit: usize) {
    let worker = world.workers[worker];
    let limit = if alone { 1 } else { limit };
    let it = world.it;
    let mut plan = it.plan(worker, &Queues::all(), limit).await;
    world.promote();
    if alone {
        plan.lanes = it.lanes(&Queues::all()).await;
        plan.lanes.retain(|lane| lane.level == Level::Suspect);
    }
    let levels: Vec<Level> = plan.lanes.iter().map(|lane| lane.level).collect();
    assert!(levels.is_empty() || !world.is_queue_paused());
    for lane in &plan.lanes {
        let is_busy = world.busy().contains(&lane.level);
        assert_eq!(lane.oldest.is_some(), is_busy, "{lane:?}");
    }
    let batch = it.store.claim(&plan).await.unwrap();
    let (leases, taken) = world.take(&levels, limit);
    assert_eq!(batch.taken, taken);
    let claimed: Vec<Lease> = batch.jobs.iter().map(|job| job.lease).collect();
    assert_eq!(
        claimed, leases,
        "the oldest first, in the order of the lanes"
    );
    for job in &batch.jobs {
        assert!(!world.leases.contains(&job.lease), "a lease is given once");
        world.job(job.lease.job).assert_is(job);
        world.start(job.lease.job);
    }
    world.leases.extend(&leases);
    if !leases.is_empty() {
        world.claims.push(Held {
            id: plan.id,
            worker,
            leases,
            is_alone: alone,
        });
    }
}

/// Some lease, which may be stale.
fn lease(world: &World<'_>, rng: &mut Rng) -> Option<Lease> {
    rng.choice(&world.leases).copied()
}

async fn ack(world: &mut World<'_>, rng: &mut Rng) {
    let Some(lease) = lease(world, rng) else {
        return;
    };
    let delay = if rng.bool() { NOW } else { LATER };
    let cause = [Cause::Unavailable, Cause::UnknownKind][rng.usize(..2)];
    let ack = match rng.u32(..10) {
        0 | 1 => Ack::Done(random_retention(rng)),
        2 | 3 => Ack::Retry(delay, no()),
        4 => Ack::Snooze(delay),
        5 => Ack::Defer(delay, cause, no()),
        6 => Ack::Fail(no()),
        7 => Ack::Undecodable(no()),
        8 => Ack::Discard(no(), LATER),
        _ => Ack::Cancel(no(), LATER),
    };
    let by = WorkerId::new();
    let acked = world.it.store.ack(by, lease, &ack).await.unwrap();
    if !world.is_held(lease) {
        assert_eq!(acked, Acked::Refused, "{ack:?}");
        return;
    }
    assert_eq!(acked, Acked::Accepted, "{ack:?}");
    settle(world, lease, &ack);
}

/// What an ack does.
fn settle(world: &mut World<'_>, lease: Lease, ack: &Ack) {
    let id = lease.job;
    let job = world.job(id);
    let (delay, spent) = match ack {
        Ack::Done(retention) => {
            job.attempts += 1;
            world.end(id, State::Done);
            if retention.keep == Keep::Nothing {
                world.forget(id);
            }
            return;
        }
        Ack::Fail(_) => return failed(world, id, State::Failed, 1),
        Ack::Undecodable(_) => return failed(world, id, State::Failed, 0),
        Ack::Discard(..) => return failed(world, id, State::Discarded, 1),
        Ack::Cancel(..) => return failed(world, id, State::Cancelled, 1),
        Ack::Retry(delay, _) => (*delay, 1),
        Ack::Snooze(delay) => (*delay, 0),
        Ack::Defer(delay, cause, _) => {
            job.deferrals += u32::from(*cause == Cause::Unavailable);
            job.epoch += 1;
            world.put(id, None, Due::After(*delay));
            return;
        }
    };
    job.attempts += spent;
    job.deferrals = 0;
    job.crashes = 0;
    job.is_suspect = false;
    job.epoch += 1;
    world.put(id, None, Due::After(delay));
}

fn failed(world: &mut World<'_>, id: JobId, state: State, spent: u32) {
    let job = world.job(id);
    job.attempts += spent;
    job.crashes = 0;
    job.is_suspect = false;
    world.end(id, state);
}

fn random_retention(rng: &mut Rng) -> Retention {
    let keep = Keep::ALL[rng.usize(..3)];
    Retention {
        span: NOW,
        ..retention(keep)
    }
}

/// Acks a group, stale leases among it, and forgets the claims that have come to their end.
async fn done(world: &mut World<'_>, rng: &mut Rng) {
    let mut leases = world.leases.clone();
    rng.shuffle(&mut leases);
    leases.truncate(rng.usize(..6));
    finish_these(world, &leases, rng).await;
}

/// All that is held is done, and leaves nothing.
pub(super) async fn finish(world: &mut World<'_>) {
    let held: Vec<Lease> = world
        .claims
        .iter()
        .flat_map(|claim| claim.leases.clone())
        .collect();
    let nothing = Ack::Done(retention(Keep::Nothing));
    for lease in held {
        if world.is_held(lease) {
            let acked = world.it.store.ack(world.workers[0], lease, &nothing).await;
            assert_eq!(acked.unwrap(), Acked::Accepted);
            settle(world, lease, &nothing);
        }
    }
    forget_claims(world, &[]).await;
}

async fn finish_these(world: &mut World<'_>, leases: &[Lease], rng: &mut Rng) {
    let group: Vec<Done> = leases
        .iter()
        .map(|lease| Done {
            lease: *lease,
            retention: random_retention(rng),
        })
        .collect();
    let mut stale: Vec<Lease> = leases.to_vec();
    stale.retain(|lease| !world.is_held(*lease));
    for done in &group {
        if world.is_held(done.lease) {
            settle(world, done.lease, &Ack::Done(done.retention));
        }
    }
    let mut refused = forget_claims(world, &group).await;
    refused.sort_by_key(|lease| (lease.job, lease.epoch));
    stale.sort_by_key(|lease| (lease.job, lease.epoch));
    assert_eq!(refused, stale);
}

/// Acks this group with the claims of one worker that have ended; tells what was refused.
async fn forget_claims(world: &mut World<'_>, group: &[Done]) -> Vec<Lease> {
    let mut refused = Vec::new();
    for (n, worker) in world.workers.clone().into_iter().enumerate() {
        let ended: Vec<_> = world
            .claims
            .iter()
            .filter(|claim| claim.worker == worker)
            .filter(|claim| claim.leases.iter().all(|lease| !world.is_valid(*lease)))
            .map(|claim| claim.id)
            .collect();
        world.claims.retain(|claim| !ended.contains(&claim.id));
        let group = if n == 0 { group } else { &[] };
        refused.extend(world.it.store.done(worker, group, &ended).await.unwrap());
        let mut known = world.it.store.claims_of(worker).await.unwrap();
        known.sort_by_key(|claim| *claim.as_uuid());
        let held = world.claims.iter().filter(|claim| claim.worker == worker);
        let mut held: Vec<_> = held.map(|claim| claim.id).collect();
        held.sort_by_key(|claim| *claim.as_uuid());
        assert_eq!(known, held);
    }
    refused
}

async fn release(world: &mut World<'_>, rng: &mut Rng) {
    let mut leases = world.leases.clone();
    rng.shuffle(&mut leases);
    leases.truncate(rng.usize(1..4));
    let released = world.it.store.release(&leases).await.unwrap();
    leases.retain(|lease| world.is_held(*lease));
    assert_eq!(released, leases.len());
    for lease in leases {
        world.back(lease);
    }
}

async fn release_claim(world: &mut World<'_>, rng: &mut Rng) {
    if world.claims.is_empty() {
        return;
    }
    let claim = world.claims.remove(rng.usize(..world.claims.len()));
    let given_up = world
        .it
        .store
        .release_claim(claim.worker, claim.id)
        .await
        .unwrap();
    let mut leases = claim.leases;
    leases.retain(|lease| world.is_valid(*lease));
    leases.sort_by_key(|lease| lease.job);
    assert_eq!(given_up, leases.len());
    for lease in leases {
        world.back(lease);
    }
}

/// A worker dies, and another comes.
async fn crash(world: &mut World<'_>, worker: usize) {
    let worker = world.workers[worker];
    let beat = world.it.beat_of(worker).await;
    let store = &world.it.store;
    assert!(store.rescue(worker, beat - 1).await.unwrap().is_empty());
    let rescued = store.rescue(worker, beat).await.unwrap();
    assert!(store.rescue(worker, beat).await.unwrap().is_empty());
    let lost = world.lose(worker, true);
    let mut found: Vec<JobId> = rescued.iter().map(|job| job.job).collect();
    found.sort_unstable();
    assert_eq!(found, lost);
    for job in rescued {
        let has_failed = world.job(job.job).end == Some(State::Failed);
        assert_eq!(job.state == State::Failed, has_failed);
    }
    world.hire().await;
}

/// One worker after the other dies of suspects: some come to their third crash, and have failed.
async fn crash_again_and_again(world: &mut World<'_>, rng: &mut Rng, worker: usize) {
    crash(world, worker).await;
    for _ in 0..rng.usize(1..6) {
        let heir = world.workers.len() - 1;
        claim(world, heir, true, 1).await;
        crash(world, heir).await;
    }
}

/// A worker leaves with jobs in its hands, and another comes.
async fn leave(world: &mut World<'_>, worker: usize) {
    let worker = world.workers[worker];
    let store = &world.it.store;
    store.deregister(worker).await.unwrap();
    let seen = store.observe().await.unwrap();
    let held = world.claims.iter().any(|claim| claim.worker == worker);
    assert_eq!(seen.orphans, held);
    let rescued = store.rescue_orphans().await.unwrap();
    let lost = world.lose(worker, false);
    assert_eq!(rescued.len(), lost.len());
    assert!(!store.observe().await.unwrap().orphans);
    world.hire().await;
}

pub(super) fn any(world: &World<'_>, rng: &mut Rng) -> Option<JobId> {
    rng.choice(&world.jobs).map(|job| job.draft.id)
}

pub(super) fn no() -> FailureText {
    FailureText::new("no")
}
