//! The engine, run against a real Postgres that `DATABASE_URL` names.

use serde::{Deserialize, Serialize};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinHandle};
use twelve_core::{
    Context, Db, Environment, Exit, Failure, Handler, Identity, Lifecycle, Res, Result, Tx,
};
use twelve_worker::{
    Admin, Attempt, Filter, IntoOutcome, Job, JobArguments, JobDetails, JobId, Jobs, Outcome,
    Policy, Queues, Registry, State, StepKey, Steps, drain,
    store::conformance::{fresh_database, until},
    worker,
};

/// An app with a database of its own, and maybe a worker that runs.
struct App {
    context: Context,
    registry: Arc<Registry>,
    jobs: Jobs,
    admin: Admin,
    stage: Stage,
}

/// A worker in this runtime.
struct Worker {
    lifecycle: Lifecycle,
    main: JoinHandle<Result<Exit, Failure>>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
struct Work(u32);

impl Job for Work {
    const KIND: &'static str = "work";

    fn policy() -> Policy {
        Policy::new().attempts(2).backoff(Duration::from_millis(1))
    }
}

impl App {
    async fn new<A, H>(handler: H) -> Self
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let database = fresh_database().await;
        let environment =
            Environment::default().with("DATABASE_URL", database.to_url_lossy().as_str());
        let mut registry = Registry::default();
        registry.job(handler);
        let stage = Stage::default();
        let context = context(environment, &stage);
        Self {
            stage,
            jobs: Jobs::of(&context).unwrap(),
            admin: Admin::of(&context).unwrap(),
            registry: Arc::new(registry),
            context,
        }
    }

    /// Starts a worker with a lifecycle of its own.
    fn start(&self) -> Worker {
        let context = context(self.context.environment().clone(), &self.stage);
        let lifecycle = context.lifecycle().clone();
        let worker = worker("worker", Queues::all(), Arc::clone(&self.registry));
        Worker {
            lifecycle,
            main: tokio::spawn(worker.main(context)),
        }
    }

    async fn show(&self, job: JobId) -> JobDetails {
        self.admin.show(job).await.unwrap().unwrap()
    }

    async fn until_state(&self, job: JobId, state: State) -> JobDetails {
        until(state.name(), async || {
            let details = self.show(job).await;
            (details.summary.state == state).then_some(details)
        })
        .await
    }

    async fn connect(&self) -> PgConnection {
        let db = self.context.db().unwrap();
        db.options().connect().await.unwrap()
    }

    /// A table of the app's own.
    async fn create_effects(&self) {
        self.execute("CREATE TABLE effects (job int, attempt int)")
            .await;
    }

    async fn effects(&self) -> i64 {
        self.count("SELECT count(*) FROM effects").await
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }
}

fn context(environment: Environment, stage: &Stage) -> Context {
    let mut registry = twelve_core::Registry::default();
    let stage = stage.clone();
    registry.resource(move || {
        let stage = stage.clone();
        async { Ok::<_, Failure>(stage) }
    });
    Context::new(
        Identity::new("t", "worker"),
        environment,
        Lifecycle::default(),
        registry,
    )
}

impl Worker {
    async fn stop(self) -> Exit {
        self.lifecycle.begin_drain();
        self.main.await.unwrap().unwrap()
    }
}

/// What a test and its handlers share.
#[derive(Clone, Default)]
struct Stage {
    at_work: Arc<Notify>,
    go_on: Arc<Notify>,
    runs: Counter,
    most: Arc<AtomicU32>,
    seen: Arc<Mutex<Vec<u32>>>,
    charges: Arc<Mutex<Vec<String>>>,
    kept: Arc<Mutex<Option<Tx>>>,
}

impl Stage {
    fn saw(&self, number: u32) {
        self.seen.lock().unwrap().push(number);
    }
}

/// Counts, and tells what was counted.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU32>);

impl Counter {
    /// The number of this call, from 1.
    fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn read(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_enqueued_job_is_done() {
    let app = App::new(async |Work(number): Work, stage: Res<Stage>| {
        stage.saw(number);
    })
    .await;
    let worker = app.start();
    let job = app.jobs.enqueue(Work(7)).await.unwrap();
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 2);
    let messages = details.errors.iter().map(|error| &*error.message);
    assert_eq!(messages.collect::<Vec<_>>(), ["no tea, 1", "no tea, 2"]);
}

#[tokio::test]
async fn a_panic_is_caught_and_the_worker_goes_on() {
    let app = App::new(async |_: Work, attempt: Attempt| {
        assert!(attempt.is_retry(), "the kettle is dry");
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.errors[0].message, "panicked: the kettle is dry");
}

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
    let job = app.jobs.enqueue(Hasty).await.unwrap();
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    let details = app.until_state(job, State::Discarded).await;
    assert_eq!(details.errors[0].message, "the order is gone");
    assert_eq!(app.effects().await, 1);
}

async fn write_effect(tx: &mut Tx, attempt: Attempt) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effects VALUES (0, $1)")
        .bind(i64::from(attempt.number()))
        .execute(tx)
        .await?;
    Ok(())
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    app.stage.at_work.notified().await;
    // Somebody takes the job back while its handler runs.
    app.execute("UPDATE twelve.jobs SET state = 'waiting', worker = NULL, epoch = epoch + 1, run_at = now() + interval '1 hour'").await;
    app.stage.go_on.notify_one();
    assert_eq!(worker.stop().await, Exit::Done);
    assert_eq!(app.show(job).await.summary.state, State::Scheduled);
    assert_eq!(app.effects().await, 0);

    let _worker = app.start();
    app.execute("UPDATE twelve.jobs SET run_at = now()").await;
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    let details = app.until_state(job, State::Failed).await;
    assert!(details.errors[0].message.contains("outlived its handler"));
    drop(app.stage.kept.lock().unwrap().take());
    assert_eq!(app.effects().await, 0);
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    let details = app.until_state(job, State::Done).await;
    assert_eq!(details.steps, ["charge"]);
    assert_eq!(
        *app.stage.charges.lock().unwrap(),
        [format!("{job}:charge")]
    );
}

#[derive(Serialize, Deserialize)]
struct Unknown;

impl Job for Unknown {
    const KIND: &'static str = "unknown";
}

#[tokio::test]
async fn a_job_that_nobody_knows_is_kept_and_says_why() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Unknown).await.unwrap();
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
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_fails_the_job_and_is_kept() {
    let app = App::new(async |_: Work| {}).await;
    let _worker = app.start();
    let name = "tea\0".to_owned();
    let job = app.jobs.enqueue(OldWork { name }).await.unwrap();
    let details = app.until_state(job, State::Failed).await;
    assert_eq!(details.summary.attempts, 0);
    assert_eq!(details.payload, serde_json::json!({"name": "tea\0"}));
    assert!(details.errors[0].message.contains("invalid type"));
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
        .unwrap();
    let second = app
        .jobs
        .enqueue_in(&mut *transaction, Work(2))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    app.jobs.wake();
    app.until_state(first, State::Done).await;
    app.until_state(second, State::Done).await;
}

#[tokio::test]
async fn a_drain_finishes_the_running_job_and_takes_no_other() {
    let app = App::new(async |_: Work, stage: Res<Stage>| {
        stage.at_work.notify_one();
        stage.go_on.notified().await;
    })
    .await;
    let worker = app.start();
    let running = app.jobs.enqueue(Work(0)).await.unwrap();
    app.stage.at_work.notified().await;
    worker.lifecycle.begin_drain();
    let late = app.jobs.enqueue(Work(1)).await.unwrap();
    until("the drain to be announced", async || {
        let draining = "SELECT count(*) FROM twelve.workers WHERE draining";
        (app.count(draining).await == 1).then_some(())
    })
    .await;
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
async fn a_job_that_outlives_the_drain_is_handed_back_without_a_spent_attempt() {
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
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
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
async fn a_dead_workers_job_runs_again_within_thirty_seconds() {
    let app = App::new(async |_: Work, stage: Res<Stage>| {
        if stage.runs.count() == 1 {
            stage.at_work.notify_one();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let doomed = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    app.stage.at_work.notified().await;
    // Its tasks outlive it, as in a process that hangs; its heart does not beat any more.
    doomed.main.abort();
    let died = Instant::now();
    let _heir = app.start();
    while app.show(job).await.summary.state != State::Done {
        assert!(died.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let details = app.show(job).await;
    assert_eq!((details.summary.attempts, details.summary.crashes), (1, 1));
    assert!(
        died.elapsed() > Duration::from_secs(10),
        "{:?}",
        died.elapsed()
    );
}

/// The runtime of this test has one thread.
#[tokio::test]
async fn a_handler_that_blocks_every_thread_does_not_stop_the_heart() {
    let app = App::new(async |_: Work, db: Db| -> Result<()> {
        let beat = "SELECT max(beat) FROM twelve.workers";
        let before: i64 = sqlx::query_scalar(beat).fetch_one(&db).await?;
        std::thread::sleep(Duration::from_secs(7));
        let after: i64 = sqlx::query_scalar(beat).fetch_one(&db).await?;
        if before < after {
            return Ok(());
        }
        Err(Failure::new("the heart stood still"))
    })
    .await;
    let _worker = app.start();
    let job = app.jobs.enqueue(Work(0)).await.unwrap();
    until("the attempt to end", async || {
        (app.show(job).await.summary.attempts == 1).then_some(())
    })
    .await;
    assert_eq!(app.show(job).await.summary.last_error, None);
}

#[tokio::test]
async fn a_job_whose_claim_was_never_answered_is_handed_back() {
    let app = App::new(async |_: Work| {}).await;
    let job = app
        .jobs
        .enqueue(Work(0).after(Duration::from_hours(1)))
        .await
        .unwrap();
    let _worker = app.start();
    until("the worker to be registered", async || {
        (app.count("SELECT count(*) FROM twelve.workers").await == 1).then_some(())
    })
    .await;
    app.execute(
        "UPDATE twelve.jobs SET state = 'running', epoch = 1, worker = (SELECT id FROM twelve.workers)",
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
        let job = enqueued.await;
        app.until_state(job, State::Done).await;
    }
    until("the wake-ups to be back", async || {
        let listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        (app.count(listening).await == 1).then_some(())
    })
    .await;
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
        let done = "SELECT count(*) FROM twelve.jobs WHERE state = 'done' AND attempts = 1";
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
    let mut app = App::new(async |_: Work, stage: Res<Stage>| {
        stage.most.fetch_max(stage.runs.count(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        stage.runs.0.fetch_sub(1, Ordering::SeqCst);
    })
    .await;
    let environment = app.context.environment().clone();
    app.context = context(
        environment.with("TWELVE_WORKER_CONCURRENCY", "2"),
        &app.stage,
    );
    app.jobs.enqueue_many((0..20).map(Work)).await.unwrap();
    let _worker = app.start();
    until("all jobs to be done", async || {
        let done = "SELECT count(*) FROM twelve.jobs WHERE state = 'done'";
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
    let drained = drain(&app.context, &app.registry).await.unwrap();
    assert_eq!(drained.done, 3);
    assert_eq!((drained.snoozed, drained.discarded), (1, 1));
    assert_eq!((drained.put_back, drained.failed), (1, 0));
    assert_eq!(drained.attempts(), 6);
    assert_eq!(app.count("SELECT count(*) FROM twelve.workers").await, 0);
}
