//! The app `ticking`, which has a schedule for every second.

use std::time::Duration;

use rustix::process::Signal;

use super::record::Record;
use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::process::{Finished, Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, StateDirectory};
use crate::harness::wait::{until, until_true};

/// A scheduler sleeps ten seconds at most, and a busy machine takes its time.
pub(super) const SOON: Duration = Duration::from_secs(40);

/// The schedule that fires every second, and catches up with what it missed.
pub(super) const EVERY_SECOND: &str = "every-second";

const RUNS: &str = "(SELECT schedule, extract(epoch FROM tick)::bigint AS second FROM runs)";

/// The app, released.
#[derive(Debug)]
pub(super) struct Ticking {
    pub(super) database: Database,
    state: StateDirectory,
}

impl Ticking {
    pub(super) async fn released() -> Self {
        Self::released_on(Database::create().await).await
    }

    pub(super) async fn released_on(database: Database) -> Self {
        let ticking = Self {
            database,
            state: StateDirectory::new(),
        };
        ticking.run(["release"]).await.expect_code(0);
        ticking
    }

    pub(super) fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&binaries::example("ticking"))
            .args(arguments)
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }

    pub(super) async fn run<const N: usize>(&self, words: [&str; N]) -> Finished {
        self.launch(words).run(COMMAND_BOUND).await
    }

    pub(super) fn scheduler(&self) -> Process {
        self.launch(["scheduler"]).spawn()
    }

    pub(super) fn worker(&self) -> Process {
        self.launch(["worker"]).spawn()
    }

    /// What has run of this schedule.
    pub(super) async fn record(&self, schedule: &str) -> Record {
        Record::of(schedule, &self.database.rows(RUNS).await)
    }

    /// Waits until so many ticks after this moment have run.
    pub(super) async fn until_ran(&self, schedule: &str, count: usize, after: i64) {
        let what = format!("{count} runs of {schedule} after {after}");
        until_true(&what, SOON, async || {
            self.record(schedule).await.after(after) >= count
        })
        .await;
    }

    /// Drains the schedulers, waits until all that they enqueued has run, and answers what that was.
    pub(super) async fn settled(
        &self,
        schedulers: impl IntoIterator<Item = Process>,
        schedule: &str,
    ) -> Record {
        for mut scheduler in schedulers {
            scheduler.signal(Signal::TERM);
            assert_eq!(scheduler.exit_within(SOON).await.code, Some(0));
        }
        until("every job to be done", SOON, async || {
            let open = "twelve.all_jobs WHERE state <> 'done'";
            (self.database.count(open).await == 0).then_some(())
        })
        .await;
        self.record(schedule).await
    }
}
