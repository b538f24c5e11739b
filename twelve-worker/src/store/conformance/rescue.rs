//! Rescues: of dead workers, and of workers that only seemed dead.

use std::time::Duration;

use super::fixture::{Fixture, done, profile};
use crate::{
    job::{
        id::{JobId, WorkerId},
        queues::Queues,
    },
    store::{
        model::{Ack, Beat, FailureText, Level, MAX_CRASHES},
        state::{Cause, State},
    },
};

pub(super) async fn a_dead_workers_jobs_run_again_and_spend_no_attempt(it: Fixture) {
    let id = it.enqueue().await;
    let stale = it.claim_one().await;
    assert_eq!(it.kill(it.worker).await, 1);
    it.refuse(&stale, done()).await;
    let again = it.claim_one_as(it.other).await;
    assert_eq!(again.lease.job, id);
    assert_eq!(again.attempt(), 1);
    assert!(again.lease.epoch > stale.lease.epoch);
    it.refuse(&stale, done()).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.crashes, 0);
    assert_eq!(details.errors[0].cause, Cause::Crashed);
    assert_eq!(details.errors[0].worker, Some(it.worker));
    it.ack(&again, done()).await;
}

pub(super) async fn a_worker_whose_heart_has_beaten_since_is_not_dead(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let seen = it.beat_of(it.worker).await;
    let mut heartbeat = it.store.heartbeat_writer();
    let beat = heartbeat.beat(&profile(it.worker), false).await;
    assert_eq!(beat.unwrap(), Beat::Known);
    assert_ne!(it.beat_of(it.worker).await, seen);
    assert!(it.store.rescue(it.worker, seen).await.unwrap().is_empty());
    assert_eq!(it.state(id).await, State::Running);
    it.ack(&job, done()).await;
}

pub(super) async fn a_worker_that_was_declared_dead_is_registered_by_its_next_beat(it: Fixture) {
    it.kill(it.worker).await;
    let id = it.enqueue().await;
    assert_eq!(it.claim().await.len(), 0);
    let mut heartbeat = it.store.heartbeat_writer();
    let beat = heartbeat.beat(&profile(it.worker), false).await.unwrap();
    assert_eq!(beat, Beat::Registered);
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn a_job_under_which_too_many_workers_die_fails(it: Fixture) {
    let id = it.enqueue().await;
    // The first is not counted: nothing is known yet.
    for death in 0..=MAX_CRASHES {
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
    assert_eq!(details.errors[0].times, MAX_CRASHES.unsigned_abs() + 1);
    it.store.retry(&[id]).await.unwrap();
    assert!(it.claim_suspect_as(it.worker).await.is_some());
    it.kill(it.worker).await;
    assert_eq!(it.state(id).await, State::Waiting);
}

pub(super) async fn suspects_wait_in_a_lane_of_their_own(it: Fixture) {
    let suspects = [it.enqueue().await, it.enqueue().await];
    it.claim().await;
    it.kill(it.worker).await;
    let other = it.enqueue().await;
    let lane = ("default".to_owned(), Level::Suspect);
    assert!(it.busy_lanes().await.contains(&lane));
    let claimed = it.take(it.other, &Queues::all(), 100).await.jobs;
    let claimed: Vec<_> = claimed.iter().map(|job| job.lease.job).collect();
    assert_eq!(claimed, [other]);

    let stranger = it.claim_suspect_as(WorkerId::new()).await;
    assert!(stranger.is_none(), "it is not registered");
    let first = it.claim_suspect_as(it.other).await;
    assert_eq!(first.unwrap().lease.job, suspects[0]);
    let second = it.claim_suspect_as(it.other).await;
    assert_eq!(second.unwrap().lease.job, suspects[1]);
    assert!(it.claim_suspect_as(it.other).await.is_none());
}

pub(super) async fn the_neighbours_of_a_job_that_kills_are_not_blamed(it: Fixture) {
    let poison = it.enqueue().await;
    let innocent = [it.enqueue().await, it.enqueue().await];
    assert_eq!(it.claim().await.len(), 3);
    assert_eq!(it.kill(it.worker).await, 3);
    let mut unharmed = Vec::new();
    while it.state(poison).await != State::Failed {
        let worker = WorkerId::new();
        it.register(worker).await;
        let alone = it.claim_suspect_as(worker).await.unwrap();
        if alone.lease.job == poison {
            it.kill(worker).await;
            continue;
        }
        let details = it.store.show(alone.lease.job).await.unwrap().unwrap();
        assert_eq!(details.summary.crashes, 0);
        assert_eq!(details.errors[0].cause, Cause::Crashed);
        it.ack(&alone, done()).await;
        unharmed.push(alone.lease.job);
    }
    assert_eq!(unharmed, innocent);
}

pub(super) async fn a_suspect_that_has_run_to_an_orderly_end_is_none_any_more(it: Fixture) {
    let id = it.enqueue().await;
    let no = || FailureText::new("no");
    for (ack, is_suspect) in [
        (Ack::Defer(Duration::ZERO, Cause::UnknownKind, no()), true),
        (Ack::Defer(Duration::ZERO, Cause::Unavailable, no()), true),
        (Ack::Snooze(Duration::ZERO), false),
        (Ack::Retry(Duration::ZERO, no()), false),
    ] {
        for _ in 0..2 {
            let worker = WorkerId::new();
            it.register(worker).await;
            it.claim_one_as(worker).await;
            it.kill(worker).await;
        }
        let job = it.claim_suspect_as(it.worker).await.unwrap();
        it.ack(&job, ack).await;
        let crashes = it.store.show(id).await.unwrap().unwrap().summary.crashes;
        assert_eq!(crashes > 0, is_suspect);
        let suspect = it.claim_suspect_as(it.worker).await;
        assert_eq!(suspect.is_some(), is_suspect);
        let job = match suspect {
            Some(job) => job,
            None => it.claim_one().await,
        };
        it.ack(&job, Ack::Snooze(Duration::ZERO)).await;
    }
}

pub(super) async fn a_crash_is_not_counted_against_a_suspect_that_had_company(it: Fixture) {
    let suspect = it.enqueue().await;
    it.claim().await;
    it.kill(it.worker).await;
    it.enqueue().await;
    let other = it.take(it.other, &Queues::all(), 1).await.jobs;
    assert!(it.claim_suspect_as(it.other).await.is_some());
    assert_eq!(it.kill(it.other).await, 2);
    for id in [suspect, other[0].lease.job] {
        assert_eq!(it.crashes(id).await, 0);
    }
}

/// A suspect counts as alone even if its worker held other jobs before, which have ended.
pub(super) async fn a_crash_is_counted_against_all_that_a_worker_held(it: Fixture) {
    let suspect = it.enqueue().await;
    it.claim().await;
    it.kill(it.worker).await;
    let worker = WorkerId::new();
    it.register(worker).await;
    it.enqueue().await;
    let ended = it.take(worker, &Queues::all(), 1).await.jobs.remove(0);
    it.ack(&ended, Ack::Snooze(Duration::from_hours(1))).await;
    assert!(it.claim_suspect_as(worker).await.is_some());
    assert_eq!(it.kill(worker).await, 1);
    assert_eq!(it.crashes(suspect).await, 1);
}

pub(super) async fn a_job_that_has_killed_too_often_is_kept_whole(it: Fixture) {
    let id = it.enqueue().await;
    for _ in 0..=MAX_CRASHES {
        let worker = WorkerId::new();
        it.register(worker).await;
        let job = it.claim_one_as(worker).await;
        it.store.record_step(job.lease, "step", "1").await.unwrap();
        it.kill(worker).await;
    }
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Failed);
    assert_eq!(details.summary.crashes, MAX_CRASHES.unsigned_abs());
    assert!(details.summary.finished_at.is_some());
    assert_eq!(details.payload, Some(serde_json::json!({"order": 1})));
    assert_eq!(details.errors[0].cause, Cause::Crashed);
    assert_eq!(details.steps, ["step"]);
    it.store.prune(10).await.unwrap();
    assert!(it.knows(id).await, "until somebody acts");
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
    // It is no suspect, and it has had its turn.
    let first = ("default".to_owned(), Level::Returned);
    assert_eq!(it.busy_lanes().await, [first]);
    it.claim_one_as(it.other).await;
}

/// A job that a dying worker claims at the last moment must be seen by its rescuer.
pub(super) async fn a_claim_and_a_rescue_at_once_strand_no_job(it: Fixture) {
    for _ in 0..30 {
        let worker = WorkerId::new();
        it.register(worker).await;
        it.enqueue().await;
        let beat = it.beat_of(worker).await;
        let plan = it.plan(worker, &Queues::all(), 10).await;
        let (claimed, rescued) = tokio::join!(it.store.claim(&plan), it.store.rescue(worker, beat));
        assert_eq!(claimed.unwrap().jobs.len(), rescued.unwrap().len());
        assert!(!it.store.observe().await.unwrap().orphans);
        let job = it.claim_one().await;
        it.ack(&job, done()).await;
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

impl Fixture {
    async fn crashes(&self, job: JobId) -> u32 {
        self.store.show(job).await.unwrap().unwrap().summary.crashes
    }
}
