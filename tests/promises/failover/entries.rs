//! The app `entries`, which writes in every way there is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::http::Request;
use crate::harness::port;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, Server, StateDirectory, fresh_key};
use crate::harness::steady::{Account, Steady};
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

/// The ticks that ran, and how many there should be from the first to the last.
const TICKS: &str = "(
    SELECT count(*) AS ran, count(DISTINCT tick) AS once,
        (extract(epoch FROM max(tick) - min(tick)) + 1)::bigint AS due,
        extract(epoch FROM max(tick))::bigint AS last
    FROM runs
)";

/// The app, released; its processes reach the database at `url`.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) database: Database,
    pub(super) url: String,
    state: StateDirectory,
}

impl Entries {
    pub(super) async fn released(database: Database, url: String) -> Self {
        let entries = Self {
            database,
            url,
            state: StateDirectory::new(),
        };
        let release = entries.launch(["release"]).run(COMMAND_BOUND);
        release.await.expect_code(0);
        entries
    }

    pub(super) fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&binaries::example("entries"))
            .args(arguments)
            .var("DATABASE_URL", &*self.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }

    pub(super) async fn web(&self) -> Server {
        Server::start(self.launch(["web"]), port::free()).await
    }

    /// Worker and scheduler.
    pub(super) fn crew(&self) -> [Process; 2] {
        ["worker", "scheduler"].map(|word| self.launch([word]).spawn())
    }

    /// A hundred requests a second, of which half write with a key, a quarter without, and the rest read.
    pub(super) fn load(port: u16) -> Steady {
        Steady::start(&[port], 10, 100, |number| match number % 4 {
            0 | 1 => entry(),
            2 => note(),
            _ => Request::get("/notes"),
        })
    }

    /// Waits until worker and scheduler have done something that they had not yet.
    pub(super) async fn until_crew_goes_on(&self) {
        for table in ["completed", "runs"] {
            let before = self.database.count(table).await;
            until_true(table, SOON, async || {
                self.database.count(table).await > before
            })
            .await;
        }
    }

    /// Nothing that was acknowledged is lost, nothing is there twice, and each job ran once, at its first attempt.
    pub(super) async fn expect_all_once(&self, account: &Account) {
        let entries = self.once("entries").await;
        let notes = self.once("notes").await;
        for (table, target) in [(&entries, "/entries"), (&notes, "/notes")] {
            let acknowledged = account.acknowledged(target);
            let is_lost = |name: &&String| table.binary_search(name).is_err();
            let lost: Vec<_> = acknowledged.iter().filter(is_lost).collect();
            assert!(lost.is_empty(), "{target} lost {lost:?}\n{account}");
        }
        let count = i64::try_from(entries.len()).expect("a count");
        until_true("every job to be done", SOON, async || {
            self.database.count("completed").await >= count
        })
        .await;
        assert_eq!(self.once("completed").await, entries);
        let spent = "completed WHERE attempt > 1";
        assert_eq!(self.database.count(spent).await, 0, "attempts were spent");
    }

    /// Every second's tick has run, none twice, and the last one after this moment.
    pub(super) async fn expect_ticks(&self, since: i64) {
        until_true("every tick to have run once", SOON, async || {
            // One that is due now may be on its way.
            let ticks = &self.database.rows(TICKS).await[0];
            let is_later = ticks["last"].as_i64().is_some_and(|last| last > since);
            is_later && ticks["ran"] == ticks["due"] && ticks["once"] == ticks["due"]
        })
        .await;
    }

    /// The names in a table, none of which may be there twice.
    async fn once(&self, table: &'static str) -> Vec<String> {
        let rows = self.database.rows(table).await;
        let name = |row: &Value| row["name"].as_str().expect("a name").to_owned();
        let mut names: Vec<_> = rows.iter().map(name).collect();
        names.sort();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{table} has {twice:?} twice");
        names
    }
}

pub(super) fn entry() -> Request {
    let name = fresh_key();
    Request::post("/entries", &json!({ "name": name })).key(name)
}

pub(super) fn note() -> Request {
    Request::post("/notes", &json!({ "name": fresh_key() }))
}
