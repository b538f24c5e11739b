//! Servers and databases that are read-only for a while, and transactions that are so by their author's words.

use std::time::{Duration, Instant};

use serde_json::json;

use super::entries::Entries;
use crate::harness::database::Database;
use crate::harness::http::{Request, ask};
use crate::harness::postgres::Postgres;
use crate::harness::wait::until_true;

/// From the end of the state on.
const BOUND: Duration = Duration::from_secs(2);

/// Who the connections that were opened meanwhile learn it from.
#[derive(Clone, Copy)]
enum By {
    /// Every connection learns of it, and of its end.
    Server,
    /// What hosts do when a disk is full: only connections that are opened then learn of it, and they never hear of its end.
    Database,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_read_only_by_its_setting_is_unavailable_for_writes_until_it_is_not() {
    be_read_only(By::Server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_opened_to_a_read_only_database_do_not_stay_read_only() {
    be_read_only(By::Database).await;
}

async fn be_read_only(by: By) {
    let postgres = Postgres::private().await;
    let database = Database::create_on(&postgres).await;
    let url = database.url.clone();
    let app = Entries::released(database, url).await;
    let mut web = app.web().await;
    let mut crew = app.crew();
    let load = Entries::load(web.port);
    load.until_more(100).await;
    app.until_crew_goes_on().await;

    switch(by, "on", &postgres, &app).await;
    app.database.cut_connections().await;
    load.until_seen("a refused write", |sent| {
        sent.request.method == "POST" && !sent.is_served()
    })
    .await;
    load.until_seen("a read", |sent| {
        sent.request.method == "GET" && sent.is_served()
    })
    .await;
    load.until_more(100).await;

    switch(by, "off", &postgres, &app).await;
    let ended = Instant::now();
    let ended_at = app.database.now().await;
    while ended.elapsed() < 2 * BOUND {
        load.until_more(10).await;
    }
    let account = load.stop().await;

    println!("{account}");
    account.expect_served(|sent| sent.status() == Some(503) && sent.at < ended + BOUND);
    app.expect_all_once(&account).await;
    app.expect_ticks(ended_at).await;
    web.process.expect_running();
    for process in &mut crew {
        process.expect_running();
    }
}

async fn switch(by: By, value: &str, postgres: &Postgres, app: &Entries) {
    match by {
        By::Server => {
            let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
            postgres.execute(set).await;
            postgres.reload().await;
            until_true("the setting", BOUND, async || {
                postgres.ask("SHOW default_transaction_read_only").await == value
            })
            .await;
        }
        By::Database => {
            let name = app.database.name();
            let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
            // It has to come through although the server is asked from outside.
            postgres.execute(set).await;
        }
    }
}

/// No outage, though the code is the same (25006): it is the author who has to know, and nobody else's connection is at fault.
#[tokio::test]
async fn a_transaction_that_is_read_only_by_its_author_is_a_mistake_and_disturbs_nobody() {
    let database = Database::create().await;
    let url = database.url.clone();
    let app = Entries::released(database, url).await;
    let web = app.web().await;
    // Several connections, which are idle from then on.
    let mut warming = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let port = web.port;
        warming.spawn(async move { ask(port, &Request::get("/dwell")).await.expect(200) });
    }
    while let Some(warmed) = warming.join_next().await {
        warmed.expect("no panic");
    }
    let before = app.database.backends().await;

    for _ in 0..10 {
        ask(web.port, &Request::post("/contradiction", &json!({})))
            .await
            .expect(500);
        ask(web.port, &super::entries::note()).await.expect(201);
    }
    let after = app.database.backends().await;
    let is_gone = |pid: &&i64| !after.contains(pid);
    let gone: Vec<_> = before.iter().filter(is_gone).collect();
    assert!(
        gone.is_empty(),
        "closed for nothing: {gone:?} of {before:?}"
    );
    assert!(
        web.process.log().contains("25006"),
        "the author is not told:\n{}",
        web.process.log()
    );
    assert_eq!(app.database.count("notes").await, 10);
}
