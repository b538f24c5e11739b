//! The fencing token: a stale holder is refused, and of two that race the first wins.

use sqlx::Connection;
use std::time::Duration;
use tokio::time::timeout;

use super::fixture::{Fixture, done};
use crate::{
    job::id::WorkerId,
    store::{
        model::{Ack, Acked, FailureText},
        state::State,
    },
};

/// How often a race is run: each side must have the chance to come first.
const ROUNDS: usize = 30;

pub(super) async fn an_ack_is_accepted_once(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    for ack in [
        done(),
        Ack::Retry(Duration::ZERO, FailureText::new("no")),
        Ack::Snooze(Duration::ZERO),
    ] {
        it.refuse(&job, ack).await;
    }
    assert_eq!(it.state(id).await, State::Done);
    assert!(it.store.show(id).await.unwrap().unwrap().errors.is_empty());
}

pub(super) async fn an_ack_of_an_earlier_claim_is_refused(it: Fixture) {
    let id = it.enqueue().await;
    let stale = it.claim_one().await;
    it.ack(&stale, Ack::Snooze(Duration::ZERO)).await;
    let job = it.claim_one().await;
    it.refuse(&stale, done()).await;
    it.refuse(&stale, Ack::Fail(FailureText::new("no"))).await;
    assert_eq!(it.state(id).await, State::Running);
    it.ack(&job, done()).await;
}

pub(super) async fn an_ack_after_a_hand_back_is_refused(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    assert_eq!(it.store.release(&[job.lease]).await.unwrap(), 1);
    it.refuse(&job, done()).await;
    assert_eq!(it.state(id).await, State::Waiting);
}

pub(super) async fn a_hand_back_after_an_ack_changes_nothing(it: Fixture) {
    let id = it.enqueue().await;
    let job = it.claim_one().await;
    it.ack(&job, done()).await;
    assert_eq!(it.store.release(&[job.lease]).await.unwrap(), 0);
    assert_eq!(it.state(id).await, State::Done);
}

pub(super) async fn a_hand_back_of_an_earlier_claim_changes_nothing(it: Fixture) {
    let id = it.enqueue().await;
    let stale = it.claim_one().await;
    it.ack(&stale, Ack::Snooze(Duration::ZERO)).await;
    let job = it.claim_one().await;
    assert_eq!(it.store.release(&[stale.lease]).await.unwrap(), 0);
    assert_eq!(it.state(id).await, State::Running);
    it.ack(&job, done()).await;
}

pub(super) async fn of_an_ack_and_a_rescue_one_wins(it: Fixture) {
    for _ in 0..ROUNDS {
        let worker = WorkerId::new();
        it.register(worker).await;
        let id = it.enqueue().await;
        let job = it.claim_one_as(worker).await;
        let beat = it.beat_of(worker).await;
        let ack = done();
        let (acked, rescued) = tokio::join!(
            it.store.ack(worker, job.lease, &ack),
            it.store.rescue(worker, beat)
        );
        let rescued = rescued.unwrap().len() + it.store.rescue_orphans().await.unwrap().len();
        match acked.unwrap() {
            Acked::Accepted => assert_eq!((rescued, it.state(id).await), (0, State::Done)),
            Acked::Refused => {
                assert_eq!((rescued, it.state(id).await), (1, State::Waiting));
                let again = it.claim_one().await;
                it.ack(&again, done()).await;
            }
        }
    }
}

pub(super) async fn of_an_ack_in_a_transaction_and_a_rescue_one_wins_and_the_writes_follow(
    it: Fixture,
) {
    sqlx::query("CREATE TABLE effects (job uuid)")
        .execute(&it.db)
        .await
        .unwrap();
    for _ in 0..ROUNDS {
        let worker = WorkerId::new();
        it.register(worker).await;
        let id = it.enqueue().await;
        let job = it.claim_one_as(worker).await;
        let beat = it.beat_of(worker).await;
        let acking = async {
            let mut connection = it.connect().await;
            let mut transaction = connection.begin().await.unwrap();
            sqlx::query("INSERT INTO effects VALUES ($1)")
                .bind(*id.as_uuid())
                .execute(&mut *transaction)
                .await
                .unwrap();
            let ack = done();
            let acked = it.store.ack_in(&mut transaction, worker, job.lease, &ack);
            let acked = acked.await.unwrap();
            match acked {
                Acked::Accepted => transaction.commit().await.unwrap(),
                Acked::Refused => transaction.rollback().await.unwrap(),
            }
            acked
        };
        let rescuing = async {
            // Connecting takes longer than a rescue: without this the rescue would always come first.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..12))).await;
            it.store.rescue(worker, beat).await.unwrap()
        };
        let (acked, _) = tokio::join!(acking, rescuing);
        it.store.rescue_orphans().await.unwrap();
        let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effects WHERE job = $1")
            .bind(*id.as_uuid())
            .fetch_one(&it.db)
            .await
            .unwrap();
        match acked {
            Acked::Accepted => assert_eq!((effects, it.state(id).await), (1, State::Done)),
            Acked::Refused => {
                assert_eq!((effects, it.state(id).await), (0, State::Waiting));
                let again = it.claim_one().await;
                it.ack(&again, done()).await;
            }
        }
    }
}

pub(super) async fn a_rescue_does_not_wait_for_an_ack_that_is_being_committed(it: Fixture) {
    for commits in [true, false] {
        let worker = WorkerId::new();
        it.register(worker).await;
        let (acked, held) = (it.enqueue().await, it.enqueue().await);
        let job = it.claim_as(worker).await.remove(0);
        let mut connection = it.connect().await;
        let mut transaction = connection.begin().await.unwrap();
        let ack = done();
        let acking = it.store.ack_in(&mut transaction, worker, job.lease, &ack);
        assert_eq!(acking.await.unwrap(), Acked::Accepted);

        let rescued = timeout(Duration::from_secs(5), it.kill(worker)).await;
        assert_eq!(rescued.expect("the rescue waits for nobody"), 1);
        assert_eq!(it.state(held).await, State::Waiting);
        assert_eq!(it.store.rescue_orphans().await.unwrap().len(), 0);

        if commits {
            transaction.commit().await.unwrap();
            assert_eq!(it.store.rescue_orphans().await.unwrap().len(), 0);
            assert_eq!(it.state(acked).await, State::Done);
        } else {
            transaction.rollback().await.unwrap();
            assert!(it.store.observe().await.unwrap().orphans);
            assert_eq!(it.store.rescue_orphans().await.unwrap().len(), 1);
            assert_eq!(it.state(acked).await, State::Waiting);
        }
        for job in it.claim().await {
            it.ack(&job, done()).await;
        }
    }
}
