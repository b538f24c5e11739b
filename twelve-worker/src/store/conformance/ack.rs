//! Acks: every way in which an attempt can end.

use sqlx::Connection;
use std::time::Duration;

use super::fixture::{Fixture, done, retention, until};
use crate::{
    job::retention::Keep,
    store::{
        model::{Ack, Acked, FailureText, Retention},
        state::{Cause, State},
    },
};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_hours(1);

pub(super) async fn a_done_job_is_kept_and_never_runs_again(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Done);
    assert_eq!(details.summary.attempts, 1);
    assert!(details.summary.finished_at.is_some());
    assert_eq!(details.summary.worker, None);
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn a_failed_attempt_is_recorded_and_runs_again_after_its_pause(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let pause = Duration::from_millis(300);
    it.ack(
        &job,
        Ack::Retry(pause, FailureText::new("the kettle is dry")),
    )
    .await;
    assert_eq!(it.claim().await.len(), 0);
    assert_eq!(it.state(id).await, State::Scheduled);
    let again = until("the pause to be over", async || it.claim().await.pop()).await;
    assert_eq!(again.attempt(), 2);
    let details = it.store.show(id).await.unwrap().unwrap();
    let [error] = &*details.errors else {
        panic!("one record: {:?}", details.errors);
    };
    assert_eq!((error.attempt, error.cause), (1, Cause::Failed));
    assert_eq!(error.message, "the kettle is dry");
    assert_eq!(error.worker, Some(it.worker));
    assert_eq!(details.summary.last_error.unwrap(), "the kettle is dry");
}

pub(super) async fn the_last_failed_attempt_fails_the_job(it: Fixture) {
    let id = it.enqueue().await;
    for n in 1..=2 {
        let job = it.claim_one().await;
        it.ack(&job, Ack::Retry(NOW, FailureText::new(&n.to_string())))
            .await;
    }
    let job = it.claim_one().await;
    assert_eq!(job.attempt(), job.max_attempts);
    it.ack(&job, Ack::Fail(FailureText::new("3"))).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Failed);
    let records = details
        .errors
        .iter()
        .map(|error| (error.attempt, &*error.message));
    let records: Vec<_> = records.collect();
    assert_eq!(records, [(1, "1"), (2, "2"), (3, "3")]);
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn a_snooze_spends_no_attempt(it: Fixture) {
    let id = it.enqueue().await;
    for _ in 0..5 {
        let job = it.claim_one().await;
        assert_eq!(job.attempt(), 1);
        it.ack(&job, Ack::Snooze(NOW)).await;
    }
    let job = it.claim_one().await;
    it.ack(&job, Ack::Snooze(Duration::from_hours(1))).await;
    assert_eq!(it.state(id).await, State::Scheduled);
    assert!(it.store.show(id).await.unwrap().unwrap().errors.is_empty());
}

pub(super) async fn a_discarded_job_keeps_its_reason(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let reason = FailureText::new("the order is gone");
    it.ack(&job, Ack::Discard(reason, HOUR)).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Discarded);
    assert_eq!(details.errors[0].cause, Cause::Discarded);
    assert_eq!(details.errors[0].message, "the order is gone");
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn a_cancelled_job_keeps_its_reason_and_can_be_retried(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let reason = FailureText::new("by mistake");
    it.ack(&job, Ack::Cancel(reason, HOUR)).await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Cancelled);
    assert_eq!(details.errors[0].cause, Cause::Cancelled);
    assert_eq!(it.claim().await.len(), 0);
    assert_eq!(it.store.retry(&[id]).await.unwrap(), [id]);
    assert_eq!(it.claim_one().await.lease.job, id);
}

pub(super) async fn an_undecodable_job_fails_without_an_attempt(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, Ack::Undecodable(FailureText::new("missing field")))
        .await;
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.state, State::Failed);
    assert_eq!(details.summary.attempts, 0);
    assert_eq!(details.payload, Some(serde_json::json!({"order": 1})));
    it.store.retry(&[id]).await.unwrap();
    assert_eq!(it.claim_one().await.payload, r#"{"order":1}"#);
}

pub(super) async fn a_job_that_is_deferred_for_ever_keeps_one_record(it: Fixture) {
    let id = it.enqueue().await;
    for n in 1..=5 {
        let job = it.claim_one().await;
        let error = FailureText::new(&format!("no handler, {n}"));
        it.ack(&job, Ack::Defer(NOW, Cause::UnknownKind, error))
            .await;
    }
    let details = it.store.show(id).await.unwrap().unwrap();
    assert_eq!(details.summary.attempts, 0);
    assert_eq!(details.errors.len(), 1);
    assert_eq!(details.errors[0].times, 5);
    assert_eq!(details.errors[0].message, "no handler, 5");
}

pub(super) async fn deferrals_count_until_an_attempt_ends_otherwise(it: Fixture) {
    it.enqueue().await;
    let down = || Ack::Defer(NOW, Cause::Unavailable, FailureText::new("down"));
    let unknown = || Ack::Defer(NOW, Cause::UnknownKind, FailureText::new("no handler"));
    let failed = || Ack::Retry(NOW, FailureText::new("no"));
    for (deferrals, next) in [
        (0, down()),
        (1, down()),
        (2, unknown()),
        (2, failed()),
        (0, down()),
        (1, Ack::Snooze(NOW)),
        (0, down()),
    ] {
        let job = it.claim_one().await;
        assert_eq!(job.deferrals, deferrals);
        it.ack(&job, next).await;
    }
}

pub(super) async fn an_endless_snooze_can_be_acked(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, Ack::Snooze(Duration::MAX)).await;
    assert_eq!(it.state(id).await, State::Scheduled);
}

pub(super) async fn a_job_that_is_released_is_due_at_once_and_spends_no_attempt(it: Fixture) {
    it.enqueue().await;
    it.enqueue().await;
    let leases: Vec<_> = it.claim().await.iter().map(|job| job.lease).collect();
    assert_eq!(it.store.release(&leases).await.unwrap(), 2);
    let again = it.claim_as(it.other).await;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|job| job.attempt() == 1));
}

pub(super) async fn an_ack_commits_with_its_transaction(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let mut connection = it.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let ack = done();
    let acked = it
        .store
        .ack_in(&mut transaction, it.worker, job.lease, &ack);
    assert_eq!(acked.await.unwrap(), Acked::Accepted);
    assert_eq!(it.state(id).await, State::Running);
    transaction.commit().await.unwrap();
    assert_eq!(it.state(id).await, State::Done);
}

pub(super) async fn an_ack_rolls_back_with_its_transaction(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    let mut connection = it.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let reason = Ack::Discard(FailureText::new("no"), HOUR);
    let acked = it
        .store
        .ack_in(&mut transaction, it.worker, job.lease, &reason);
    assert_eq!(acked.await.unwrap(), Acked::Accepted);
    transaction.rollback().await.unwrap();
    assert_eq!(it.state(id).await, State::Running);
    it.ack(&job, done()).await;
}

pub(super) async fn of_a_done_job_as_much_is_kept_as_was_asked_for(it: Fixture) {
    for keep in Keep::ALL {
        let id = it.enqueue().await;
        let job = it.claim_one().await;
        it.store.record_step(job.lease, "step", "1").await.unwrap();
        it.ack(&job, Ack::Retry(NOW, FailureText::new("no"))).await;
        let job = it.claim_one().await;
        it.ack(&job, Ack::Done(retention(keep))).await;
        let details = it.store.show(id).await.unwrap();
        if keep == Keep::Nothing {
            assert!(details.is_none());
            assert_eq!(it.store.step(id, "step").await.unwrap(), None);
            continue;
        }
        let details = details.unwrap();
        assert_eq!(details.summary.state, State::Done);
        assert_eq!(details.summary.attempts, 2);
        let is_whole = keep == Keep::Everything;
        assert_eq!(details.payload.is_some(), is_whole);
        assert_eq!(details.errors.len(), 1);
        assert_eq!(details.steps.len(), usize::from(is_whole));
    }
}

pub(super) async fn a_bare_job_leaves_nothing(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, Ack::Done(bare())).await;
    assert!(!it.knows(id).await);
    it.refuse(&job, Ack::Done(bare())).await;
    assert_eq!(it.claim().await.len(), 0);
}

pub(super) async fn finished_jobs_are_pruned_in_batches_when_their_time_is_over(it: Fixture) {
    let over = |keep| Retention {
        span: NOW,
        ..retention(keep)
    };
    let no = || FailureText::new("no");
    let mut stay = Vec::new();
    for (ack, is_pruned) in [
        (Ack::Done(over(Keep::Summary)), true),
        (Ack::Done(over(Keep::Everything)), true),
        (Ack::Discard(no(), NOW), true),
        (Ack::Cancel(no(), NOW), true),
        (Ack::Done(retention(Keep::Summary)), false),
        (Ack::Discard(no(), HOUR), false),
        // A failed job has no expiry: it is kept until somebody acts on it.
        (Ack::Fail(no()), false),
        (Ack::Undecodable(no()), false),
        (Ack::Snooze(HOUR), false),
    ] {
        let id = it.enqueue().await;
        let job = it.claim_one().await;
        it.store.record_step(job.lease, "step", "1").await.unwrap();
        it.ack(&job, ack.clone()).await;
        stay.push((id, ack, !is_pruned));
    }
    let mut pruned = Vec::new();
    for _ in 0..3 {
        pruned.push(it.store.prune(3).await.unwrap());
    }
    assert_eq!(pruned, [3, 1, 0]);
    for (id, ack, stays) in stay {
        assert_eq!(it.knows(id).await, stays, "{ack:?}");
        if !stays {
            assert_eq!(it.store.step(id, "step").await.unwrap(), None);
        }
    }
}

/// The end of a job with nothing but its own row.
fn bare() -> Retention {
    Retention {
        is_bare: true,
        ..retention(Keep::Nothing)
    }
}
