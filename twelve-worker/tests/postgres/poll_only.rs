//! Workers that nobody wakes, where LISTEN does not work.

use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::{Duration, Instant};
use twelve_core::{Exit, Res};
use twelve_worker::{State, store::conformance::until};

use crate::app::{App, Stage, Work};

/// How long an idle worker lets a job wait, and as much again for a slow machine.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_worker_that_polls_finds_jobs_in_time_and_neither_listens_nor_tells() {
    let app = App::new(async |Work(_): Work, stage: Res<Stage>| {
        stage.begins.lock().unwrap().push(Instant::now());
    })
    .await
    .with("TWELVE_POLL_ONLY", "true");
    let mut wakes = listen(&app).await;
    let worker = app.start();
    until("the worker to be registered", async || {
        (app.count("SELECT count(*) FROM twelve.workers").await == 1).then_some(())
    })
    .await;
    for n in 0..2 {
        let enqueued = Instant::now();
        let job = app.jobs.enqueue(Work(n)).await.unwrap().id();
        app.until_state(job, State::Done).await;
        let began = *app.stage.begins.lock().unwrap().last().unwrap();
        assert!(began - enqueued < SOON, "{:?}", began - enqueued);
    }
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(app.count(listening).await, 1, "only the test listens");
    // What was told before would be heard before this.
    app.execute("NOTIFY twelve_jobs, 'the test'").await;
    let told = wakes.recv().await.unwrap();
    assert_eq!(told.payload(), "the test");
    assert_eq!(worker.stop().await, Exit::Done);
}

async fn listen(app: &App) -> PgListener {
    let options = app.context.db().unwrap().options().clone();
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("twelve_jobs").await.unwrap();
    listener
}
