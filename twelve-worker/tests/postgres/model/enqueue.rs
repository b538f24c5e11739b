//! Enqueuing to the store and the model alike: alone, many at once, and unique ones.

use fastrand::Rng;
use twelve_worker::{
    JobId, OnConflict, Priority, UniqueKey, Until,
    store::{Draft, Due, conformance::draft},
};
use uuid::Uuid;

use super::{
    act::{LATER, NOW},
    world::{Holder, Job, KINDS, World},
};

/// What became of a job: which one runs, and whether it is new, was kept, or was replaced.
type Answer = (JobId, [bool; 3]);

pub(super) async fn enqueue(world: &mut World<'_>, rng: &mut Rng) {
    let drafts: Vec<Draft> = (0..rng.u32(1..4)).map(|n| any_draft(rng, n)).collect();
    let enqueued = world.it.store.enqueue(drafts.clone()).await;
    if is_refused(world, &drafts) {
        assert!(enqueued.unwrap_err().is_duplicate());
        return;
    }
    // Keys are taken in their own order, so that is the order in the lanes.
    let mut places: Vec<usize> = (0..drafts.len()).collect();
    places.sort_by_key(|n| drafts[*n].unique.as_ref().map(|unique| unique.key));
    let mut answers: Vec<_> = places
        .into_iter()
        .map(|n| (n, add(world, drafts[n].clone())))
        .collect();
    answers.sort_unstable_by_key(|(n, _)| *n);
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    let enqueued = enqueued.unwrap().into_iter();
    let found: Vec<Answer> = enqueued
        .map(|it| (it.id(), [it.is_new(), it.was_kept(), it.was_replaced()]))
        .collect();
    assert_eq!(found, answers);
}

fn any_draft(rng: &mut Rng, n: u32) -> Draft {
    let due = [Due::Now, Due::Now, Due::After(NOW), Due::After(LATER)];
    let kind = rng.usize(..KINDS.len());
    Draft {
        kind: KINDS[kind].into(),
        priority: Priority::ALL[rng.usize(..3)],
        due: due[rng.usize(..due.len())],
        max_attempts: rng.u32(1..5),
        payload: n.to_string(),
        unique: rng.bool().then(|| any_key(rng, kind)),
        ..draft()
    }
}

/// One of two keys of this kind. None has a period: the model has no clock.
fn any_key(rng: &mut Rng, kind: usize) -> UniqueKey {
    let on_conflict = [OnConflict::Keep, OnConflict::Replace, OnConflict::Reject];
    UniqueKey {
        key: Uuid::from_u64_pair(kind as u64, rng.u64(..2)),
        until: [Until::Started, Until::Ended][rng.usize(..2)],
        period: None,
        on_conflict: on_conflict[rng.usize(..3)],
    }
}

/// Is one of them a duplicate of another one, or of one among them?
fn is_refused(world: &World<'_>, drafts: &[Draft]) -> bool {
    let keys = drafts.iter().map(|draft| draft.unique.as_ref());
    let keys: Vec<&UniqueKey> = keys.flatten().collect();
    keys.iter().enumerate().any(|(n, unique)| {
        let is_held = world.keys.contains_key(&unique.key)
            || keys[..n].iter().any(|before| before.key == unique.key);
        unique.on_conflict == OnConflict::Reject && is_held
    })
}

/// What an enqueue does that is not refused.
fn add(world: &mut World<'_>, draft: Draft) -> Answer {
    let (id, due) = (draft.id, draft.due);
    if let Some(unique) = &draft.unique {
        if let Some(holder) = world.keys.get(&unique.key).map(|holder| holder.job) {
            let lease = world.job(holder).lease();
            if unique.on_conflict == OnConflict::Keep {
                return (holder, [false, true, false]);
            }
            if !world.is_held(lease) {
                replace(world, holder, draft);
                return (holder, [false, false, true]);
            }
        }
        let holder = Holder {
            job: id,
            is_until_started: unique.until == Until::Started,
        };
        world.keys.insert(unique.key, holder);
    }
    world.jobs.push(Job::new(draft));
    world.put(id, None, due);
    (id, [true, false, false])
}

/// The job is another one, with a history of its own.
fn replace(world: &mut World<'_>, id: JobId, draft: Draft) {
    let due = draft.due;
    let job = world.job(id);
    job.epoch += 1;
    job.max_attempts = job.attempts + draft.max_attempts;
    // It holds its key as it did before.
    let unique = job.draft.unique.take();
    job.draft = Draft {
        id,
        unique,
        ..draft
    };
    world.put(id, None, due);
}
