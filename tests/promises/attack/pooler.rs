//! Statements that take too long behind PgBouncer, which lets no client set a timeout for its session.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::database::Database;
use crate::harness::http::{Answer, Request, ask};
use crate::harness::pgbouncer::Pooler;
use crate::harness::port;
use crate::harness::postgres::Postgres;
use crate::harness::shop::{Server, Shop};
use crate::harness::wait::until_true;

const SOON: Duration = Duration::from_secs(20);

/// Statements that wait for a lock.
const WAITING: &str =
    "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Each of its clients gets the server's one session.
const ONE_SESSION: &str = "default_pool_size = 1\n";

/// The shop's `web` behind a pooler, for which a statement may take a second.
struct Pooled {
    shop: Shop,
    web: Server,
    pooler: Pooler,
}

impl Pooled {
    /// Nothing, and a word about it, where there is no PgBouncer.
    async fn with(settings: &str) -> Option<Self> {
        if let Err(why) = Pooler::find() {
            println!("SKIPPED, so this is untested here: {why}");
            return None;
        }
        let postgres = Postgres::private().await;
        let pooler = Pooler::before_with(&postgres, settings).await;
        let shop = Shop::released_on(Database::create_on(&postgres).await).await;
        let launch = shop
            .launch(["web"])
            .var("DATABASE_URL", pooler.url_of(&shop.database.url))
            .var("TWELVE_DATABASE_TIMEOUT", "1s");
        let web = Server::start(launch, port::free()).await;
        Some(Self { shop, web, pooler })
    }

    /// Asks while somebody else holds the table, and waits until Postgres no longer works on it.
    async fn expect_ended(&self, table: &str, request: &Request) {
        let mut holder = connect(&self.shop.database.url).await;
        let hold = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        let done = holder.execute(sqlx::AssertSqlSafe(hold)).await;
        done.expect("hold the table");
        let asked = self.ask(request).await.expect(503);
        assert!(asked.header("retry-after").is_some(), "{asked}");
        until_true("Postgres to end the statement", SOON, async || {
            self.shop.database.count(WAITING).await == 0
        })
        .await;
        holder.close().await.expect("let the table go");
        // The control: nothing else was in its way.
        let served = self.ask(request).await;
        assert!(matches!(served.status, 200 | 201), "{served}");
    }

    async fn ask(&self, request: &Request) -> Answer {
        ask(self.web.port, request).await
    }
}

async fn connect(url: &str) -> PgConnection {
    let connection = PgConnection::connect(url).await;
    connection.unwrap_or_else(|error| panic!("connect to {url}: {error}"))
}

fn sign_up() -> Request {
    Request::post("/customers", &json!({ "email": "late@example.com" }))
}

#[tokio::test]
async fn a_transaction_is_ended_and_leaves_no_timeout_to_others() {
    let Some(pooled) = Pooled::with(ONE_SESSION).await else {
        return;
    };
    pooled.expect_ended("customers", &sign_up()).await;
    let url = pooled.pooler.url_of(&pooled.shop.database.url);
    let shown = sqlx::query_scalar("SHOW statement_timeout")
        .fetch_one(&mut connect(&url).await)
        .await;
    let shown: String = shown.expect("ask for the timeout");
    assert_eq!(shown, "0");
}

/// As many set it up: `options` are left out without a word.
#[tokio::test]
async fn a_transaction_is_ended_behind_a_pooler_that_swallows_options() {
    let settings = "ignore_startup_parameters = extra_float_digits, options\n";
    if let Some(pooled) = Pooled::with(settings).await {
        pooled.expect_ended("customers", &sign_up()).await;
    }
}

#[tokio::test]
async fn a_transaction_is_ended_behind_a_pooler_of_sessions() {
    if let Some(pooled) = Pooled::with("pool_mode = session\n").await {
        pooled.expect_ended("customers", &sign_up()).await;
    }
}

/// Which the page for operators asks for.
#[tokio::test]
async fn a_single_statement_is_ended_by_the_timeout_of_the_role() {
    let Some(pooled) = Pooled::with("").await else {
        return;
    };
    let database = &pooled.shop.database;
    // The role is everybody's here; a database's setting works in the same way.
    let limit = format!(
        "ALTER DATABASE {} SET statement_timeout = '1s'",
        database.name()
    );
    database.execute(limit).await;
    pooled
        .expect_ended("products", &Request::get("/products"))
        .await;
}
