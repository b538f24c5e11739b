//! A database for each test.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::postgres::Postgres;

/// The clock that only the database has is the one that says what is due; the test kit moves it in the same way.
const CLOCK: &str = "
CREATE SCHEMA clock;
CREATE TABLE clock.moved (ahead interval NOT NULL);
INSERT INTO clock.moved VALUES ('0');
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.now() + ahead FROM clock.moved';
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM clock.moved';
";

/// A fresh, empty database, dropped at the end of the test.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
    server: Postgres,
}

impl Database {
    pub(crate) async fn create() -> Self {
        Self::create_on(&Postgres::shared().await).await
    }

    pub(crate) async fn create_on(server: &Postgres) -> Self {
        let name = format!("promises_{:016x}", fastrand::u64(..));
        let created = execute(&server.url, format!("create database {name}")).await;
        created.unwrap_or_else(|error| panic!("create a database on {}: {error}", server.url));
        Self {
            url: with_database(&server.url, &name),
            name,
            server: server.clone(),
        }
    }

    /// From now on it is the one of the same name on another server, which has taken over.
    pub(crate) fn move_to(&mut self, server: &Postgres) {
        self.url = with_database(&server.url, &self.name);
        self.server = server.clone();
    }

    /// How many rows `from` has, asked of the database itself.
    pub(crate) async fn count(&self, from: &'static str) -> i64 {
        let mut connection = connect(&self.url).await;
        let sql = AssertSqlSafe(format!("select count(*) from {from}"));
        let counted = sqlx::query_scalar(sql).fetch_one(&mut connection).await;
        counted.unwrap_or_else(|error| panic!("count {from}: {error}"))
    }

    /// The rows of `from` as JSON: these tests know tables, not columns.
    pub(crate) async fn rows(&self, from: &'static str) -> Vec<serde_json::Value> {
        let mut connection = connect(&self.url).await;
        let sql = AssertSqlSafe(format!("select to_jsonb(t) from {from} t"));
        let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
        rows.unwrap_or_else(|error| panic!("read {from}: {error}"))
    }

    /// Runs SQL on it.
    pub(crate) async fn execute(&self, sql: impl Into<String>) {
        let sql = sql.into();
        let done = execute(&self.url, sql.clone()).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Puts a clock before that of Postgres which [`Self::move_clock`] moves, and which every process sees from its next connection on.
    pub(crate) async fn install_clock(&self) {
        let Self { name, .. } = self;
        let path = format!(
            r#"ALTER DATABASE {name} SET search_path = "$user", public, clock, pg_catalog"#
        );
        self.execute(format!("{CLOCK}{path}")).await;
    }

    /// Sets the clock that was installed.
    pub(crate) async fn move_clock(&self, seconds: i64) {
        let moved = format!("UPDATE clock.moved SET ahead = ahead + {seconds} * interval '1 s'");
        self.execute(moved).await;
    }

    /// The time by its clock, in seconds since 1970.
    pub(crate) async fn now(&self) -> i64 {
        let rows = self.rows("(SELECT floor(extract(epoch FROM now()))::bigint AS now)");
        rows.await[0]["now"].as_i64().expect("a whole second")
    }

    /// How many connections clients have to this database; autovacuum comes when it likes.
    pub(crate) async fn connections(&self) -> i64 {
        // Asked from another database, so that the question is not counted.
        let mut connection = connect(&self.server.url).await;
        sqlx::query_scalar("select count(*) from pg_stat_activity where datname = $1 and backend_type = 'client backend'")
            .bind(&self.name)
            .fetch_one(&mut connection)
            .await
            .expect("ask for the connections")
    }

    /// What it is called, for a statement about it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The processes of Postgres that serve this database's connections.
    pub(crate) async fn backends(&self) -> Vec<i64> {
        let mut connection = connect(&self.server.url).await;
        sqlx::query_scalar("select pid::bigint from pg_stat_activity where datname = $1 and backend_type = 'client backend'")
            .bind(&self.name)
            .fetch_all(&mut connection)
            .await
            .expect("ask for the connections")
    }

    /// Ends every connection to this database, as a cut network would.
    pub(crate) async fn cut_connections(&self) {
        let mut connection = connect(&self.server.url).await;
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
            .bind(&self.name)
            .execute(&mut connection)
            .await
            .expect("cut the connections");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        let server_url = self.server.url.clone();
        // On a thread of its own: a runtime cannot be entered from within one,
        // and drops run there.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("build a runtime");
            runtime.block_on(async {
                // A server that the test stopped has nothing left to drop.
                let dropping = execute(&server_url, drop);
                let _ = tokio::time::timeout(Duration::from_secs(10), dropping).await;
            });
        });
        let _ = dropping.join();
    }
}

async fn connect(url: &str) -> PgConnection {
    let connection = PgConnection::connect(url).await;
    connection.unwrap_or_else(|error| panic!("connect to {url}: {error}"))
}

async fn execute(url: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// The same server's URL for another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let authority = place.find("://").expect("a URL has a scheme") + 3;
    let path = place[authority..]
        .find('/')
        .map_or(place.len(), |slash| authority + slash);
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{}/{name}{question}{parameters}", &place[..path])
}

#[test]
fn a_url_is_moved_to_another_database() {
    let moved = |url| with_database(url, "new");
    assert_eq!(
        moved("postgres://u:p@host:5432/old?sslmode=off"),
        "postgres://u:p@host:5432/new?sslmode=off"
    );
    assert_eq!(moved("postgres://host"), "postgres://host/new");
    assert_eq!(
        moved("postgres:///old?host=/run/pg"),
        "postgres:///new?host=/run/pg"
    );
}
