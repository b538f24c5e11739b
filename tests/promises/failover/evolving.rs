//! The app `evolving`, whose handlers read whole rows and types of its own.

use serde_json::json;

use crate::harness::binaries;
use crate::harness::database::Database;
use crate::harness::http::Request;
use crate::harness::port;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{COMMAND_BOUND, Server, StateDirectory, fresh_key};

/// What its handlers look at.
const SUBJECTS: [&str; 2] = ["things", "feelings"];

/// How its handlers look: without a transaction, as the first statement of one, later in one, and in a job's.
const WAYS: [&str; 6] = [
    "autocommit/one",
    "autocommit/all",
    "autocommit/stream",
    "first",
    "later",
    "job",
];

/// The app, released.
#[derive(Debug)]
pub(super) struct Evolving {
    pub(super) database: Database,
    state: StateDirectory,
}

impl Evolving {
    pub(super) async fn released() -> Self {
        let evolving = Self {
            database: Database::create().await,
            state: StateDirectory::new(),
        };
        let release = evolving.launch(["release"]).run(COMMAND_BOUND);
        release.await.expect_code(0);
        evolving
    }

    pub(super) async fn web(&self) -> Server {
        Server::start(self.launch(["web"]), port::free()).await
    }

    pub(super) fn worker(&self) -> Process {
        self.launch(["worker"]).spawn()
    }

    fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(&binaries::example("evolving"))
            .args(arguments)
            .var("DATABASE_URL", &*self.database.url)
            .var("TWELVE_STATE_DIR", self.state.path())
    }
}

/// Each subject is looked at in each way, in turn.
pub(super) fn request(number: usize) -> Request {
    let subject = SUBJECTS[number % SUBJECTS.len()];
    let way = WAYS[number / SUBJECTS.len() % WAYS.len()];
    let target = format!("/{subject}/{way}");
    if way.starts_with("autocommit") {
        return Request::get(&target);
    }
    let name = fresh_key();
    let request = Request::post(&target, &json!({ "name": name }));
    if way == "later" {
        request.key(name)
    } else {
        request
    }
}
