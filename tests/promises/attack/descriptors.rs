//! Clients that take every file descriptor, and a process that has none left for other reasons.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;

use super::ground::Ground;
use crate::harness::http::{Connection, Request, ask};
use crate::harness::process::at_a_moment;
use crate::harness::wait::until_true;

/// Longer than a connection waits for another one to be given back before it suspects the server.
const STALLED: Duration = Duration::from_millis(700);

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_at_sixty_four_descriptors_stop_nobody() {
    let mut ground = Ground::web_with(64).await;
    let without = ground.honest(200).await.expect_served();
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(
            TcpStream::connect((Ipv4Addr::LOCALHOST, ground.port()))
                .await
                .expect("the kernel lets it in"),
        );
    }
    let during = ground.honest(200).await.expect_served();
    ask(ground.port(), &Request::get("/health"))
        .await
        .expect(200);
    println!(
        "p99 {:?}, without {:?}, {} descriptors",
        during.p99(),
        without.p99(),
        ground.descriptors()
    );
    ground.expect_pools(1);
    let log = ground.server.process.log();
    assert!(
        log.contains("TWELVE_MAX_CONNECTIONS=10000 needs more open files"),
        "{log}"
    );
    assert!(!log.contains("no file descriptor left"), "{log}");
    ground.expect_drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_descriptors_does_not_take_postgres_for_unreachable() {
    let ground = Ground::web(&[]).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Connection::open(ground.port()).await.expect("connect");
        client
            .ask(&Request::get("/health"))
            .await
            .expect("an answer");
        clients.push(client);
    }
    let mut late = clients.split_off(3);
    let database = &ground.shop.database;
    let mut holder = PgConnection::connect(&database.url).await.expect("connect");
    let mut lock = holder.begin().await.expect("begin");
    sqlx::query("LOCK TABLE products")
        .execute(&mut *lock)
        .await
        .expect("lock");

    let products = Request::get("/products").bytes();
    for client in &mut clients {
        client.write(&products).await.expect("send");
    }
    until_true("three statements to wait", SOON, async || {
        database
            .count(
                "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await
            == 3
    })
    .await;
    let freed = use_up_descriptors(ground.server.process.id());
    late[0].write(&products).await.expect("send");
    at_a_moment(STALLED).await;
    late[1].write(&products).await.expect("send");
    lock.rollback().await.expect("unlock");
    for client in clients.iter_mut().chain(&mut late) {
        client.answer().await.expect("an answer").expect(200);
    }
    let log = ground.server.process.log();
    assert!(
        log.contains("this process has no file descriptor left to reach Postgres with"),
        "{log}"
    );
    assert!(!log.contains("Postgres cannot be reached"), "{log}");

    // Somebody new is let in as soon as there is a descriptor.
    let mut waiting = Connection::open(ground.port())
        .await
        .expect("the kernel lets it in");
    until_true("the complaint", SOON, async || {
        ground
            .server
            .process
            .log()
            .contains("connections cannot be accepted")
    })
    .await;
    freed();
    waiting
        .ask(&Request::get("/products"))
        .await
        .expect("an answer")
        .expect(200);
}

/// Lowers the limit of a process to what it has open; what comes back undoes it.
fn use_up_descriptors(pid: u32) -> impl FnOnce() {
    let open: BTreeSet<u64> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process runs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let free = (0..=u64::MAX).find(|number| !open.contains(number));
    let pid = Pid::from_raw(pid.cast_signed());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let before = prlimit(
        pid,
        Resource::Nofile,
        Rlimit {
            current: free,
            maximum,
        },
    )
    .expect("it is ours");
    move || {
        prlimit(pid, Resource::Nofile, before).expect("it is ours");
    }
}
