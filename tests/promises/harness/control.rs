//! The harness sees what it is there to see: each loss, each exit.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;

use super::database::Database;
use super::gate::Gate;
use super::http::{Answer, Connection, Failure, Request, send};
use super::port;
use super::postgres::Postgres;
use super::process::{Launch, Process};
use super::relay::Relay;
use super::standby::Pair;
use super::wait::{until, until_true};

const SOON: Duration = Duration::from_secs(10);

/// What a client makes of a server that reads a request, says `bytes` and
/// closes.
async fn what_comes_of(bytes: &'static [u8]) -> Result<Answer, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bind");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accept");
        let mut connection = Connection::over(stream);
        connection.request().await.expect("a request");
        connection.write(bytes).await.expect("write");
    });
    let answer = send(port, &Request::post("/", &serde_json::json!({}))).await;
    serving.await.expect("the server does not panic");
    answer
}

#[tokio::test]
async fn every_kind_of_loss_is_told_apart() {
    assert_eq!(
        send(port::free(), &Request::get("/")).await,
        Err(Failure::Refused)
    );
    assert_eq!(what_comes_of(b"").await, Err(Failure::CutBeforeByte));
    assert_eq!(
        what_comes_of(b"HTTP/1.1 2").await,
        Err(Failure::CutAfterByte)
    );
    assert_eq!(
        what_comes_of(b"HTTP/1.1 200 OK\r\n").await,
        Err(Failure::CutAfterByte)
    );
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    assert_eq!(what_comes_of(half).await, Err(Failure::CutAfterByte));
    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwhol\r\n1\r\ne\r\n0\r\n\r\n";
    assert_eq!(
        what_comes_of(chunked).await.expect("an answer").body,
        b"whole"
    );
}

#[tokio::test]
async fn a_closed_gate_holds_and_counts_calls() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bind");
    let upstream = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accept");
        let mut connection = Connection::over(stream);
        connection.request().await.expect("a request");
        connection
            .write(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .expect("write");
    });
    let gate = Gate::before(upstream).await;
    gate.close();
    let port = gate.port;
    let asking = tokio::spawn(async move { send(port, &Request::get("/").key("k")).await });
    gate.until_calls(1, SOON).await;
    assert!(!asking.is_finished());
    gate.open();
    assert_eq!(
        asking.await.expect("no panic").expect("an answer").status,
        204
    );
    assert_eq!(gate.keys(), ["k"]);
}

fn shell(script: &str) -> Process {
    Launch::new(Path::new("/bin/sh"))
        .args(["-c", script])
        .spawn()
}

#[tokio::test]
async fn exits_signals_and_logs_are_seen() {
    assert_eq!(shell("exit 7").exit_within(SOON).await.code, Some(7));

    let mut deaf = shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done");
    until_true("the log", SOON, async || deaf.log().contains("deaf")).await;
    deaf.signal(Signal::TERM);
    deaf.expect_running();
    deaf.signal(Signal::KILL);
    assert_eq!(deaf.exit_within(SOON).await.signal, Some(9));
}

#[tokio::test]
async fn a_dropped_process_is_gone_and_so_is_what_it_started() {
    let parent = shell("sleep 1000 & echo $! $$; wait");
    let pids = until("both pids", SOON, async || {
        let log = parent.log();
        log.ends_with('\n')
            .then(|| log.split_whitespace().map(pid).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| is_running(*pid)));
    drop(parent);
    until_true("both to be gone", SOON, async || {
        !pids.iter().any(|pid| is_running(*pid))
    })
    .await;
}

#[tokio::test]
async fn a_private_postgres_stops_and_starts_again_with_its_data() {
    let postgres = Postgres::private().await;
    let database = Database::create_on(&postgres).await;
    assert_eq!(database.connections().await, 0);
    assert!(database.count("pg_class").await > 0);
    postgres.stop().await;
    let url = postgres.url.clone();
    assert!(PgConnection::connect(&url).await.is_err());
    postgres.start_again().await;
    assert!(database.count("pg_class").await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_changes_places_and_back_and_a_relay_leads_where_it_points() {
    let mut pair = Pair::start().await;
    let relay = Relay::before(&pair.primary).await;
    let url = relay.url_of(&pair.primary.url);
    pair.primary.execute("CREATE TABLE kept (number int)").await;
    for number in [1, 2] {
        let keep = format!("INSERT INTO kept VALUES ({number})");
        pair.primary.execute(keep).await;
        pair.switch_over().await;
        let mut old = PgConnection::connect(&url).await.expect("connect");
        assert!(is_standby(&mut old).await.expect("the old primary"));

        relay.move_to(&pair.primary);
        let mut new = PgConnection::connect(&url).await.expect("connect");
        assert!(!is_standby(&mut new).await.expect("the new primary"));
        assert!(is_standby(&mut old).await.expect("still the old primary"));

        relay.cut();
        assert!(is_standby(&mut old).await.is_err());
        assert!(is_standby(&mut new).await.is_err());
    }
    let kept = pair.primary.ask("SELECT count(*)::text FROM kept").await;
    assert_eq!(kept, "2");
}

async fn is_standby(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_is_in_recovery()")
        .fetch_one(connection)
        .await
}

fn pid(number: &str) -> Pid {
    Pid::from_raw(number.parse().expect("a number")).expect("a pid")
}

/// A process that has ended and was not waited for yet still has a pid.
fn is_running(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(
        status
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next()),
        None | Some('Z')
    )
}
