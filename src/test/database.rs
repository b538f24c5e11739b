//! A fresh database for every test: a clone of a template that has all migrations.
//!
//! Cloning takes about a tenth of a second, migrating every time would take longer with each migration.

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
    system::uname,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions,
};
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    process,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use url::Url;

use twelve_core::{Error, migrations::Migrations};

use super::{
    clock,
    servers::{postgres_url, servers},
};

/// Serialises the making of templates among all test processes: "twelve" in hexadecimal digits of its own.
const TEMPLATE_LOCK: i64 = 0x7e_1e5e;

/// The databases of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// What the names of this host's test databases begin with; the rest is the process that made it, and a number.
///
/// Hosts that share a server must not take each other's processes for dead.
fn prefix() -> String {
    let mut hash = DefaultHasher::new();
    uname().nodename().hash(&mut hash);
    format!("twelve_test_{:08x}_", hash.finish() & 0xffff_ffff)
}

/// A database that one test has to itself.
///
/// It is dropped when `#[twelve::test]` ends.
/// One whose process was killed is dropped by the next test.
#[derive(Clone, Debug)]
pub struct TestDatabase(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    admin: PgConnectOptions,
    name: String,
    url: String,
}

impl TestDatabase {
    /// A database with these migrations, on the server that [`environment`](super::environment) names.
    ///
    /// # Errors
    ///
    /// The server cannot be started, or a migration fails.
    pub async fn fresh(migrations: &Migrations) -> Result<Self, Error> {
        let environment = servers().await?;
        Self::create(&postgres_url(&environment)?, migrations).await
    }

    /// Clones the template for these migrations, which is made first if need be.
    ///
    /// `url` is that of any database on the server; its user must be allowed to create databases.
    pub(crate) async fn create(url: &str, migrations: &Migrations) -> Result<Self, Error> {
        let admin = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let mut connection = admin.connect().await?;
        let template = template(&mut connection, url, migrations).await?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}_{count}", prefix(), process::id());
        let drop_old = format!(r#"DROP DATABASE IF EXISTS "{name}" WITH (FORCE)"#);
        // A process that had our id before may have been killed before it could clean up.
        connection.execute(AssertSqlSafe(drop_old)).await?;
        let clone = format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}""#);
        connection.execute(AssertSqlSafe(clone)).await?;
        // A clone does not inherit the settings of its template.
        let path = format!(
            r#"ALTER DATABASE "{name}" SET search_path = {}"#,
            clock::SEARCH_PATH
        );
        connection.execute(AssertSqlSafe(path)).await?;
        connection.close().await?;
        let url = with_database(url, &name)?;
        Ok(Self(Arc::new(Inner { admin, name, url })))
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Drops the database, whoever is still connected to it.
    pub(crate) async fn drop_it(&self) {
        let drop = format!(r#"DROP DATABASE IF EXISTS "{}" WITH (FORCE)"#, self.0.name);
        let dropped = async {
            let mut connection = self.0.admin.connect().await?;
            connection.execute(AssertSqlSafe(drop)).await?;
            connection.close().await
        };
        if let Err(error) = dropped.await {
            // A test that stopped its Postgres on purpose has nothing left to drop.
            eprintln!("the test's database could not be dropped: {error}");
        }
    }
}

/// The name of the template for these migrations.
async fn template(
    connection: &mut PgConnection,
    url: &str,
    migrations: &Migrations,
) -> Result<String, Error> {
    // The lock belongs to the session: it goes with the connection, whatever happens.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await?;
    drop_orphans(connection).await?;
    let mut hash = DefaultHasher::new();
    clock::INSTALL.hash(&mut hash);
    migrations
        .checksums()
        .for_each(|checksum| checksum.hash(&mut hash));
    let name = format!("twelve_template_{:016x}", hash.finish());
    let known: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut *connection)
            .await?;
    if !known {
        // Under another name until it is whole: a test run may be killed half-way.
        let draft = format!("{name}_draft");
        let drop_old = format!(r#"DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)"#);
        connection.execute(AssertSqlSafe(drop_old)).await?;
        let create = format!(r#"CREATE DATABASE "{draft}""#);
        connection.execute(AssertSqlSafe(create)).await?;
        let options = PgConnectOptions::from_str(&with_database(url, &draft)?)?;
        let mut inside = options.disable_statement_logging().connect().await?;
        migrations.apply_on(&mut inside).await?;
        inside.execute(clock::INSTALL).await?;
        inside.close().await?;
        let rename = format!(r#"ALTER DATABASE "{draft}" RENAME TO "{name}""#);
        connection.execute(AssertSqlSafe(rename)).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await?;
    Ok(name)
}

/// Drops the databases of test processes that are gone.
async fn drop_orphans(connection: &mut PgConnection) -> Result<(), Error> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname FROM pg_database WHERE starts_with(datname, $1)")
            .bind(prefix())
            .fetch_all(&mut *connection)
            .await?;
    for name in names.iter().filter(|name| is_orphan(name)) {
        let drop = format!(r#"DROP DATABASE IF EXISTS "{name}" WITH (FORCE)"#);
        connection.execute(AssertSqlSafe(drop)).await?;
    }
    Ok(())
}

/// Is the process that made it gone?
fn is_orphan(name: &str) -> bool {
    let pid = name
        .strip_prefix(&prefix())
        .and_then(|rest| rest.split_once('_')?.0.parse().ok())
        .and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

fn with_database(url: &str, name: &str) -> Result<String, Error> {
    let mut url = Url::parse(url)
        .map_err(|error| Error::configuration("DATABASE_URL is not a URL").with_source(error))?;
    url.set_path(name);
    Ok(url.into())
}
