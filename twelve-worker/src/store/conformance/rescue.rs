//! Workers that die, and those that only seemed to.

use std::time::Duration;

use super::fixture::{Fixture, profile};
use crate::{
    Queues, WorkerId,
    store::{Ack, Beat, State, model::MAX_CRASHES},
};

pub(super) async fn a_dead_workers_jobs_run_again_and_spend_no_attempt(it: Fixture) {
    let id = it.enqueue().await;
    let stale = it.claim_one().await;
    assert_eq!(it.kill(it.worker).await, 1);
    it.refuse(&stale, Ack::Done).await;
    let again = it.claim_one_as(it.other).await;
    assert_eq!(again.lease.job, id);
    assert_eq!(again.attempt(), 1);
    assert!(again.lease.epoch > stale.lease.epoch);
    it.refuse(&stale, Ack::Done).await;
    it.ack(&again, Ack::Done).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.crashes, 1);
    assert_eq!(details.errors[0].cause, "crashed");
    assert_eq!(details.errors[0].worker, Some(it.worker));
}

pub(super) async fn a_worker_whose_heart_has_beaten_since_is_not_dead(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let seen = it.beat_of(it.worker).await;
    let mut pulse = it.store.pulse();
    assert_eq!(pulse.beat(&profile(it.worker)).await.unwrap(), Beat::Known);
    assert_ne!(it.beat_of(it.worker).await, seen);
    assert!(it.store.rescue(it.worker, seen).await.unwrap().is_empty());
    assert_eq!(it.state(id).await, State::Running);
    it.ack(&job, Ack::Done).await;
}

pub(super) async fn a_worker_that_was_declared_dead_is_registered_by_its_next_beat(it: Fixture) {
    it.kill(it.worker).await;
    let id = it.enqueue().await;
    assert_eq!(it.claim().await.len(), 0);
    let mut pulse = it.store.pulse();
    let beat = pulse.beat(&profile(it.worker)).await.unwrap();
    assert_eq!(beat, Beat::Registered);
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn a_job_under_which_too_many_workers_die_fails(it: Fixture) {
    let id = it.enqueue().await;
    for death in 1..=MAX_CRASHES {
        let worker = WorkerId::new();
        it.register(worker).await;
        it.claim_one_as(worker).await;
        assert_eq!(it.kill(worker).await, 1);
        let dies = death == MAX_CRASHES;
        let state = if dies { State::Failed } else { State::Waiting };
        assert_eq!(it.state(id).await, state, "death {death}");
    }
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.attempts, 0);
    assert_eq!(details.errors.len(), 1);
    assert_eq!(details.errors[0].times, MAX_CRASHES.unsigned_abs());
    it.store.retry(&[id]).await.unwrap();
    it.claim_one().await;
    it.kill(it.worker).await;
    assert_eq!(it.state(id).await, State::Waiting);
}

pub(super) async fn a_job_that_nobody_holds_is_rescued(it: Fixture) {
    let id = it.enqueue().await;
    it.claim_one().await;
    assert!(!it.store.observe().await.unwrap().orphans);
    it.store.deregister(it.worker).await.unwrap();
    assert!(it.store.observe().await.unwrap().orphans);
    let rescued = it.store.rescue_orphans().await.unwrap();
    assert_eq!(rescued[0].job, id);
    assert!(!it.store.observe().await.unwrap().orphans);
    it.claim_one_as(it.other).await;
}

/// A job that a dying worker claims at the last moment must be seen by its rescuer.
pub(super) async fn a_claim_and_a_rescue_at_once_strand_no_job(it: Fixture) {
    for _ in 0..30 {
        let worker = WorkerId::new();
        it.register(worker).await;
        it.enqueue().await;
        let beat = it.beat_of(worker).await;
        let queues = Queues::all();
        let (claimed, rescued) = tokio::join!(
            it.store.claim(worker, &queues, 10),
            it.store.rescue(worker, beat)
        );
        assert_eq!(claimed.unwrap().len(), rescued.unwrap().len());
        assert!(!it.store.observe().await.unwrap().orphans);
        let job = it.claim_one().await;
        it.ack(&job, Ack::Done).await;
    }
}

pub(super) async fn two_rescuers_rescue_once(it: Fixture) {
    it.enqueue().await;
    it.claim_one().await;
    let beat = it.beat_of(it.worker).await;
    let (one, two) = tokio::join!(
        it.store.rescue(it.worker, beat),
        it.store.rescue(it.worker, beat)
    );
    assert_eq!(one.unwrap().len() + two.unwrap().len(), 1);
    assert_eq!(it.claim_one_as(it.other).await.attempt(), 1);
}

pub(super) async fn what_a_worker_holds_can_be_listed(it: Fixture) {
    it.enqueue().await;
    let job = it.claim_one().await;
    assert_eq!(it.store.held_by(it.worker).await.unwrap(), [job.lease]);
    it.ack(&job, Ack::Snooze(Duration::ZERO)).await;
    assert!(it.store.held_by(it.worker).await.unwrap().is_empty());
}
