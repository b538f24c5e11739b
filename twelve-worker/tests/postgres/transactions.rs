//! What a handler writes stays or goes with what becomes of its attempt.

use serde::{Deserialize, Serialize};
use sqlx::Connection;
use std::time::Duration;
use twelve_core::{Exit, Failure, Res, Result, Tx};
use twelve_worker::{
    Attempt, Filter, Job, Jobs, Outcome, Policy, State, store::conformance::until,
};

use crate::app::{App, Stage, Work, write_effect};

#[derive(Serialize, Deserialize)]
struct Hasty;

impl Job for Hasty {
    const KIND: &'static str = "hasty";

    fn policy() -> Policy {
        let moment = Duration::from_millis(50);
        Policy::new().attempts(2).timeout(moment).backoff(moment)
    }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_a_failed_one_and_its_writes_are_gone() {
    let app = App::new(
        async |_: Hasty, mut tx: Tx, attempt: Attempt| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            if !attempt.is_retry() {
                // In the middle of a statement, the worst moment.
                sqlx::query("SELECT pg_sleep(60)").execute(&mut tx).await?;
            }
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Hasty).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.errors[0].message, "took longer than 50ms");
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_snoozed_job_comes_back_without_a_spent_attempt_and_its_writes_stay() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<Outcome> {
            write_effect(&mut tx, attempt).await?;
            Ok(match stage.runs.count() {
                5 => Outcome::done(),
                _ => Outcome::snooze(Duration::ZERO),
            })
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.summary.attempts, 1);
    assert_eq!(app.effects().await, 5);
}

#[tokio::test]
async fn a_job_can_discard_itself_and_its_writes_stay() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt| -> Result<Outcome> {
            write_effect(&mut tx, attempt).await?;
            Ok(Outcome::discard("the order is gone"))
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Discarded).await;
    assert_eq!(details.errors[0].message, "the order is gone");
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_job_can_fail_for_good_and_its_writes_stay() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt| -> Result<Outcome> {
            write_effect(&mut tx, attempt).await?;
            Ok(Outcome::fail("the card was refused"))
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 1);
    assert_eq!(details.errors[0].message, "the card was refused");
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn what_a_failed_attempt_wrote_is_gone_and_what_the_good_one_wrote_stays() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            if attempt.is_retry() {
                return Ok(());
            }
            Err(Failure::new("no"))
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.until_state(job, State::Done).await;
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn the_writes_of_an_attempt_whose_ack_is_refused_are_gone() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            if stage.runs.count() == 1 {
                stage.at_work.notify_one();
                stage.go_on.notified().await;
            }
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.stage.at_work.notified().await;
    // Somebody takes the job back while its handler runs.
    app.execute("WITH back AS (UPDATE twelve.jobs SET epoch = epoch + 1, run_at = now() + interval '1 hour' RETURNING run_at, id, epoch) INSERT INTO twelve.scheduled SELECT * FROM back").await;
    app.stage.go_on.notify_one();
    assert_eq!(worker.stop().await, Exit::Done);
    assert_eq!(app.show(job).await.summary.state, State::Scheduled);
    assert_eq!(app.effects().await, 0);

    let _worker = app.start();
    app.execute("UPDATE twelve.scheduled SET run_at = now()")
        .await;
    app.until_state(job, State::Done).await;
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_constraint_that_the_commit_finds_broken_is_a_failed_attempt() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            write_effect(&mut tx, attempt).await?;
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    app.execute("ALTER TABLE effects ADD UNIQUE (attempt) DEFERRABLE INITIALLY DEFERRED")
        .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.errors.len(), 2);
    assert!(details.errors[0].message.contains("duplicate key"));
    assert_eq!(app.effects().await, 0);
}

#[tokio::test]
async fn a_transaction_that_escapes_its_handler_commits_nothing() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            *stage.kept.lock().unwrap() = Some(tx);
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert!(details.errors[0].message.contains("outlived its handler"));
    drop(app.stage.kept.lock().unwrap().take());
    assert_eq!(app.effects().await, 0);
}

#[tokio::test]
async fn a_job_enqueued_in_a_jobs_transaction_runs_when_that_commits() {
    let app = App::new(
        async |Work(n): Work, mut tx: Tx, jobs: Jobs, attempt: Attempt| -> Result<()> {
            if n > 0 {
                jobs.enqueue_in(&mut tx, Work(n - 1)).await?;
            }
            if attempt.is_retry() {
                return Ok(());
            }
            Err(Failure::new("no"))
        },
    )
    .await;
    app.jobs.enqueue(Work(2)).await.unwrap();
    let _worker = app.start();
    until("three jobs to be done", async || {
        let done = app
            .admin
            .list(&Filter::new().state(State::Done))
            .await
            .unwrap();
        (done.len() == 3).then_some(())
    })
    .await;
    assert_eq!(app.admin.list(&Filter::new()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_job_enqueued_in_the_authors_own_transaction_is_found() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    let mut connection = app.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let first = app
        .jobs
        .enqueue_in(&mut transaction, Work(1))
        .await
        .unwrap()
        .id();
    let second = app
        .jobs
        .enqueue_in(&mut *transaction, Work(2))
        .await
        .unwrap()
        .id();
    transaction.commit().await.unwrap();
    app.jobs.wake();
    app.until_state(first, State::Done).await;
    app.until_state(second, State::Done).await;
}
