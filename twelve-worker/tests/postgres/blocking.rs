//! Kinds whose handlers block their threads.

use serde::{Deserialize, Serialize};
use std::{
    thread,
    time::{Duration, Instant},
};
use twelve_core::{Failure, Res, Result, Tx};
use twelve_worker::{Attempt, Job, Keep, Policy, State};

use crate::app::{App, Stage, Work, write_effect};

/// How long a handler here blocks its thread at most.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Heavy;

impl Job for Heavy {
    const KIND: &'static str = "heavy";

    fn policy() -> Policy {
        let moment = Duration::from_millis(1);
        let policy = Policy::new().blocking().attempts(2).backoff(moment);
        policy.keep(Keep::Everything).timeout(LONGEST * 2)
    }
}

/// The runtime of this test has one thread.
#[tokio::test]
async fn a_kind_that_blocks_its_thread_keeps_nothing_else_from_running() {
    let app = App::new(
        async |_: Heavy, mut tx: Tx, attempt: Attempt, stage: Res<Stage>| -> Result<()> {
            stage.at_work.notify_one();
            let began = Instant::now();
            while stage.seen.lock().unwrap().is_empty() {
                if began.elapsed() > LONGEST {
                    return Err(Failure::new("nothing else has run"));
                }
                thread::sleep(Duration::from_millis(1));
            }
            // It awaits as any other.
            Ok(write_effect(&mut tx, attempt).await?)
        },
    )
    .await
    .and(async |Work(number): Work, stage: Res<Stage>| stage.saw(number));
    app.create_effects().await;
    let _worker = app.start();
    let heavy = app.jobs.enqueue(Heavy).await.unwrap().id();
    app.stage.at_work.notified().await;
    app.jobs.enqueue(Work(7)).await.unwrap();
    let details = app.until_state(heavy, State::Done).await;
    assert_eq!(details.summary.last_error, None);
    assert_eq!(app.effects().await, 1);
}

#[tokio::test]
async fn a_panic_on_a_thread_for_blocking_work_is_a_failed_attempt() {
    let app = App::new(async |_: Heavy, attempt: Attempt| {
        assert!(attempt.is_retry(), "the kettle is dry");
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Heavy).await.unwrap().id();
    let details = app.until_state(job, State::Done).await;
    let message = &details.errors[0].message;
    assert!(
        message.ends_with("panicked: the kettle is dry"),
        "{message}"
    );
    assert_eq!((details.errors.len(), details.summary.attempts), (1, 2));
}

#[derive(Serialize, Deserialize)]
struct HeavyAndHasty;

impl Job for HeavyAndHasty {
    const KIND: &'static str = "heavy_and_hasty";

    fn policy() -> Policy {
        let moment = Duration::from_millis(50);
        Policy::new().blocking().attempts(1).timeout(moment)
    }
}

/// Tells when its handler is gone.
struct Gone(Stage);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.at_work.notify_one();
    }
}

#[tokio::test]
async fn a_kind_that_blocks_its_thread_is_stopped_where_it_awaits() {
    let app = App::new(async |_: HeavyAndHasty, stage: Res<Stage>| {
        let _gone = Gone(Stage::clone(&stage));
        let began = Instant::now();
        while stage.runs.read() == 0 && began.elapsed() < LONGEST {
            thread::sleep(Duration::from_millis(1));
        }
        tokio::task::yield_now().await;
        stage.saw(1);
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(HeavyAndHasty).await.unwrap().id();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.errors[0].message, "took longer than 50ms");
    app.stage.runs.count();
    app.stage.at_work.notified().await;
    assert_eq!(app.stage.seen.lock().unwrap().len(), 0, "nobody waits");
}
