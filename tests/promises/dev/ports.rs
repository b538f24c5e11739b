//! Ports that browsers refuse, and ports that are taken.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use rustix::process::Signal;

use super::place::{Place, UP};
use crate::harness::database::Database;
use crate::harness::process::{Launch, Process};
use crate::harness::shop::{NO_REDIS, Server, Shop};
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(10);

/// What is said of a port on the list; the list is <https://fetch.spec.whatwg.org/#port-blocking>.
fn warning(port: u16) -> String {
    format!("browsers refuse port {port}: it is a bad port of the Fetch standard")
}

/// A port on the list that is free here.
fn bad_port() -> u16 {
    let bad = [10_080, 6697, 6679, 6669, 6668, 6667, 6666, 6665, 6566, 6000];
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    bad.into_iter()
        .find(is_free)
        .expect("a free port on the list")
}

/// `dev` or `start` of one process, wherever it likes to be.
fn launch(place: &Place, word: &str, database: &Database) -> Launch {
    let launch = place.launch([word, "-m", "web=1"]).var("HOST", "127.0.0.1");
    let launch = launch.var("DATABASE_URL", &*database.url);
    launch.var("REDIS_URL", NO_REDIS)
}

/// Where `dev` says that its page is.
async fn page_of(dev: &mut Process) -> u16 {
    until("the port of web.1", UP, async || {
        dev.expect_running();
        let log = dev.log();
        let (_, rest) = log.split_once("http://localhost:")?;
        rest.lines().next()?.parse().ok()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_leaves_a_busy_5000_for_7000_since_browsers_refuse_6000() {
    let place = Place::new();
    let database = Database::create().await;
    // If it cannot be bound, it is busy already.
    let _busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 5000));
    let mut dev = launch(&place, "dev", &database).spawn();
    let page = page_of(&mut dev).await;
    // Another one than 7000 where that is busy, too.
    assert!(page >= 7000 && page % 1000 == 0, "{page}");
    dev.signal(Signal::TERM);
    assert_eq!(dev.exit_within(SOON).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_moves_a_base_port_that_browsers_refuse_and_says_so() {
    let place = Place::new();
    let database = Database::create().await;
    let mut dev = launch(&place, "dev", &database).var("PORT", "6000").spawn();
    let page = page_of(&mut dev).await;
    assert!(page >= 7000 && page % 1000 == 0, "{page}");
    let told = format!(
        "{}, https://fetch.spec.whatwg.org/#port-blocking; the base port is {page} instead",
        warning(6000)
    );
    assert!(dev.log().contains(&told), "{}", dev.log());
    dev.signal(Signal::TERM);
    assert_eq!(dev.exit_within(SOON).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_and_web_keep_a_named_port_that_browsers_refuse_and_warn() {
    let place = Place::new();
    let shop = Shop::released().await;
    let port = bad_port();
    let launch = launch(&place, "start", &shop.database);
    let mut start = Server::start(launch, port).await.process;
    assert!(start.log().contains(&warning(port)), "{}", start.log());
    assert!(start.log().contains("web.1 keeps it"), "{}", start.log());
    start.signal(Signal::TERM);
    assert_eq!(start.exit_within(SOON).await.code, Some(0));

    let port = bad_port();
    let web = Server::start(shop.launch(["web"]), port).await;
    let log = web.process.log();
    assert!(log.contains(&warning(port)), "{log}");
}

#[tokio::test]
async fn a_base_port_of_0_is_refused() {
    let place = Place::new();
    let start = place.launch(["start"]).var("PORT", "0").run(SOON).await;
    start.expect_code(78).expect_in_stderr("PORT is 0");
}
