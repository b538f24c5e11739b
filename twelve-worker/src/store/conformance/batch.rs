//! Claims of several jobs, their acks in groups, and claims whose answer was lost.

use std::time::Duration;

use super::fixture::{Fixture, done, draft, retention};
use crate::{
    job::{
        draft::Draft,
        id::{ClaimId, WorkerId},
        queues::Queues,
        retention::Keep,
    },
    store::{
        model::{Ack, Claim, Claimed, Done},
        state::State,
    },
};

pub(super) async fn a_group_of_jobs_is_done_at_once(it: Fixture) {
    let mut group = Vec::new();
    for keep in Keep::ALL {
        for is_retried in [false, true] {
            let id = it.enqueue().await;
            let mut job = it.claim_one().await;
            if is_retried {
                it.ack(&job, Ack::Snooze(Duration::ZERO)).await;
                job = it.claim_one().await;
            }
            group.push((id, keep, done_of(&job, keep)));
        }
    }
    let done: Vec<_> = group.iter().map(|(.., done)| *done).collect();
    assert!(it.done(&done).await.is_empty());
    for (id, keep, _) in group {
        assert_eq!(it.knows(id).await, keep != Keep::Nothing);
    }
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn of_a_group_only_what_is_not_held_any_more_is_refused(it: Fixture) {
    for keep in Keep::ALL {
        for _ in 0..4 {
            it.enqueue().await;
        }
        let jobs = it.claim().await;
        it.store.release(&[jobs[1].lease]).await.unwrap();
        it.ack(&jobs[2], done()).await;
        let group: Vec<_> = jobs.iter().map(|job| done_of(job, keep)).collect();
        let mut refused = it.done(&group).await;
        refused.sort_by_key(|lease| lease.job);
        assert_eq!(refused, [jobs[1].lease, jobs[2].lease]);
        let mut again = it.done(&group).await;
        again.sort_by_key(|lease| lease.job);
        let all: Vec<_> = jobs.iter().map(|job| job.lease).collect();
        assert_eq!(again, all, "each ends once");
        let back = it.claim_one().await;
        assert_eq!(back.lease.job, jobs[1].lease.job);
        it.ack(&back, done()).await;
    }
}

pub(super) async fn a_claim_is_known_until_it_is_forgotten(it: Fixture) {
    let claims = async || it.store.claims_of(it.worker).await.unwrap();
    it.take(it.worker, &Queues::all(), 10).await;
    assert!(claims().await.is_empty(), "it took nothing");
    let (first, jobs) = claim_two(&it).await;
    let (second, others) = claim_two(&it).await;
    let mut known = claims().await;
    known.sort_by_key(|claim| *claim.as_uuid());
    assert_eq!(known, [first, second]);
    assert!(it.store.claims_of(it.other).await.unwrap().is_empty());

    let group: Vec<_> = jobs.iter().map(|job| done_of(job, Keep::Nothing)).collect();
    let refused = it.store.done(it.worker, &group, &[first]).await.unwrap();
    assert!(refused.is_empty());
    assert_eq!(claims().await, [second]);
    // A worker forgets no claim of another.
    it.store.done(it.other, &[], &[second]).await.unwrap();
    assert_eq!(claims().await, [second]);
    it.store
        .release(&[others[0].lease, others[1].lease])
        .await
        .unwrap();
    it.store.done(it.worker, &[], &[second]).await.unwrap();
    assert!(claims().await.is_empty());
}

pub(super) async fn a_claim_whose_answer_was_lost_is_given_up(it: Fixture) {
    let (claim, jobs) = claim_two(&it).await;
    it.ack(&jobs[0], done()).await;
    for (worker, claim) in [
        (it.other, claim),
        (it.worker, ClaimId::new()),
        (WorkerId::new(), claim),
    ] {
        assert_eq!(it.store.release_claim(worker, claim).await.unwrap(), 0);
    }
    assert_eq!(it.state(jobs[1].lease.job).await, State::Running);
    assert_eq!(it.store.release_claim(it.worker, claim).await.unwrap(), 1);
    assert_eq!(it.store.release_claim(it.worker, claim).await.unwrap(), 0);
    assert!(it.store.claims_of(it.worker).await.unwrap().is_empty());
    it.refuse(&jobs[1], done()).await;
    let again = it.claim_one_as(it.other).await;
    assert_eq!(again.lease.job, jobs[1].lease.job);
    assert_eq!(again.attempt(), 1);
}

/// A lost connection leaves it open whether the claim took anything: the same claim must not be made twice.
pub(super) async fn a_claim_cannot_be_made_twice_by_one_name(it: Fixture) {
    it.enqueue().await;
    let plan = it.plan(it.worker, &Queues::all(), 1).await;
    assert_eq!(it.store.claim(&plan).await.unwrap().jobs.len(), 1);
    let second = it.enqueue().await;
    assert!(it.store.claim(&plan).await.is_err());
    assert_eq!(it.state(second).await, State::Waiting);
    assert_eq!(it.claim_one().await.lease.job, second);
}

/// A claim of two jobs on a queue of their own.
async fn claim_two(it: &Fixture) -> (ClaimId, Vec<Claimed>) {
    let queue = || "two".to_owned();
    for _ in 0..2 {
        it.enqueue_draft(Draft {
            queue: queue().into(),
            ..draft()
        })
        .await;
    }
    let plan: Claim = it.plan(it.worker, &Queues::only([queue()]), 2).await;
    let jobs = it.store.claim(&plan).await.unwrap().jobs;
    assert_eq!(jobs.len(), 2);
    (plan.id, jobs)
}

fn done_of(job: &Claimed, keep: Keep) -> Done {
    Done {
        lease: job.lease,
        retention: retention(keep),
    }
}
