//! What the tables of a Postgres store must bear: late commits, pauses, and what only they show.

use sqlx::{Connection, PgConnection};
use twelve_worker::{
    JobId, Queues,
    store::{
        Draft,
        conformance::{Fixture, draft},
    },
};

use crate::database::fresh_database;

async fn fixture() -> Fixture {
    Fixture::postgres(fresh_database().await).await
}

async fn execute(it: &Fixture, statement: &'static str) {
    sqlx::query(statement).execute(&it.db).await.unwrap();
}

async fn count(it: &Fixture, statement: &'static str) -> i64 {
    let counted = sqlx::query_scalar(statement).fetch_one(&it.db);
    counted.await.unwrap()
}

/// Enqueues and claims until every mark that may rise has risen.
async fn work_off(it: &Fixture, jobs: usize) {
    for _ in 0..jobs {
        it.enqueue().await;
        let claimed = it.take(it.worker, &Queues::all(), 10).await.jobs;
        assert_eq!(claimed.len(), 1);
    }
}

#[tokio::test]
async fn a_job_whose_transaction_commits_late_is_claimed() {
    let it = fixture().await;
    work_off(&it, 3).await;
    let mut connection = it.connect().await;
    let mut late = connection.begin().await.unwrap();
    let early_number = draft();
    let id = early_number.id;
    let enqueued = it.store.enqueue_in(&mut late, vec![early_number]);
    enqueued.await.unwrap();
    // Far more surveys than samples are kept.
    work_off(&it, 50).await;
    late.commit().await.unwrap();
    let claimed = it.claim_one().await;
    assert_eq!(claimed.lease.job, id);
}

#[tokio::test]
async fn a_job_promoted_or_released_by_a_late_commit_is_claimed() {
    let it = fixture().await;
    let id = it.enqueue().await;
    let held = it.claim_one().await.lease;
    let mut connection = it.connect().await;
    let mut late = connection.begin().await.unwrap();
    // It comes back by a statement that has drawn its number, and waits for its commit.
    sqlx::query("WITH back AS (UPDATE twelve.jobs SET epoch = epoch + 1 WHERE id = $1 RETURNING id, epoch) INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT 'default', 0, id, epoch FROM back")
        .bind(*held.job.as_uuid())
        .execute(&mut *late)
        .await
        .unwrap();
    work_off(&it, 50).await;
    late.commit().await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, id);
}

#[tokio::test]
async fn what_was_deleted_and_not_committed_is_not_passed() {
    let it = fixture().await;
    let id = it.enqueue().await;
    let mut connection = it.connect().await;
    let mut claiming = connection.begin().await.unwrap();
    sqlx::query("DELETE FROM twelve.ready")
        .execute(&mut *claiming)
        .await
        .unwrap();
    for _ in 0..50 {
        it.enqueue().await;
        assert_eq!(it.take(it.worker, &Queues::all(), 10).await.jobs.len(), 1);
    }
    claiming.rollback().await.unwrap();
    assert_eq!(it.claim_one().await.lease.job, id);
}

#[tokio::test]
async fn surveys_at_once_lose_no_job() {
    let it = fixture().await;
    for _ in 0..20 {
        let surveying = (0..5).map(async |_| it.lanes(&Queues::all()).await);
        let enqueuing = (0..20).map(|_| it.enqueue());
        let (_, enqueued) = tokio::join!(
            futures_util::future::join_all(surveying),
            futures_util::future::join_all(enqueuing)
        );
        assert_eq!(it.claim().await.len(), enqueued.len());
    }
}

#[tokio::test]
async fn a_paused_queue_has_no_lanes_until_it_is_resumed() {
    let it = fixture().await;
    let id = it.enqueue().await;
    execute(&it, "INSERT INTO twelve.pauses VALUES ('queue', 'default')").await;
    assert!(it.lanes(&Queues::all()).await.is_empty());
    assert_eq!(it.claim().await.len(), 0);
    execute(&it, "DELETE FROM twelve.pauses").await;
    assert_eq!(it.claim_one().await.lease.job, id);
}

#[tokio::test]
async fn jobs_of_a_paused_kind_are_held_back_and_others_are_not() {
    let it = fixture().await;
    let held_back = it.enqueue().await;
    let other = Draft {
        kind: "refund".into(),
        ..draft()
    };
    let other = it.enqueue_draft(other).await;
    execute(&it, "INSERT INTO twelve.pauses VALUES ('kind', 'charge')").await;
    let batch = it.take(it.worker, &Queues::all(), 10).await;
    assert_eq!((batch.jobs.len(), batch.taken), (1, 2));
    assert_eq!(batch.jobs[0].lease.job, other);
    assert_eq!(it.state(held_back).await.name(), "waiting");
    assert_eq!(it.claim().await.len(), 0, "it is in no lane any more");
    assert_eq!(parked(&it).await, 1);
}

#[tokio::test]
async fn a_job_that_is_held_back_and_retried_is_held_back_again() {
    let it = fixture().await;
    let id = it.enqueue().await;
    execute(&it, "INSERT INTO twelve.pauses VALUES ('kind', 'charge')").await;
    for _ in 0..3 {
        assert_eq!(it.claim().await.len(), 0);
        assert_eq!(it.store.retry(&[id]).await.unwrap(), [id]);
    }
    assert_eq!(it.claim().await.len(), 0);
    assert_eq!(parked(&it).await, 1);
}

#[tokio::test]
async fn tags_are_kept() {
    let it = fixture().await;
    let tagged = Draft {
        tags: vec!["eu".into(), "gift, wrapped".into()],
        ..draft()
    };
    let id = it.enqueue_draft(tagged).await;
    let mut connection = it.connect().await;
    assert_eq!(tags(&mut connection, id).await, ["eu", "gift, wrapped"]);
}

async fn tags(connection: &mut PgConnection, job: JobId) -> Vec<String> {
    sqlx::query_scalar("SELECT unnest(tags) FROM twelve.all_jobs WHERE id = $1")
        .bind(*job.as_uuid())
        .fetch_all(connection)
        .await
        .unwrap()
}

async fn parked(it: &Fixture) -> i64 {
    let valid = "SELECT count(*) FROM twelve.parked JOIN twelve.jobs ON jobs.id = job AND jobs.epoch = parked.epoch";
    count(it, valid).await
}
