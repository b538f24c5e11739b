//! The process type `scheduler`, on the real clock, and what its handlers get.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use twelve_core::{Db, Exit, Lifecycle, Res, Result, Tx};
use twelve_worker::{
    Attempt, JobId, Jobs, Missed, Policy, Queues, Registry, Schedule, Steps, Tick, scheduler,
    store::conformance::until, worker,
};

use super::{Clockwork, hourly};
use crate::app::{Stage, context};

struct Running {
    lifecycle: Lifecycle,
    main: JoinHandle<Result<Exit>>,
}

fn start(it: &Clockwork) -> Running {
    let context = context(it.context.environment().clone(), &it.stage);
    let lifecycle = context.lifecycle().clone();
    let main = scheduler("scheduler", &it.registry).main(context);
    Running {
        lifecycle,
        main: tokio::spawn(main),
    }
}

impl Running {
    async fn stop(self) -> Exit {
        self.lifecycle.begin_drain();
        self.main.await.unwrap().unwrap()
    }
}

async fn until_ticks(it: &Clockwork, count: i64) {
    until("ticks to be fired", async || {
        (it.jobs().await >= count).then_some(())
    })
    .await;
}

fn every_second() -> Schedule {
    Schedule::cron("every-second", "* * * * * *").missed(Missed::CatchUp(60))
}

#[tokio::test]
async fn a_scheduler_fires_on_time_and_drains_at_once() {
    let it = Clockwork::unknown(every_second()).await;
    let schedulers = [start(&it), start(&it)];
    until_ticks(&it, 4).await;
    for scheduler in schedulers {
        let told = Instant::now();
        assert_eq!(scheduler.stop().await, Exit::Done);
        assert!(
            told.elapsed() < Duration::from_secs(1),
            "{:?}",
            told.elapsed()
        );
    }
    let early = "SELECT count(*) FROM twelve.ticks WHERE created_at < tick";
    assert_eq!(it.count(early).await, 0);
    let on_time =
        "SELECT count(*) FROM twelve.ticks WHERE created_at - tick < interval '0.5 seconds'";
    assert!(it.count(on_time).await > 0);
    let ticks = it.ticks().await;
    let seconds = it
        .count("SELECT (extract(epoch FROM max(tick) - min(tick)) + 1)::bigint FROM twelve.ticks");
    assert_eq!(
        i64::try_from(ticks.len()).unwrap(),
        seconds.await,
        "{ticks:?}"
    );
}

#[tokio::test]
async fn a_scheduler_whose_connections_are_cut_goes_on_within_two_seconds() {
    let it = Clockwork::unknown(every_second()).await;
    let scheduler = start(&it);
    until_ticks(&it, 1).await;
    for _ in 0..3 {
        let before = it.jobs().await;
        let mut connection = it.connect().await;
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .execute(&mut connection)
            .await
            .unwrap();
        let cut = Instant::now();
        let counted = || async {
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM twelve.jobs")
                .fetch_one(&it.db())
                .await
        };
        until("the next tick", async || {
            counted().await.ok().filter(|jobs| *jobs > before)
        })
        .await;
        // A tick comes every second anyway.
        assert!(
            cut.elapsed() < Duration::from_secs(3),
            "{:?}",
            cut.elapsed()
        );
    }
    assert_eq!(scheduler.stop().await, Exit::Done);
}

#[tokio::test]
async fn a_scheduler_that_starts_before_its_tables_goes_on_when_they_are_there() {
    let it = Clockwork::unknown(every_second()).await;
    it.execute("ALTER SCHEMA twelve RENAME TO not_yet").await;
    let scheduler = start(&it);
    tokio::task::yield_now().await;
    assert!(!scheduler.main.is_finished());
    it.execute("ALTER SCHEMA not_yet RENAME TO twelve").await;
    until_ticks(&it, 1).await;
    assert_eq!(scheduler.stop().await, Exit::Done);
}

/// Everything that the handler of a job can take, and its tick.
#[allow(clippy::too_many_arguments)]
async fn everything(
    tick: Tick,
    attempt: Attempt,
    id: JobId,
    steps: Steps,
    mut tx: Tx,
    db: Db,
    jobs: Jobs,
    stage: Res<Stage>,
) -> Result<()> {
    let _ = (db, jobs, id);
    let stamp = steps.once("stamp", |_| async {
        Ok::<_, std::fmt::Error>(tick.unix_seconds())
    });
    assert_eq!(stamp.await?, 1_798_783_200);
    assert_eq!(tick.to_string(), "2027-01-01T06:00:00Z");
    assert_eq!(tick.schedule(), "hourly");
    sqlx::query("CREATE TABLE IF NOT EXISTS effects (attempt int)")
        .execute(&mut tx)
        .await?;
    stage.saw(attempt.number());
    if attempt.is_retry() {
        Ok(())
    } else {
        Err(twelve_core::Failure::new("again"))
    }
}

#[tokio::test]
async fn a_worker_runs_the_handler_of_a_schedule_as_it_runs_a_job() {
    let mut it = Clockwork::new(hourly()).await;
    let policy = Policy::new()
        .queue("reports")
        .attempts(2)
        .backoff(Duration::from_millis(1));
    let mut registry = Registry::default();
    registry.schedule(hourly().policy(policy), everything);
    it.registry = Arc::new(registry);
    assert_eq!(it.fired_at("06:00:00").await, 1);
    // What a worker claims is due by a clock that goes on.
    it.execute("DELETE FROM clock.moment").await;

    let context = context(it.context.environment().clone(), &it.stage);
    let lifecycle = context.lifecycle().clone();
    let worker = worker(
        "worker",
        Queues::only(["reports"]),
        Arc::clone(&it.registry),
    );
    let worker = tokio::spawn(worker.main(context));
    until("the job to be done", async || {
        let done = "SELECT count(*) FROM twelve.all_jobs WHERE state = 'done' AND kind = 'schedule.hourly' AND attempts = 2";
        (it.count(done).await == 1).then_some(())
    })
    .await;
    assert_eq!(*it.stage.seen.lock().unwrap(), [1, 2]);
    assert_eq!(it.count("SELECT count(*) FROM effects").await, 0);
    lifecycle.begin_drain();
    worker.await.unwrap().unwrap();
}
