//! Schedules as an operator sees them: real schedulers that are killed, stopped and cut off (P7).

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::postgres::Postgres;
use crate::harness::process::{Finished, Launch, Process};
use crate::harness::shop::COMMAND_BOUND;
use crate::harness::wait::{until, until_true};

/// An app with a schedule for every second and one for leap days, on a database of its own.
struct Clockwork {
    database: Database,
    state: String,
}

impl Clockwork {
    async fn released_on(database: Database) -> Self {
        let state = std::env::temp_dir().join(format!("clockwork-{:08x}", fastrand::u32(..)));
        let clockwork = Self {
            database,
            state: state.display().to_string(),
        };
        clockwork.run(["release"]).await.expect_code(0);
        let mut connection = PgConnection::connect(&clockwork.database.url)
            .await
            .unwrap();
        sqlx::raw_sql("CREATE TABLE struck (schedule text, at timestamptz)")
            .execute(&mut connection)
            .await
            .unwrap();
        clockwork
    }

    fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&binaries::example("clockwork"))
            .args(arguments)
            .var("DATABASE_URL", &self.database.url)
            .var("TWELVE_STATE_DIR", &self.state)
    }

    async fn run<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        self.launch(arguments).run(COMMAND_BOUND).await
    }

    fn scheduler(&self) -> Process {
        self.launch(["scheduler"]).spawn()
    }

    /// The listing of the schedule for every second, which comes first.
    async fn listed(&self) -> Value {
        let listed = self.run(["schedules", "list", "--json"]).await;
        listed.expect_code(0).expect_json()["schedules"][0].clone()
    }

    /// Waits until so many schedulers answer: one that has just been started does not know signals yet.
    async fn until_ready(&self, count: usize) {
        until_true("schedulers to be ready", COMMAND_BOUND, async || {
            let health = ["health", "--type", "scheduler", "--json"];
            let answers = self.run(health).await;
            let processes = &answers.expect_json()["health"]["processes"];
            answers.is_success()
                && processes
                    .as_array()
                    .is_some_and(|ready| ready.len() == count)
        })
        .await;
    }

    async fn jobs(&self) -> i64 {
        self.database.count("twelve.jobs").await
    }

    async fn until_more_jobs(&self, bound: Duration) {
        let before = self.jobs().await;
        until_true("another job", bound, async || self.jobs().await > before).await;
    }

    /// Every second between the first tick and the last has one tick and one job.
    async fn expect_every_second_once(&self) {
        let seconds = "(SELECT generate_series(min(tick), max(tick), '1 second') FROM twelve.ticks) AS second";
        let ticks = self.database.count("twelve.ticks").await;
        assert_eq!(ticks, self.database.count(seconds).await);
        let twice = "(SELECT FROM twelve.jobs GROUP BY kind, payload ->> 'at' HAVING count(*) > 1) AS twice";
        assert_eq!(self.database.count(twice).await, 0);
        assert_eq!(ticks, self.jobs().await);
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

#[tokio::test]
async fn schedules_are_listed_run_paused_and_resumed_without_a_scheduler() {
    let it = Clockwork::released_on(Database::create().await).await;
    let listed = it.listed().await;
    assert_eq!(listed["name"], "every-second");
    assert!(
        listed["next_tick"].is_string() && listed["last_tick"].is_null(),
        "{listed}"
    );
    let readable = it.run(["schedules", "list"]).await.expect_code(0).stdout;
    assert!(
        readable.contains("30 2 29 2 *") && readable.contains("Europe/Berlin"),
        "{readable}"
    );

    let run = it
        .run(["schedules", "run", "leap-day", "--json"])
        .await
        .expect_code(0)
        .expect_json();
    let job = run["schedule"]["job"].as_str().expect("a job").to_owned();
    let shown = it.run(["jobs", "show", &job]).await.expect_code(0).stdout;
    assert!(shown.contains("schedule.leap-day"), "{shown}");

    for (verb, paused) in [
        ("pause", true),
        ("pause", true),
        ("resume", false),
        ("resume", false),
    ] {
        it.run(["schedules", verb, "every-second"])
            .await
            .expect_code(0);
        assert_eq!(it.listed().await["paused"], paused);
    }
    for verb in ["run", "pause", "resume"] {
        let unknown = it.run(["schedules", verb, "weekly"]).await.expect_code(64);
        unknown.expect_in_stderr("every-second, leap-day");
    }
}

#[tokio::test]
async fn schedulers_that_are_killed_in_turn_lose_no_tick_and_repeat_none() {
    let it = Clockwork::released_on(Database::create().await).await;
    let mut worker = it.launch(["worker"]).spawn();
    let mut schedulers = [it.scheduler(), it.scheduler()];
    it.until_more_jobs(COMMAND_BOUND).await;
    for turn in 0..4 {
        schedulers[turn % 2].kill();
        it.until_more_jobs(Duration::from_secs(5)).await;
        schedulers[turn % 2] = it.scheduler();
    }
    it.until_ready(2).await;
    for scheduler in &mut schedulers {
        scheduler.signal(Signal::TERM);
        let exit = scheduler.exit_within(Duration::from_secs(2)).await;
        assert_eq!(exit.code, Some(0), "{exit:?}");
    }
    it.expect_every_second_once().await;
    let undone = "twelve.jobs WHERE state <> 'done'";
    until_true("the jobs to be done", Duration::from_secs(10), async || {
        worker.expect_running();
        it.database.count(undone).await == 0
    })
    .await;
    assert_eq!(it.database.count("struck").await, it.jobs().await);
}

#[tokio::test]
async fn a_scheduler_answers_health_and_stops_firing_at_once_when_paused() {
    let it = Clockwork::released_on(Database::create().await).await;
    let _scheduler = it.scheduler();
    it.until_more_jobs(COMMAND_BOUND).await;
    let health = it
        .run(["health", "--type", "scheduler"])
        .await
        .expect_code(0);
    assert!(health.stdout.contains("scheduler"), "{}", health.stdout);
    it.run(["schedules", "pause", "every-second"])
        .await
        .expect_code(0);
    let jobs = it.jobs().await;
    // Nothing can be waited for but the time in which something would have come.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(it.jobs().await, jobs);
    it.run(["schedules", "resume", "every-second"])
        .await
        .expect_code(0);
    it.until_more_jobs(Duration::from_secs(12)).await;
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_ticks_follow_the_policy() {
    let postgres = Postgres::private().await;
    let it = Clockwork::released_on(Database::create_on(&postgres).await).await;
    let mut scheduler = it.scheduler();
    it.until_more_jobs(COMMAND_BOUND).await;
    postgres.stop().await;
    until_true(
        "the outage to be noticed",
        Duration::from_secs(5),
        async || scheduler.log().contains("Postgres is down"),
    )
    .await;
    // An outage of a few seconds, so that there is something to make up for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    scheduler.expect_running();
    postgres.start_again().await;
    let returned = Instant::now();
    until("a tick of the outage", Duration::from_secs(2), async || {
        let fired = "twelve.ticks WHERE created_at > tick + interval '2 seconds'";
        (it.database.count(fired).await > 0).then_some(())
    })
    .await;
    println!("fired {:?} after Postgres' return", returned.elapsed());
    it.until_more_jobs(Duration::from_secs(3)).await;
    let log = scheduler.log();
    assert_eq!(log.matches("Postgres is down").count(), 1, "{log}");
    scheduler.signal(Signal::TERM);
    let exit = scheduler.exit_within(Duration::from_secs(2)).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    it.expect_every_second_once().await;
}
