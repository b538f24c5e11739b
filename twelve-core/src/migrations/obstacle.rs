//! What a release is refused for, each with the way out.
//!
//! The rules of the history are those of sqlx's `Migrator::run_direct`; the others keep Postgres from failing half-way.

use sqlx::{
    AssertSqlSafe, PgConnection,
    migrate::{Migration, Migrator},
};

use super::{
    Step,
    statement::{ConcurrentIndex, Statement, Strings, split},
};
use crate::error::Error;

/// What becomes of a statement that Postgres runs in no transaction.
pub(super) const ALONE: &str = "Postgres runs this statement neither in a transaction nor beside other statements; make it the only one of a migration whose file begins, from its first byte, with `-- no-transaction`";

/// The way out of a history that is not ours, where its rows are worth nothing.
const AFRESH: &str = "in development, `dev --fresh` begins with an empty database";

/// Is there an index of this name on the table's schema, and is it valid? One that is just being built is left out.
const INDEX: &str = "
SELECT indisvalid FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_class AS named ON named.oid = to_regclass($2)
WHERE index.relname = $1 AND index.relnamespace = named.relnamespace
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)";

/// A row of a history.
pub(super) struct Applied {
    pub(super) version: i64,
    description: String,
    checksum: Vec<u8>,
    success: bool,
}

/// What a history holds.
pub(super) async fn applied(
    connection: &mut PgConnection,
    history: &str,
) -> Result<Vec<Applied>, Error> {
    // The name is the one that the history was created by a moment ago.
    let sql =
        format!("SELECT version, description, checksum, success FROM {history} ORDER BY version");
    let rows: Vec<(i64, String, Vec<u8>, bool)> = sqlx::query_as(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?;
    let applied = |(version, description, checksum, success)| Applied {
        version,
        description,
        checksum,
        success,
    };
    Ok(rows.into_iter().map(applied).collect())
}

/// What a migration is called in a sentence.
pub(super) fn name(owner: &str, migration: &Migration) -> String {
    named(owner, migration.version, &migration.description)
}

fn named(owner: &str, version: i64, description: &str) -> String {
    let whose = if owner == "app" {
        "the app's"
    } else {
        "twelve's"
    };
    format!("{whose} migration {version} ({description})")
}

/// Where the binary and the history disagree.
pub(super) fn in_history(owner: &str, migrator: &Migrator, applied: &[Applied]) -> Vec<String> {
    let migrations = || {
        let all = migrator.iter();
        all.filter(|migration| !migration.migration_type.is_down_migration())
    };
    let mut refusals = Vec::new();
    for done in applied {
        let name = named(owner, done.version, &done.description);
        if !done.success {
            let (history, version) = (&migrator.table_name, done.version);
            refusals.push(format!(
                "{name} is recorded as applied in part; finish or undo it by hand, then set `success` to true in {history}, or delete the row where version = {version}"
            ));
        }
        let same = |migration: &&Migration| migration.version == done.version;
        match migrations().find(same) {
            Some(migration) if migration.checksum != done.checksum => {
                refusals.push(format!("{name} {}", changed(migration, &done.checksum)));
            }
            None if !migrator.ignore_missing => refusals.push(format!(
                "{name} was applied, and this binary does not have it: it is older than the database, or of another branch; release one that has it ({AFRESH})"
            )),
            _ => {}
        }
    }
    let twins = migrations().zip(migrations().skip(1));
    let twins = twins.filter(|(one, other)| one.version == other.version);
    refusals.extend(twins.map(|(one, other)| {
        format!(
            "{} and {} have the same version; rename the file of the newer one",
            name(owner, one),
            name(owner, other),
        )
    }));
    refusals
}

/// How the migration differs from the one that was applied, and what to do.
fn changed(migration: &Migration, applied: &[u8]) -> String {
    let unix = migration.sql.as_str().replace("\r\n", "\n");
    let windows = unix.replace('\n', "\r\n");
    for (sql, before, git) in [(unix, "LF", "lf"), (windows, "CRLF", "crlf")] {
        if checksum(sql) == applied {
            return format!(
                "was applied with {before} at the end of its lines, and is now built with other line endings; add the line `*.sql text eol={git}` to .gitattributes, check the file out again and build again"
            );
        }
    }
    format!(
        "was changed after it was applied; put its file back as it was, and write the change as a new migration ({AFRESH})"
    )
}

/// The checksum that sqlx records for this text.
fn checksum(sql: String) -> Vec<u8> {
    use sqlx::{SqlSafeStr, migrate::MigrationType};
    let sql = AssertSqlSafe(sql).into_sql_str();
    let migration = Migration::new(0, "".into(), MigrationType::Simple, sql, false);
    migration.checksum.into_owned()
}

/// Statements that would fail, or be recorded although they did nothing.
pub(super) async fn in_statements(
    connection: &mut PgConnection,
    steps: &[Step<'_>],
) -> Result<Vec<String>, Error> {
    let strings = strings(connection).await?;
    let mut refusals = Vec::new();
    let mut before: Vec<Statement<'_>> = Vec::new();
    for step in steps {
        let name = name(step.owner, step.migration);
        let statements = split(step.migration.sql.as_str(), strings);
        let alone = step.migration.no_tx && statements.len() == 1;
        for statement in &statements {
            if let Some(kind) = statement.without_transaction()
                && !alone
            {
                refusals.push(format!("{name} has {kind}: {ALONE}"));
                break;
            }
            if let Some(index) = statement.concurrent_index()
                && !before.iter().any(|earlier| earlier.may_remove(&index.name))
                && let Some(problem) = left_over(connection, &index).await?
            {
                refusals.push(format!("{name} {problem}"));
            }
        }
        before.extend(statements);
    }
    Ok(refusals)
}

/// What an earlier release has left of this index, when it was ended between the statement and its record.
async fn left_over(
    connection: &mut PgConnection,
    index: &ConcurrentIndex<'_>,
) -> Result<Option<String>, Error> {
    let valid: Option<bool> = sqlx::query_scalar(INDEX)
        .bind(&index.name)
        .bind(index.table)
        .fetch_optional(connection)
        .await?;
    let name = &index.name;
    Ok(match valid {
        // With IF NOT EXISTS, Postgres would take it for the index that was asked for.
        Some(false) => Some(format!(
            "would build the index {name}, of which a release that failed or was ended has left an INVALID one; run `DROP INDEX CONCURRENTLY {name}` and release again"
        )),
        Some(true) if !index.if_not_exists => Some(format!(
            "would build the index {name}, which is there already, perhaps by a release that was ended before it could record it; write IF NOT EXISTS into the migration, which is not recorded yet, or drop the index"
        )),
        _ => None,
    })
}

async fn strings(connection: &mut PgConnection) -> Result<Strings, Error> {
    let standard: bool =
        sqlx::query_scalar("SELECT current_setting('standard_conforming_strings')::bool")
            .fetch_one(connection)
            .await?;
    Ok(if standard {
        Strings::Standard
    } else {
        Strings::Escaped
    })
}
