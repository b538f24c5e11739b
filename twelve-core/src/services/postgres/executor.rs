//! `&Db`, `&mut Tx` and their like as sqlx executors: `sqlx::query("…").execute(&mut tx)`.
//!
//! A statement that certainly has not taken effect, because its connection was outdated or lost, is run once more on another one, where it stands for itself.

use futures_util::{
    future::BoxFuture,
    stream::{BoxStream, TryStreamExt},
};
use sqlx::{
    Execute, Executor, Postgres, SqlStr,
    postgres::{PgRow, PgStatement, PgTypeInfo},
};

use super::{
    Db, DbConnection, DbTransaction, Tx,
    checked_out::{CheckedOut, outdated},
    fault::Fault,
    statement::{Statement, Step},
};
use crate::error::Error;

type Description = sqlx::Describe<Postgres>;

/// Where a statement runs.
trait Place: Send {
    /// The connection that it runs on.
    fn checked_out(&mut self) -> impl Future<Output = Result<&mut CheckedOut, Error>> + Send;

    /// # Errors
    ///
    /// The statement does not belong here.
    fn admit(&self, _: &Statement) -> Result<(), Error> {
        Ok(())
    }

    /// Takes another connection, unless that would lose earlier statements. Returns whether it did.
    fn start_over(&mut self) -> bool {
        false
    }
}

/// A connection for one statement.
struct Alone {
    db: Db,
    connection: Option<CheckedOut>,
}

impl Alone {
    fn on(db: &Db) -> Self {
        Self {
            db: db.clone(),
            connection: None,
        }
    }
}

impl Place for Alone {
    fn admit(&self, statement: &Statement) -> Result<(), Error> {
        statement.belongs_to_a_connection().map_or(Ok(()), Err)
    }

    async fn checked_out(&mut self) -> Result<&mut CheckedOut, Error> {
        Ok(self.connection.insert(self.db.check_out().await?))
    }

    fn start_over(&mut self) -> bool {
        self.connection = None;
        true
    }
}

/// A transaction, which may begin with this statement.
struct InTx<'c> {
    is_first: bool,
    tx: &'c mut Tx,
}

impl<'c> InTx<'c> {
    fn of(tx: &'c mut Tx) -> Self {
        Self {
            is_first: !tx.has_begun(),
            tx,
        }
    }
}

impl Place for InTx<'_> {
    async fn checked_out(&mut self) -> Result<&mut CheckedOut, Error> {
        self.tx.checked_out().await
    }

    fn start_over(&mut self) -> bool {
        if self.is_first {
            self.tx.abandon();
        }
        self.is_first
    }
}

impl Place for &mut DbConnection {
    async fn checked_out(&mut self) -> Result<&mut CheckedOut, Error> {
        Ok(DbConnection::checked_out(self))
    }
}

impl Place for &mut DbTransaction {
    async fn checked_out(&mut self) -> Result<&mut CheckedOut, Error> {
        Ok(DbTransaction::checked_out(self))
    }
}

fn many<'e>(
    mut place: impl Place + 'e,
    statement: Result<Statement, sqlx::Error>,
) -> BoxStream<'e, Step> {
    Box::pin(async_stream::try_stream! {
        let statement = statement?;
        place.admit(&statement)?;
        let mut may_repeat = true;
        loop {
            let mut steps = place.checked_out().await?.stream(statement.clone());
            let end = loop {
                match steps.try_next().await {
                    Ok(Some(step)) => {
                        may_repeat = false;
                        yield step;
                    }
                    Ok(None) => return,
                    Err(error) => break error,
                }
            };
            drop(steps);
            let may_repeat = std::mem::take(&mut may_repeat) && statement.is_repeatable_after(&end);
            if !may_repeat || !place.start_over() {
                Err(in_our_words(end))?;
            }
        }
    })
}

fn optional<'e>(
    mut place: impl Place + 'e,
    statement: Result<Statement, sqlx::Error>,
) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>> {
    Box::pin(async move {
        let statement = statement?;
        place.admit(&statement)?;
        let first = place
            .checked_out()
            .await?
            .fetch_optional(statement.clone())
            .await;
        let answer = match first {
            Err(error) if statement.is_repeatable_after(&error) && place.start_over() => {
                place.checked_out().await?.fetch_optional(statement).await
            }
            answer => answer,
        };
        answer.map_err(in_our_words)
    })
}

/// A connection that is outdated is no mistake of the statement's.
fn in_our_words(error: sqlx::Error) -> sqlx::Error {
    if Fault::of(&error).is_outdated() {
        outdated().with_source(error).into()
    } else {
        error
    }
}

/// Statements run at a place; the other methods of an executor need the raw connection.
macro_rules! executor_on {
    ($type:ty, |$this:ident| $place:expr, $connection:expr) => {
        impl<'c> Executor<'c> for $type {
            type Database = Postgres;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let $this = self;
                many($place, Statement::of(query))
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                let $this = self;
                optional($place, Statement::of(query))
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [PgTypeInfo],
            ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let $this = self;
                    $connection.prepare_with(sql, parameters).await
                })
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Description, sqlx::Error>>
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let $this = self;
                    $connection.describe(sql).await
                })
            }
        }
    };
}

executor_on!(&'c Db, |db| Alone::on(db), db.check_out().await?.raw()?);
executor_on!(
    &'c mut Tx,
    |tx| InTx::of(tx),
    tx.checked_out().await?.raw()?
);
executor_on!(&'c mut DbConnection, |own| own, own.checked_out().raw()?);
executor_on!(&'c mut DbTransaction, |own| own, own.checked_out().raw()?);
