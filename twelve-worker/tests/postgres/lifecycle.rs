//! Workers that stop, die, or lose their connections.

use sqlx::Connection;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use twelve_core::{Db, Exit, Failure, Res, Result, Tx};
use twelve_worker::{Attempt, Cause, Job, JobId, Jobs, State, store::conformance::until};

use crate::app::{App, Stage, Unknown, Work, write_effect};

#[tokio::test]
async fn a_drain_finishes_the_running_job_and_takes_no_other() {
    let app = App::new(async |_: Work, stage: Res<Stage>| {
        stage.at_work.notify_one();
        stage.go_on.notified().await;
    })
    .await;
    let worker = app.start();
    let running = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.stage.at_work.notified().await;
    worker.lifecycle.begin_drain();
    let late = app.jobs.enqueue(Work(1)).await.unwrap().id();
    assert!(!worker.main.is_finished());
    app.stage.go_on.notify_one();
    assert_eq!(worker.stop().await, Exit::Done);
    let details = app.show(running).await;
    assert_eq!(
        (details.summary.state, details.summary.attempts),
        (State::Done, 1)
    );
    assert_eq!(app.show(late).await.summary.state, State::Waiting);
    assert_eq!(app.count("SELECT count(*) FROM twelve.workers").await, 0);
}

#[tokio::test]
async fn a_job_that_outlives_the_drain_is_released_without_a_spent_attempt() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            if stage.runs.count() == 1 {
                stage.at_work.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.stage.at_work.notified().await;
    worker.lifecycle.end_drain();
    assert_eq!(worker.stop().await, Exit::Overdue);
    let details = app.show(job).await;
    assert_eq!(
        (details.summary.state, details.summary.attempts),
        (State::Waiting, 0)
    );
    assert!(details.errors.is_empty());

    let _next = app.start();
    let details = app.until_state(job, State::Done).await;
    assert_eq!((details.summary.attempts, details.summary.crashes), (1, 0));
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_job_whose_end_is_being_recorded_is_not_released() {
    let app = App::new(
        async |_: Work, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            write_effect(&mut tx, attempt).await?;
            stage.at_work.notify_one();
            stage.go_on.notified().await;
            Ok(())
        },
    )
    .await;
    app.create_effects().await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.stage.at_work.notified().await;
    // The ack has to wait for this transaction.
    let mut connection = app.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT FROM twelve.jobs FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    app.stage.go_on.notify_one();
    until("the ack to wait", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (app.count(waiting).await == 1).then_some(())
    })
    .await;
    worker.lifecycle.end_drain();
    tokio::task::yield_now().await;
    transaction.rollback().await.unwrap();
    worker.stop().await;
    assert_eq!(app.show(job).await.summary.state, State::Done);
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_dead_workers_job_runs_again_within_thirty_seconds() {
    outlive_a_worker(&app_that_hangs_once().await).await;
}

#[tokio::test]
async fn a_job_that_cannot_be_rescued_keeps_no_other_from_it() {
    let app = app_that_hangs_once().await;
    app.jobs.enqueue(Unknown).await.unwrap();
    // A worker has claimed it that nobody knows.
    app.execute("WITH taken AS (DELETE FROM twelve.ready RETURNING job, epoch) INSERT INTO twelve.claims SELECT gen_random_uuid(), gen_random_uuid(), array_agg(job), array_agg(epoch), false FROM taken")
        .await;
    app.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
    )
    .await;
    app.execute("CREATE TRIGGER refuse BEFORE UPDATE ON twelve.jobs FOR EACH ROW WHEN (OLD.kind = 'unknown') EXECUTE FUNCTION refuse()")
        .await;
    outlive_a_worker(&app).await;
}

async fn app_that_hangs_once() -> App {
    App::new(async |_: Work, stage: Res<Stage>| {
        if stage.runs.count() == 1 {
            stage.at_work.notify_one();
            std::future::pending::<()>().await;
        }
    })
    .await
}

async fn outlive_a_worker(app: &App) {
    let doomed = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    app.stage.at_work.notified().await;
    // Its tasks outlive it, as in a process that hangs; its heartbeat has stopped.
    doomed.main.abort();
    let died = Instant::now();
    let _heir = app.start();
    while app.show(job).await.summary.state != State::Done {
        assert!(died.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let details = app.show(job).await;
    assert_eq!((details.summary.attempts, details.summary.crashes), (1, 0));
    assert_eq!(details.errors[0].cause, Cause::Crashed);
    assert!(
        died.elapsed() > Duration::from_secs(10),
        "{:?}",
        died.elapsed()
    );
}

#[tokio::test]
async fn a_suspect_runs_alone_and_no_load_keeps_it_from_running() {
    const SUSPECT: u32 = 99;
    let app = App::new(
        async |Work(n): Work, jobs: Jobs, stage: Res<Stage>| -> Result<()> {
            stage.runs.count();
            if n == SUSPECT {
                for _ in 0..20 {
                    stage.most.fetch_max(stage.runs.read(), Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                stage.saw(n);
            } else {
                // One job follows another until the suspect has run.
                tokio::time::sleep(Duration::from_millis(u64::from(n) * 20)).await;
                if stage.seen.lock().unwrap().is_empty() {
                    jobs.enqueue(Work(n)).await?;
                }
            }
            stage.runs.0.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        },
    )
    .await;
    app.jobs.enqueue_many((1..=12).map(Work)).await.unwrap();
    let worker = app.start();
    until("every slot to be taken", async || {
        (app.stage.runs.read() == 8).then_some(())
    })
    .await;
    let suspect = enqueue_suspect(&app, Work(SUSPECT)).await;
    app.until_state(suspect, State::Done).await;
    assert_eq!(app.stage.most.load(Ordering::SeqCst), 1);
    assert_eq!(worker.stop().await, Exit::Done);
    let lost = "SELECT count(*) FROM twelve.all_jobs WHERE state = 'running'";
    assert_eq!(app.count(lost).await, 0);
}

#[tokio::test]
async fn a_suspect_that_waits_for_the_others_is_left_to_others_by_a_drain() {
    let app = App::new(async |_: Work, stage: Res<Stage>| {
        stage.at_work.notify_one();
        stage.go_on.notified().await;
    })
    .await;
    let worker = app.start();
    app.jobs.enqueue(Work(0)).await.unwrap();
    app.stage.at_work.notified().await;
    let suspect = enqueue_suspect(&app, Work(1)).await;
    worker.lifecycle.begin_drain();
    app.stage.go_on.notify_one();
    assert_eq!(worker.stop().await, Exit::Done);
    let details = app.show(suspect).await;
    assert_eq!(details.summary.state, State::Waiting);
    assert!(details.errors.is_empty());
}

/// Enqueues a job that has never been anything but a suspect.
async fn enqueue_suspect(app: &App, job: Work) -> JobId {
    let later = job.after(Duration::from_hours(1));
    let id = app.jobs.enqueue(later).await.unwrap().id();
    app.execute("WITH suspect AS (UPDATE twelve.jobs SET suspect = true, run_at = NULL WHERE run_at > now() + interval '1 minute' RETURNING id), due AS (DELETE FROM twelve.scheduled USING suspect WHERE job = id) INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT 'default', 9, id, 0 FROM suspect")
        .await;
    id
}

/// The runtime of this test has one thread.
#[tokio::test]
async fn a_handler_that_blocks_every_thread_does_not_stop_the_heartbeat() {
    let app = App::new(async |_: Work, db: Db| -> Result<()> {
        let beat = "SELECT max(beat) FROM twelve.workers";
        let before: i64 = sqlx::query_scalar(beat).fetch_one(&db).await?;
        std::thread::sleep(Duration::from_secs(7));
        let after: i64 = sqlx::query_scalar(beat).fetch_one(&db).await?;
        if before < after {
            return Ok(());
        }
        Err(Failure::new("the heartbeat stopped"))
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    until("the attempt to end", async || {
        (app.show(job).await.summary.attempts == 1).then_some(())
    })
    .await;
    assert_eq!(app.show(job).await.summary.last_error, None);
}

#[tokio::test]
async fn a_job_whose_claim_was_never_answered_is_released() {
    let app = App::new(async |_: Work| {}).await;
    let job = app
        .jobs
        .enqueue(Work(0).after(Duration::from_hours(1)))
        .await
        .unwrap()
        .id();
    let _worker = app.start();
    until("the worker to be registered", async || {
        (app.count("SELECT count(*) FROM twelve.workers").await == 1).then_some(())
    })
    .await;
    app.execute(
        "WITH taken AS (DELETE FROM twelve.scheduled RETURNING job, epoch) INSERT INTO twelve.claims SELECT workers.id, gen_random_uuid(), ARRAY[job], ARRAY[taken.epoch], false FROM taken, twelve.workers",
    )
    .await;
    let lost = Instant::now();
    while app.show(job).await.summary.state != State::Done {
        assert!(lost.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.show(job).await.summary.crashes, 0);
}

#[tokio::test]
async fn a_worker_whose_every_connection_is_cut_goes_on() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    for _ in 0..3 {
        app.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        let enqueued = until("an enqueue", async || app.jobs.enqueue(Work(0)).await.ok());
        let job = enqueued.await.id();
        app.until_state(job, State::Done).await;
    }
    until("the wake-ups to be back", async || {
        let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        (app.count(listening).await == 1).then_some(())
    })
    .await;
}
