//! The app `stoppable`, whose jobs run until they are stopped.

use std::time::Duration;

use serde_json::Value;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::process::{Finished, Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, StateDirectory};
use crate::harness::wait::until;

/// A busy machine takes its time to start a process.
pub(super) const SOON: Duration = Duration::from_secs(40);

/// The app, released.
#[derive(Debug)]
pub(super) struct Stoppable {
    pub(super) database: Database,
    state: StateDirectory,
}

impl Stoppable {
    pub(super) async fn released() -> Self {
        let app = Self {
            database: Database::create().await,
            state: StateDirectory::new(),
        };
        app.run(&["release"]).await.expect_code(0);
        app
    }

    pub(super) fn launch(&self, arguments: &[&str]) -> Launch {
        Launch::new(&binaries::example("stoppable"))
            .args(arguments.iter().copied())
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Finished {
        self.launch(arguments).run(COMMAND_BOUND).await
    }

    /// What a command says in JSON, under this name.
    pub(super) async fn ask(&self, arguments: &[&str], member: &str) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let answer = self.run(&arguments).await.expect_json();
        answer[member].clone()
    }

    /// A worker that is registered.
    pub(super) async fn worker(&self, arguments: &[&str]) -> Process {
        let before = self.database.count("twelve.workers").await;
        let mut worker = self.launch(arguments).spawn();
        until("a worker to register", SOON, async || {
            worker.expect_running();
            (self.database.count("twelve.workers").await > before).then_some(())
        })
        .await;
        worker
    }

    /// Enqueues jobs, and answers their ids.
    pub(super) async fn enqueue(&self, arguments: &[&str]) -> Vec<String> {
        let arguments = [&["run", "enqueue", "--"], arguments].concat();
        let printed = self.run(&arguments).await.expect_code(0).stdout;
        printed.lines().map(str::to_owned).collect()
    }

    pub(super) async fn state(&self, job: &str) -> String {
        let shown = self.ask(&["jobs", "show", job], "job").await;
        shown["state"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) async fn until_state(&self, job: &str, state: &str) {
        until(&format!("{job} to be {state}"), SOON, async || {
            (self.state(job).await == state).then_some(())
        })
        .await;
    }

    /// The reasons that `why` gives for a job.
    pub(super) async fn why(&self, job: &str) -> Vec<String> {
        let why = self.ask(&["jobs", "why", job], "why").await;
        let reasons = why["reasons"].as_array().expect("reasons").iter();
        let name = |reason: &Value| reason["reason"].as_str().expect("a name").to_owned();
        reasons.map(name).collect()
    }
}
