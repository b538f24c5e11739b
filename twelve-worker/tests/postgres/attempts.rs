//! Every way in which an attempt can end.

use serde::{Deserialize, Serialize};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use twelve_core::{Exit, Failure, Res, Result};
use twelve_worker::{
    Attempt, Job, Jobs, Outcome, Policy, Queues, State, StepKey, Steps, drain,
    store::conformance::until,
};

use crate::app::{App, Stage, Unknown, Work};

#[tokio::test]
async fn an_enqueued_job_is_done() {
    let app = App::new(async |Work(number): Work, stage: Res<Stage>| {
        stage.saw(number);
    })
    .await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(7)).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(*app.stage.seen.lock().unwrap(), [7]);
    assert_eq!(details.summary.attempts, 1);
    assert_eq!(worker.stop().await, Exit::Done);
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_until_the_last() {
    let app = App::new(async |_: Work, attempt: Attempt| -> Result<()> {
        assert_eq!(attempt.is_retry(), attempt.number() == 2);
        assert_eq!(attempt.is_last(), attempt.number() == 2);
        Err(Failure::new(format!("no tea, {}", attempt.number())))
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 2);
    let messages = details.errors.iter().map(|error| &*error.message);
    assert_eq!(messages.collect::<Vec<_>>(), ["no tea, 1", "no tea, 2"]);
}

#[tokio::test]
async fn a_failure_says_after_which_time_to_try_again() {
    const PAUSE: Duration = Duration::from_millis(1500);
    let app = App::new(
        async |_: Work, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            stage.begins.lock().unwrap().push(Instant::now());
            let busy = Failure::new(format!("busy, {}", attempt.number()));
            Err(busy.retry_after(PAUSE))
        },
    )
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Scheduled).await;
    assert_eq!(details.summary.attempts, 1);
    // The last one has no next.
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 2);
    let messages = details.errors.iter().map(|error| &*error.message);
    assert_eq!(messages.collect::<Vec<_>>(), ["busy, 1", "busy, 2"]);
    let begins = app.stage.begins.lock().unwrap();
    assert!(begins[1] - begins[0] >= PAUSE, "{begins:?}");
}

#[tokio::test]
async fn a_panic_is_caught_and_the_worker_goes_on() {
    let app = App::new(async |_: Work, attempt: Attempt| {
        assert!(attempt.is_retry(), "the kettle is dry");
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.errors[0].message, "panicked: the kettle is dry");
}

#[tokio::test]
async fn a_step_is_done_once_however_many_attempts_there_are() {
    let app = App::new(
        async |_: Work, steps: Steps, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            let charge = |key: StepKey| {
                let mut charges = stage.charges.lock().unwrap();
                charges.push(key.to_string());
                let charge = Ok::<_, Failure>(charges.len());
                async { charge }
            };
            assert_eq!(steps.once("charge", charge).await?, 1);
            let again = steps.once("charge", async |_| Ok::<_, Failure>(2)).await;
            assert!(again.unwrap_err().to_string().contains("done already"));
            let failed = steps.once::<(), _, _, _>("mail", async |_| Err(Failure::new("full")));
            assert_eq!(failed.await.unwrap_err().to_string(), "full");
            if attempt.is_retry() {
                return Ok(());
            }
            Err(Failure::new("no"))
        },
    )
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.steps, ["charge"]);
    assert_eq!(
        *app.stage.charges.lock().unwrap(),
        [format!("{job}:charge")]
    );
}

#[tokio::test]
async fn a_job_that_nobody_knows_is_kept_and_says_why() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Unknown).await.unwrap().id();
    let details = app.until_state(job, State::Scheduled).await;
    assert_eq!(details.summary.attempts, 0);
    let error = details.summary.last_error.unwrap();
    assert_eq!(error, "no handler for kind `unknown` in worker `worker`");
}

/// What an older release enqueued as `Work`.
#[derive(Serialize, Deserialize)]
struct OldWork {
    name: String,
}

impl Job for OldWork {
    const KIND: &'static str = "work";

    fn policy() -> Policy {
        Policy::new().attempts(2)
    }
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_tried_again_and_then_kept() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    let name = "tea\0".to_owned();
    let job = app.jobs.enqueue(OldWork { name }).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 1);
    assert_eq!(details.payload, Some(serde_json::json!({"name": "tea\0"})));
    assert!(details.errors[0].message.contains("invalid type"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_run_every_job_once() {
    let app = App::new(async |Work(n): Work, stage: Res<Stage>| {
        tokio::task::yield_now().await;
        stage.saw(n);
    })
    .await;
    let workers = [app.start(), app.start()];
    app.jobs.enqueue_many((0..300).map(Work)).await.unwrap();
    until("all jobs to be done", async || {
        let done = "SELECT count(*) FROM twelve.all_jobs WHERE state = 'done' AND attempts = 1";
        (app.count(done).await == 300).then_some(())
    })
    .await;
    for worker in workers {
        assert_eq!(worker.stop().await, Exit::Done);
    }
    let mut seen = app.stage.seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_more_jobs_run_at_a_time_than_there_are_slots() {
    let app = App::new(async |_: Work, stage: Res<Stage>| {
        stage.most.fetch_max(stage.runs.count(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        stage.runs.0.fetch_sub(1, Ordering::SeqCst);
    })
    .await
    .with("TWELVE_WORKER_CONCURRENCY", "2");
    app.jobs.enqueue_many((0..20).map(Work)).await.unwrap();
    let _worker = app.start();
    until("all jobs to be done", async || {
        let done = "SELECT count(*) FROM twelve.all_jobs WHERE state = 'done'";
        (app.count(done).await == 20).then_some(())
    })
    .await;
    assert_eq!(app.stage.most.load(Ordering::SeqCst), 2);
    assert_eq!(app.stage.runs.read(), 0);
}

#[tokio::test]
async fn a_test_can_run_all_that_is_due() {
    let app = App::new(async |Work(n): Work, jobs: Jobs| -> Result<Outcome> {
        match n {
            0 => Ok(Outcome::done()),
            1 => Err(Failure::new("no")),
            2 => Ok(Outcome::snooze(Duration::from_hours(1))),
            3 => Ok(Outcome::discard("no")),
            _ => {
                jobs.enqueue(Work(n - 1)).await?;
                Ok(Outcome::done())
            }
        }
    })
    .await;
    for n in [0, 2, 5] {
        app.jobs.enqueue(Work(n)).await.unwrap();
    }
    app.jobs.enqueue(Unknown).await.unwrap();
    app.jobs
        .enqueue(Work(0).after(Duration::from_hours(1)))
        .await
        .unwrap();
    app.execute("WITH suspect AS (UPDATE twelve.jobs SET suspect = true WHERE payload::text = '0' RETURNING id) UPDATE twelve.ready SET lane = 9 FROM suspect WHERE job = id")
        .await;
    let drained = drain(&app.context, &app.registry, Queues::all())
        .await
        .unwrap();
    assert_eq!(drained.done, 3);
    assert_eq!((drained.snoozed, drained.discarded), (1, 1));
    assert_eq!((drained.deferred, drained.failed), (1, 0));
    assert_eq!(drained.attempts(), 6);
    assert_eq!(app.count("SELECT count(*) FROM twelve.workers").await, 0);
}
