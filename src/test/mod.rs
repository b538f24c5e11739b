//! The test kit: the real app against real servers, a fresh database for every test.
//!
//! ```text
//! #[twelve::test] ─► private servers (or DATABASE_URL) ─► template with all migrations
//!                                                          └─► a clone of it for each test ─► TestApp
//! ```
//!
//! Each test has a numbered database of the private Redis to itself too.
//! A URL that is set wins, and a Redis that is named so is shared by all tests; otherwise private servers are started from the installed binaries.

mod app;
mod clock;
mod database;
#[cfg(feature = "mail")]
mod mails;
mod process;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod servers;

pub use app::TestApp;
pub use database::TestDatabase;
#[cfg(feature = "mail")]
pub use mails::TestMail;
pub use process::{Signal, TestProcess};
pub use request::{TestRequest, TestResponse};
pub use servers::environment;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};
use tokio::runtime;

use twelve_core::{
    Environment,
    telemetry::{self, Logs},
};

use crate::app::App;

/// How long the runtime may take to end after a test: a blocking call cannot be cancelled.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs a test: what `#[twelve::test]` expands to.
///
/// # Panics
///
/// The servers cannot be started, or the test panics; its database is dropped all the same.
pub fn run<F, Fut>(app: fn() -> App, name: &str, test: F) -> Fut::Output
where
    F: FnOnce(TestApp) -> Fut,
    Fut: Future,
{
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test");
    telemetry::start(Logs::Test, &Environment::of_process());
    let started = runtime.block_on(TestApp::start(app));
    let app = started.unwrap_or_else(|error| panic!("{name} cannot start: {error:?}"));
    let database = app.database();
    let end = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(app))));
    runtime.block_on(database.drop_it());
    runtime.shutdown_timeout(SHUTDOWN);
    end.unwrap_or_else(|panic| resume_unwind(panic))
}
