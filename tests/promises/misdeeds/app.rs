//! The app `misdeeds`, released.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, StateDirectory};
use crate::harness::wait::{until, until_true};

pub(super) const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Misdeeds {
    pub(super) database: Database,
    state: StateDirectory,
}

impl Misdeeds {
    pub(super) async fn released() -> Self {
        let misdeeds = Self {
            database: Database::create().await,
            state: StateDirectory::new(),
        };
        let release = misdeeds.launch(["release"]).run(COMMAND_BOUND);
        release.await.expect_code(0);
        misdeeds
    }

    pub(super) fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        self.with_environment(Launch::new(&binaries::example("misdeeds")).args(arguments))
    }

    pub(super) fn worker(&self) -> Process {
        self.launch(["worker"]).spawn()
    }

    /// A worker whose allocator gets no more than this from the system.
    pub(super) fn worker_with_memory(&self, most_kib: u32) -> Process {
        let binary = binaries::example("misdeeds");
        let script = format!("ulimit -v {most_kib}; exec {} worker", binary.display());
        let shell = Launch::new(Path::new("/bin/sh")).args(["-c", &script]);
        self.with_environment(shell).spawn()
    }

    pub(super) async fn enqueue(&self, what: &[&str]) {
        let words = ["run", "enqueue", "--"].iter().chain(what);
        let enqueued = self.launch(words.copied()).run(COMMAND_BOUND).await;
        enqueued.expect_code(0);
    }

    /// What `jobs list` shows with these words.
    pub(super) async fn list(&self, words: &[&str]) -> Vec<Value> {
        let words = ["jobs", "list", "--json"].iter().chain(words);
        let listed = self.launch(words.copied()).run(COMMAND_BOUND).await;
        let listed = listed.expect_code(0).expect_json();
        listed["jobs"].as_array().expect("a list").clone()
    }

    /// The only job of this kind, with all that is known about it.
    pub(super) async fn show(&self, kind: &str) -> Value {
        let jobs = self.list(&["--kind", kind]).await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        let id = jobs[0]["id"].as_str().expect("an id");
        let shown = self.launch(["jobs", "show", id, "--json"]);
        shown.run(COMMAND_BOUND).await.expect_code(0).expect_json()
    }

    /// Waits until the only job of this kind has failed for good, and answers what is known about it.
    pub(super) async fn until_failed(&self, kind: &str, bound: Duration) -> Value {
        until(&format!("{kind} to have failed"), bound, async || {
            let shown = self.show(kind).await;
            (job_of(&shown)["state"] == "failed").then_some(shown)
        })
        .await
    }

    /// Enqueues a note, and waits until it is written: the other jobs go on.
    pub(super) async fn expect_to_go_on(&self) {
        let before = self.database.count("notes").await;
        self.enqueue(&["note"]).await;
        until_true("another note", SOON, async || {
            self.database.count("notes").await > before
        })
        .await;
    }

    fn with_environment(&self, launch: Launch) -> Launch {
        launch
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }
}

/// The job in what `jobs show --json` prints.
pub(super) fn job_of(shown: &Value) -> &Value {
    shown.get("job").unwrap_or(shown)
}

/// What was recorded of its attempts: cause, message, and how often.
pub(super) fn errors_of(shown: &Value) -> Vec<(String, String, u64)> {
    let text = |error: &Value, key: &str| error[key].as_str().expect(key).to_owned();
    let errors = job_of(shown)["errors"].as_array().expect("errors");
    let error = |error: &Value| {
        let times = error["times"].as_u64().expect("times");
        (text(error, "cause"), text(error, "message"), times)
    };
    errors.iter().map(error).collect()
}
