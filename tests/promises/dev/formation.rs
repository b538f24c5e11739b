//! How many processes, and on which ports.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use super::place::{Place, free_base, supervise};
use crate::harness::database::Database;
use crate::harness::shop::{COMMAND_BOUND, NO_REDIS};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_runs_the_formation_on_foremans_ports_and_drains_on_sigterm() {
    let place = Place::new();
    let database = Database::create().await;
    let launch = |word| {
        let launch = place.launch(word).var("DATABASE_URL", &*database.url);
        launch.var("REDIS_URL", NO_REDIS)
    };
    launch(vec!["release"])
        .run(COMMAND_BOUND)
        .await
        .expect_code(0);
    let launch = launch(vec![])
        .var("TWELVE_ANNOUNCE", "100ms")
        .var("HOST", "127.0.0.1");
    let mut start = supervise(launch, "start", &["-m", "web=2,payments=1"]);
    start.until_ready().await;
    for port in [start.base, start.base + 1, start.base + 200] {
        assert!(start.serves(port).await, "nobody serves on {port}");
    }
    let log = start.process.log();
    let said_by = |line: &str| line.split_once('|').map(|(name, _)| name.trim().to_owned());
    let second = log.lines().filter_map(said_by).any(|name| name == "web.2");
    assert!(second && !log.contains("worker"), "{log}");
    start.process.signal(Signal::TERM);
    assert_eq!(start.process.exit_within(SOON).await.code, Some(0));
    place.until_empty(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_before_anything_starts() {
    let place = Place::new();
    let launch = |words: &[&str]| {
        place
            .launch(words.iter().copied())
            .var("DATABASE_URL", "nonsense")
            .var("TWELVE_WORKER_CONCURRENCY", "many")
    };
    let refused = launch(&["start", "--port", &free_base().to_string()])
        .run(COMMAND_BOUND)
        .await;
    let refused = refused.expect_code(78).expect_in_stderr("DATABASE_URL");
    refused.expect_in_stderr("TWELVE_WORKER_CONCURRENCY");
    let unknown = launch(&["start", "-m", "wbe=1"]).run(COMMAND_BOUND).await;
    unknown
        .expect_code(64)
        .expect_in_stderr("`wbe` is not a process type");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let in_use = launch(&["start", "-m", "web=1", "--port", &port]).var("HOST", "127.0.0.1");
    let in_use = in_use.run(COMMAND_BOUND).await;
    in_use.expect_code(1).expect_in_stderr("cannot listen on");

    std::fs::write(place.path.join(".env"), "no variable\n").unwrap();
    let unreadable = launch(&["start"]).run(COMMAND_BOUND).await;
    unreadable
        .expect_code(78)
        .expect_in_stderr(".env cannot be read");
}
