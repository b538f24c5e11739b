//! The database that `dev` works on.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use std::str::FromStr;
use tokio::runtime;

use twelve_core::Error;

/// Postgres' code for a database that is there already (`duplicate_database`).
const EXISTS: &str = "42P04";

/// Creates the database if it is not there.
pub(super) fn ensure(server: &str, name: &str) -> Result<(), Error> {
    match execute(server, &[format!(r#"CREATE DATABASE "{name}""#)]) {
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == EXISTS) => {
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Drops the database and creates it anew.
pub(super) fn recreate(server: &str, name: &str) -> Result<(), Error> {
    let drop = format!(r#"DROP DATABASE IF EXISTS "{name}" WITH (FORCE)"#);
    let create = format!(r#"CREATE DATABASE "{name}""#);
    Ok(execute(server, &[drop, create])?)
}

/// Forgets everything that is in the private Redis' first database.
#[cfg(feature = "redis")]
pub(super) fn flush_redis(url: &str) -> Result<(), Error> {
    let failed =
        |error| Error::unavailable("the private Redis cannot be emptied").with_source(error);
    let mut connection = twelve_core::redis::Client::open(url)
        .and_then(|client| client.get_connection())
        .map_err(failed)?;
    twelve_core::redis::cmd("FLUSHDB")
        .exec(&mut connection)
        .map_err(failed)
}

fn execute(server: &str, statements: &[String]) -> Result<(), sqlx::Error> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = PgConnectOptions::from_str(server)?.disable_statement_logging();
        let mut connection = options.connect().await?;
        for statement in statements {
            // The names in them are our own: letters, digits and underscores.
            connection.execute(AssertSqlSafe(statement.clone())).await?;
        }
        connection.close().await
    })
}
