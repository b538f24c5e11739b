//! What people do to the store and the model alike.

use fastrand::Rng;
use twelve_worker::{
    JobId, Pausable, Until,
    store::{Due, State},
};

use super::{
    act::{any, no},
    world::{Holder, KINDS, QUEUE, World},
};

/// Somebody retries a job by hand.
pub(super) async fn retry(world: &mut World<'_>, id: JobId) {
    let retried = world.it.store.retry(&[id]).await.unwrap();
    let lease = world.job(id).lease();
    if world.is_held(lease) || world.job(id).end == Some(State::Done) {
        assert!(retried.is_empty());
        return;
    }
    let unique = world.job(id).draft.unique.clone();
    if let Some(unique) = unique.filter(|_| world.job(id).end.is_some()) {
        // It has given up its key, which may be another one's by now.
        if world.keys.contains_key(&unique.key) {
            assert!(retried.is_empty());
            return;
        }
        let holder = Holder {
            job: id,
            is_until_started: unique.until == Until::Started,
        };
        world.keys.insert(unique.key, holder);
    }
    assert_eq!(retried, [id]);
    let job = world.job(id);
    job.end = None;
    job.epoch += 1;
    job.max_attempts = job.attempts + job.draft.max_attempts;
    job.crashes = 0;
    job.deferrals = 0;
    world.put(id, None, Due::Now);
}

pub(super) async fn discard(world: &mut World<'_>, rng: &mut Rng) {
    let Some(id) = any(world, rng) else {
        return;
    };
    let discarded = world.it.store.discard(&[id], &no()).await.unwrap();
    let (lease, end) = (world.job(id).lease(), world.job(id).end);
    if world.is_held(lease) || !matches!(end, None | Some(State::Failed)) {
        assert!(discarded.is_empty());
        return;
    }
    assert_eq!(discarded, [id]);
    world.end(id, State::Discarded);
}

pub(super) async fn pause(world: &mut World<'_>, rng: &mut Rng) {
    let what = pausable(rng);
    let is_news = world.it.store.pause(&what).await.unwrap();
    assert_eq!(is_news, !world.paused.contains(&what), "{what}");
    if is_news {
        world.paused.push(what);
    }
}

/// Resumes something that is paused, if anything is.
pub(super) async fn resume(world: &mut World<'_>, rng: &mut Rng) {
    let paused = rng.choice(&world.paused).cloned();
    resume_this(world, paused.unwrap_or_else(|| pausable(rng))).await;
}

/// Nothing is paused any more.
pub(super) async fn resume_all(world: &mut World<'_>) {
    for what in world.paused.clone() {
        resume_this(world, what).await;
    }
}

async fn resume_this(world: &mut World<'_>, what: Pausable) {
    let was_paused = world.it.store.resume(&what).await.unwrap();
    assert_eq!(was_paused, world.paused.contains(&what), "{what}");
    world.paused.retain(|paused| *paused != what);
    if let Pausable::Kind(kind) = what {
        world.unpark(&kind);
    }
}

fn pausable(rng: &mut Rng) -> Pausable {
    if rng.u32(..4) == 0 {
        return Pausable::Queue(QUEUE.to_owned());
    }
    Pausable::Kind(KINDS[rng.usize(..KINDS.len())].to_owned())
}
