//! Migrations: twelve's own tables and the app's, each with a history of its own.
//!
//! Ours live in the schema `twelve`, so they never meet the app's `_sqlx_migrations`.

use sqlx::{
    AssertSqlSafe, PgConnection,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};
use std::{borrow::Cow, sync::Arc};

use crate::{Db, Error};

/// The schema that holds twelve's own tables.
const SCHEMA: &str = "twelve";

/// The history of twelve's own migrations.
const HISTORY: &str = "twelve.migrations";

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
    /// Postgres cannot be reached, a statement failed, or an applied migration was edited afterwards.
    pub async fn apply(&self, db: &Db) -> Result<Vec<Pending>, Error> {
        // Of its own: sqlx's lock belongs to the session, which must end with a failure.
        let direct = db.direct();
        let (mut connection, _) = direct.connect().await?;
        let pending = self.pending_on(&mut connection).await?;
        for migrator in self.migrators() {
            if let Err(error) = migrator.run_direct(None, &mut connection, false).await {
                return Err(failed(error));
            }
        }
        Ok(pending)
    }

    /// What is missing.
    ///
    /// # Errors
    ///
    /// Postgres cannot be reached.
    pub async fn pending(&self, db: &Db) -> Result<Vec<Pending>, Error> {
        let mut connection = db.acquire().await?;
        self.pending_on(&mut connection).await
    }

    async fn pending_on(&self, connection: &mut PgConnection) -> Result<Vec<Pending>, Error> {
        let mut pending = Vec::new();
        for (owner, migrator) in ["twelve", "app"].into_iter().zip(self.migrators()) {
            let history = &migrator.table_name;
            let known: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(&**history)
                .fetch_one(&mut *connection)
                .await?;
            let applied = if known {
                connection
                    .list_applied_migrations(history)
                    .await
                    .map_err(failed)?
            } else {
                Vec::new()
            };
            pending.extend(
                migrator
                    .iter()
                    .filter(|migration| !migration.migration_type.is_down_migration())
                    .filter(|migration| {
                        applied.iter().all(|done| done.version != migration.version)
                    })
                    .map(|migration| Pending {
                        owner,
                        version: migration.version,
                        description: migration.description.to_string(),
                        sql: migration.sql.as_str().to_owned(),
                    }),
            );
        }
        Ok(pending)
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

fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => Error::from(error).in_the_way_of("a migration failed"),
        MigrateError::ExecuteMigration(error, version) => {
            Error::from(error).in_the_way_of(format!("the migration {version} failed"))
        }
        other => Error::internal("a migration failed").because(other),
    }
}
