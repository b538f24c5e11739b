//! Schedulers on a real Postgres, most of them with a clock that the test sets.

mod clock;
mod crash;
mod process;
mod race;

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use std::sync::Arc;
use twelve_core::{Context, Db, Environment};
use twelve_worker::{
    Missed, Registry, Schedule, Schedules, Tick, Timestamp,
    store::{ScheduleStore, conformance::until, postgres::PostgresStore},
};

use crate::{
    app::{Stage, context},
    database::fresh_database,
};

/// Puts a function of the test's own before Postgres' `now()`: it tells a moment that was set, else the real time.
const CLOCK: &str = "
CREATE SCHEMA clock;
CREATE TABLE clock.moment (at timestamptz);
CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql
AS 'SELECT COALESCE((SELECT at FROM clock.moment), pg_catalog.now())'";

/// A database whose clock can be set, with a schedule.
struct Clockwork {
    context: Context,
    stage: Stage,
    registry: Arc<Registry>,
}

impl Clockwork {
    /// One schedule, which began on the first day of 2027, at five.
    async fn new(schedule: Schedule) -> Self {
        let clockwork = Self::unknown(schedule).await;
        clockwork.set("05:00:00").await;
        clockwork.schedules().register().await.unwrap();
        clockwork
    }

    /// One that no scheduler has seen yet, on the real clock.
    async fn unknown(schedule: Schedule) -> Self {
        let database = fresh_database().await;
        let mut connection = database.connect().await.unwrap();
        sqlx::raw_sql(CLOCK).execute(&mut connection).await.unwrap();
        let mut url = database.to_url_lossy();
        url.query_pairs_mut()
            .append_pair("options[search_path]", "clock,pg_catalog,public");
        let environment = Environment::default().with("DATABASE_URL", url.as_str());
        let stage = Stage::default();
        Self {
            context: context(environment, &stage),
            stage,
            registry: registry([schedule]),
        }
    }

    /// The schedules as another process has them: with a pool of its own.
    fn schedules(&self) -> Schedules {
        self.schedules_of(&self.registry)
    }

    fn schedules_of(&self, registry: &Registry) -> Schedules {
        let context = context(self.context.environment().clone(), &self.stage);
        Schedules::provide(&context, registry);
        Schedules::of(&context).unwrap()
    }

    fn schedule_store(&self) -> ScheduleStore {
        ScheduleStore::new(self.db(), Arc::new(PostgresStore::new(self.db())))
    }

    /// Sets the clock to this time of the first day of 2027, or to a moment.
    async fn set(&self, time: &str) {
        let moment = match time.len() {
            8 => format!("2027-01-01 {time}"),
            _ => time.to_owned(),
        };
        self.execute("DELETE FROM clock.moment").await;
        let set = format!("INSERT INTO clock.moment VALUES ('{moment}Z')");
        sqlx::query(AssertSqlSafe(set))
            .execute(&self.db())
            .await
            .unwrap();
    }

    /// How many jobs a scheduler enqueues at this time.
    async fn fired_at(&self, time: &str) -> usize {
        self.set(time).await;
        self.schedules().run_due().await.unwrap()
    }

    fn db(&self) -> Db {
        self.context.db().unwrap()
    }

    async fn connect(&self) -> PgConnection {
        self.db().options().connect().await.unwrap()
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.db()).await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&self.db())
            .await
            .unwrap()
    }

    async fn jobs(&self) -> i64 {
        self.count("SELECT count(*) FROM twelve.jobs").await
    }

    /// The ticks of the jobs, in the jobs' order.
    async fn ticks(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT payload ->> 'at' FROM twelve.jobs ORDER BY id")
            .fetch_all(&self.db())
            .await
            .unwrap()
    }

    /// Waits until so many statements wait for a lock.
    async fn until_blocked(&self, count: i64) {
        until("a statement to wait for a lock", async || {
            let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            (self.count(blocked).await == count).then_some(())
        })
        .await;
    }
}

fn hourly() -> Schedule {
    Schedule::cron("hourly", "0 * * * *")
}

/// An app with these schedules.
fn registry(schedules: impl IntoIterator<Item = Schedule>) -> Arc<Registry> {
    let mut registry = Registry::default();
    for schedule in schedules {
        registry.schedule(schedule, async |_: Tick| {});
    }
    assert_eq!(registry.faults(), Vec::<String>::new());
    Arc::new(registry)
}

#[tokio::test]
async fn missed_ticks_follow_the_policy_of_their_schedule() {
    let clockwork = Clockwork::unknown(hourly()).await;
    let with = |name: &'static str, missed| Schedule::cron(name, "*/10 * * * *").missed(missed);
    let registry = registry([
        with("skip", Missed::Skip),
        with("once", Missed::Once),
        with("catch-up", Missed::CatchUp(3)),
    ]);
    let schedules = clockwork.schedules_of(&registry);
    for (time, enqueued) in [
        ("10:00:00", 0),
        ("10:10:00", 3),
        ("10:10:01", 0),
        // None for `skip`, one for `once`, three for `catch-up`.
        ("11:05:00", 4),
        ("11:05:01", 0),
        ("11:10:30", 3),
    ] {
        clockwork.set(time).await;
        assert_eq!(schedules.run_due().await.unwrap(), enqueued, "at {time}");
    }
    let caught_up: Vec<String> = sqlx::query_scalar(
        "SELECT payload ->> 'at' FROM twelve.jobs WHERE kind = 'schedule.catch-up' ORDER BY run_at",
    )
    .fetch_all(&clockwork.db())
    .await
    .unwrap();
    let expected = ["10:10", "10:40", "10:50", "11:00", "11:10"];
    assert_eq!(
        caught_up,
        expected.map(|time| format!("2027-01-01T{time}:00Z"))
    );
}

#[tokio::test]
async fn a_pause_fires_nothing_and_a_resume_makes_up_for_nothing() {
    let it = Clockwork::new(hourly()).await;
    let schedules = it.schedules();
    assert_eq!(it.fired_at("06:00:00").await, 1);
    assert!(schedules.pause("hourly").await.unwrap());
    assert!(!schedules.pause("hourly").await.unwrap());
    assert_eq!(it.fired_at("08:00:00").await, 0);
    let listed = schedules.list().await.unwrap();
    assert!(listed[0].paused && listed[0].next_tick.is_none());
    assert!(schedules.resume("hourly").await.unwrap());
    assert!(!schedules.resume("hourly").await.unwrap());
    assert_eq!(it.fired_at("08:30:00").await, 0);
    assert_eq!(it.fired_at("09:00:00").await, 1);
}

#[tokio::test]
async fn a_schedule_can_be_paused_before_a_scheduler_ever_ran() {
    let it = Clockwork::unknown(hourly()).await;
    it.set("05:30:00").await;
    assert!(it.schedules().pause("hourly").await.unwrap());
    it.schedules().register().await.unwrap();
    assert_eq!(it.fired_at("07:00:00").await, 0);
}

#[tokio::test]
async fn a_schedule_is_listed_before_a_scheduler_ever_ran_and_after() {
    let daily = Schedule::cron("daily", " 0  6 * * * ").zone("europe/berlin");
    let it = Clockwork::unknown(daily).await;
    it.set("04:59:00").await;
    let listed = it.schedules().list().await.unwrap().remove(0);
    assert_eq!(
        (&*listed.name, &*listed.cron, &*listed.zone),
        ("daily", "0 6 * * *", "Europe/Berlin")
    );
    assert_eq!(listed.next_tick, Some(moment("2027-01-01T05:00:00Z")));
    assert!(listed.last_tick.is_none() && listed.last_job.is_none() && !listed.paused);

    it.schedules().register().await.unwrap();
    assert_eq!(it.fired_at("05:00:00").await, 1);
    let listed = it.schedules().list().await.unwrap().remove(0);
    assert_eq!(listed.next_tick, Some(moment("2027-01-02T05:00:00Z")));
    assert_eq!(listed.last_tick, Some(moment("2027-01-01T05:00:00Z")));
    let job = "SELECT count(*) FROM twelve.jobs WHERE id = (SELECT job FROM twelve.ticks)";
    assert_eq!(it.count(job).await, 1);
    assert!(listed.last_job.is_some());
}

#[tokio::test]
async fn a_run_by_hand_takes_no_ticks_place() {
    let it = Clockwork::new(hourly()).await;
    it.set("06:00:10").await;
    it.schedules().run("hourly").await.unwrap();
    it.schedules().pause("hourly").await.unwrap();
    it.schedules().run("hourly").await.unwrap();
    it.schedules().resume("hourly").await.unwrap();
    assert_eq!(it.ticks().await, ["2027-01-01T06:00:10Z"; 2]);
    assert_eq!(it.fired_at("07:00:00").await, 1);
    it.set("08:00:10").await;
    it.schedules().run("hourly").await.unwrap();
    assert_eq!(it.fired_at("08:00:20").await, 1);
    let unknown = it.schedules().run("daily").await.unwrap_err();
    assert!(
        unknown.is_usage() && unknown.to_string().contains("hourly"),
        "{unknown}"
    );
}

#[tokio::test]
async fn a_jitter_delays_the_job_but_not_its_tick() {
    let it = Clockwork::new(hourly().jitter(std::time::Duration::from_hours(1))).await;
    for hour in ["06", "07", "08"] {
        assert_eq!(it.fired_at(&format!("{hour}:00:00")).await, 1);
    }
    let delayed = "SELECT count(*) FROM twelve.jobs WHERE run_at - created_at BETWEEN interval '1 second' AND interval '1 hour'";
    // One of three may be due within a second, once in a thousand times; two are not.
    assert!(it.count(delayed).await >= 2);
    assert_eq!(
        it.ticks().await,
        ["06", "07", "08"].map(|hour| format!("2027-01-01T{hour}:00:00Z"))
    );
}

#[tokio::test]
async fn old_ticks_are_removed_in_batches_but_never_the_newest() {
    let it = Clockwork::new(hourly()).await;
    for time in ["06:00:00", "07:00:00", "08:00:00", "09:00:00", "10:00:00"] {
        assert_eq!(it.fired_at(time).await, 1);
    }
    it.set("10:30:00").await;
    let hours = |hours| std::time::Duration::from_hours(hours);
    assert_eq!(it.schedule_store().prune(hours(4), 100).await.unwrap(), 1);
    assert_eq!(it.schedule_store().prune(hours(0), 2).await.unwrap(), 2);
    assert_eq!(it.schedule_store().prune(hours(0), 2).await.unwrap(), 1);
    assert_eq!(it.schedule_store().prune(hours(0), 2).await.unwrap(), 0);
    assert_eq!(it.count("SELECT count(*) FROM twelve.ticks").await, 1);
    assert_eq!(it.fired_at("10:45:00").await, 0);
    assert_eq!(it.fired_at("11:00:00").await, 1);
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}
