//! Migrations: twelve's own tables and the app's, each with a history of its own.
//!
//! Ours live in the schema `twelve`, so they never meet the app's `_sqlx_migrations`.
//!
//! ```text
//! release: lock ─► examine ─► refused, or: apply one after the other ─► unlock
//! plan:    BEGIN ─► examine ─► ROLLBACK
//! ```
//!
//! `examine` alone decides what is pending and what is refused, so a plan cannot promise what a release does not do.

mod lock;
mod obstacle;
mod statement;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};
use std::{borrow::Cow, sync::Arc};

use crate::{
    error::{Error, sqlstate},
    services::postgres::Db,
};

/// The schema that holds twelve's own tables.
const SCHEMA: &str = "twelve";

/// The history of twelve's own migrations.
const HISTORY: &str = "twelve.migrations";

/// The oldest Postgres that twelve is tested with, as `server_version_num` has it.
const OLDEST: i32 = 140_000;

/// A release that is killed leaves its statement running, and with it the lock, until that ends by itself; with this, Postgres looks whether the release is still there.
const NOTICE_OUR_DEATH: &str = "SET client_connection_check_interval = '1s'";

/// What `release` has to bring a database to.
#[derive(Debug)]
pub struct Migrations {
    ours: Migrator,
    app: Option<Arc<Migrator>>,
}

/// A migration that the database does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Whose it is: `twelve` or `app`.
    pub owner: &'static str,
    /// Its version.
    pub version: i64,
    /// What it is for.
    pub description: String,
    /// What it runs.
    pub sql: String,
}

/// What a release would do, and what it would be refused for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// What is missing, in the order in which it is applied.
    pub pending: Vec<Pending>,
    refusals: Vec<String>,
}

impl Plan {
    /// # Errors
    ///
    /// The one that a release would end with before it changes anything.
    pub fn check(&self) -> Result<(), Error> {
        refuse(&self.refusals)
    }
}

/// What `examine` has found.
struct Findings<'m> {
    steps: Vec<Step<'m>>,
    refusals: Vec<String>,
}

/// A migration, and the history that it belongs to.
#[derive(Clone, Copy)]
struct Step<'m> {
    owner: &'static str,
    history: &'m str,
    migration: &'m Migration,
}

/// One of twelve's own migrations.
#[must_use]
pub fn migration(version: i64, description: &'static str, sql: &'static str) -> Migration {
    let sql = AssertSqlSafe(sql.to_owned());
    Migration::new(
        version,
        Cow::Borrowed(description),
        MigrationType::Simple,
        sqlx::SqlSafeStr::into_sql_str(sql),
        false,
    )
}

impl Migrations {
    /// Twelve's own migrations, and the app's if it has any.
    #[must_use]
    pub fn new(ours: Vec<Migration>, app: Option<Arc<Migrator>>) -> Self {
        let mut ours = Migrator::with_migrations(ours);
        ours.dangerous_set_table_name(HISTORY);
        ours.create_schema(SCHEMA);
        // A newer release may have run already: this binary works on its schema too.
        ours.set_ignore_missing(true);
        Self { ours, app }
    }

    /// Applies what is missing, and tells what that was.
    ///
    /// Two releases at once are safe: the second waits for the first, then finds nothing to do.
    ///
    /// # Errors
    ///
    /// Postgres cannot be reached or is older than 14, a statement failed, or the database's history is not that of these migrations.
    pub async fn apply(&self, db: &Db) -> Result<Vec<Pending>, Error> {
        let direct = db.direct();
        let (mut connection, _) = direct.connect().await?;
        self.apply_on(&mut connection).await
    }

    /// The same, on this connection.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub async fn apply_on(&self, connection: &mut PgConnection) -> Result<Vec<Pending>, Error> {
        // A server on a system that cannot tell refuses it.
        let _ = sqlx::query(NOTICE_OUR_DEATH)
            .execute(&mut *connection)
            .await;
        let lock = lock::wait(connection).await?;
        let applied = self.apply_locked(connection).await;
        // In every case: it belongs to the session, which may go on.
        let unlocked = lock::free(connection, lock).await;
        let applied = applied?;
        unlocked?;
        Ok(applied)
    }

    async fn apply_locked(&self, connection: &mut PgConnection) -> Result<Vec<Pending>, Error> {
        let Findings { steps, refusals } = self.examine(connection).await?;
        refuse(&refusals)?;
        for step in &steps {
            let applied = connection.apply(step.history, step.migration).await;
            applied.map_err(|error| step.failed(error))?;
            let (version, description) = (step.migration.version, &*step.migration.description);
            tracing::info!(owner = step.owner, version, description, "applied");
        }
        Ok(steps.iter().map(Step::pending).collect())
    }

    /// What a release would do now; nothing is changed.
    ///
    /// # Errors
    ///
    /// Postgres cannot be reached or is older than 14, or a release could not even read or begin its history.
    pub async fn plan(&self, db: &Db) -> Result<Plan, Error> {
        let direct = db.direct();
        let (mut connection, _) = direct.connect().await?;
        let mut transaction = connection.begin().await?;
        let Findings { steps, refusals } = self.examine(&mut transaction).await?;
        transaction.rollback().await?;
        Ok(Plan {
            pending: steps.iter().map(Step::pending).collect(),
            refusals,
        })
    }

    /// What is pending, and what is refused; both histories exist afterwards.
    async fn examine(&self, connection: &mut PgConnection) -> Result<Findings<'_>, Error> {
        expect_supported(connection).await?;
        let (mut steps, mut refusals) = (Vec::new(), Vec::new());
        for (owner, migrator) in ["twelve", "app"].into_iter().zip(self.migrators()) {
            let history = &*migrator.table_name;
            for schema in migrator.create_schemas.iter() {
                let created = connection.create_schema_if_not_exists(schema).await;
                created.map_err(failed)?;
            }
            let created = connection.ensure_migrations_table(history).await;
            created.map_err(failed)?;
            let applied = obstacle::applied(connection, history).await?;
            refusals.extend(obstacle::in_history(owner, migrator, &applied));
            let migrations = migrator.iter();
            let missing = migrations
                .filter(|migration| !migration.migration_type.is_down_migration())
                .filter(|migration| applied.iter().all(|done| done.version != migration.version));
            steps.extend(missing.map(|migration| Step {
                owner,
                history,
                migration,
            }));
        }
        refusals.extend(obstacle::in_statements(connection, &steps).await?);
        Ok(Findings { steps, refusals })
    }

    /// The checksums of all migrations: they tell one state of the schema from another.
    pub fn checksums(&self) -> impl Iterator<Item = &[u8]> {
        self.migrators()
            .flat_map(|migrator| migrator.iter().map(|migration| &*migration.checksum))
    }

    fn migrators(&self) -> impl Iterator<Item = &Migrator> {
        std::iter::once(&self.ours).chain(self.app.as_deref())
    }
}

impl Step<'_> {
    fn pending(&self) -> Pending {
        Pending {
            owner: self.owner,
            version: self.migration.version,
            description: self.migration.description.to_string(),
            sql: self.migration.sql.as_str().to_owned(),
        }
    }

    fn failed(&self, error: MigrateError) -> Error {
        let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error
        else {
            return failed(error);
        };
        let name = obstacle::name(self.owner, self.migration);
        let message = if sqlstate(&error).is_some_and(|code| code == "25001") {
            // Postgres' `active_sql_transaction`.
            format!("{name} failed: {}", obstacle::ALONE)
        } else if self.migration.no_tx {
            format!(
                "{name} failed, and no transaction undoes what it has done: see what is there (an index that is INVALID has to be dropped), then release again"
            )
        } else {
            format!("{name} failed, and was rolled back")
        };
        Error::from(error).context(message)
    }
}

fn refuse(refusals: &[String]) -> Result<(), Error> {
    if refusals.is_empty() {
        return Ok(());
    }
    let list = refusals.join("\n  ");
    Err(Error::internal(format!("nothing was applied:\n  {list}")))
}

async fn expect_supported(connection: &mut PgConnection) -> Result<(), Error> {
    let (number, version): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(connection)
    .await?;
    if number >= OLDEST {
        return Ok(());
    }
    let oldest = OLDEST / 10_000;
    Err(Error::configuration(format!(
        "the server is Postgres {version}, and twelve needs {oldest} or newer: upgrade it, or set DATABASE_URL to another"
    )))
}

fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => {
            Error::from(error).context("the history of migrations cannot be kept")
        }
        other => Error::internal("a migration failed").with_source(other),
    }
}
