//! What becomes of a connection that is dropped before it is ready for the next one.

use sqlx::{Connection, Executor, PgConnection, postgres::PgTransactionManager};
use sqlx_core::transaction::TransactionManager;
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    background::Task,
    fault::Fault,
    pool::{Member, Pool},
    session::CHECK,
};

/// How long the place of such a connection stays taken once it is closed: Postgres ends the statement when it looks for us, and only then is there room for another.
const NOTICE: Duration = CHECK;

/// How long a server may take to say whether it takes writes.
const ROLE: Duration = Duration::from_millis(500);

/// A standby takes no writes, nor does a server that was told so.
const IS_READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool";

/// A connection that nobody has any more, and that is not ready for the next.
///
/// It is no lease: a runtime that is shutting down drops the task, and that must not begin another one.
pub(super) struct Settling {
    pub(super) task: Task,
    pub(super) pool: Pool,
    pub(super) member: Member,
    pub(super) has_begun: bool,
    pub(super) is_unlimited: bool,
    pub(super) is_unheard: bool,
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// What became of it.
enum Settled {
    /// The next one may have it.
    Ready,
    /// It answers, but another connection is safer; or it was lost.
    Useless,
    /// An answer is still to come.
    Owed,
}

impl Settling {
    pub(super) async fn settle(mut self, limit: Duration) {
        let pool = self.pool.clone();
        let settled = tokio::select! {
            settled = timeout(limit, self.end()) => settled.unwrap_or(Settled::Owed),
            // The server had gone silent and is back, or another one is: this is one of the old connections.
            () = pool.back() => Settled::Useless,
        };
        let Self {
            task,
            member,
            _permit,
            ..
        } = self;
        match settled {
            Settled::Ready => {
                task.done();
                return pool.give_back(member);
            }
            Settled::Useless => drop(member),
            Settled::Owed => {
                drop(member);
                // Else there would be more statements in Postgres than the pool has places.
                let _ = timeout(NOTICE, pool.back()).await;
            }
        }
        task.done();
        pool.free();
    }

    /// Waits for what is outstanding, and ends the transaction.
    ///
    /// A connection that is still good is kept: clients that take their requests back must not make Postgres open one for each.
    async fn end(&mut self) -> Settled {
        let connection = &mut self.member.connection;
        if !quiet(connection).await {
            return Settled::Useless;
        }
        // As in `Lease::rollback`: has what somebody else has asked failed?
        let is_whole =
            !self.has_begun || !self.is_unheard || connection.execute("SELECT 1").await.is_ok();
        let was_known = roll_back(connection);
        let ended = if !is_whole {
            ask_role(&self.pool, connection).await;
            return Settled::Useless;
        } else if self.has_begun && !was_known {
            // sqlx does not know of a transaction whose BEGIN was cut off.
            connection.execute("ROLLBACK").await.map(drop)
        } else if self.is_unlimited && !self.has_begun {
            let reset = connection.execute("RESET statement_timeout");
            reset.await.map(drop)
        } else if was_known {
            connection.ping().await
        } else {
            Ok(())
        };
        ended.map_or(Settled::Useless, |()| Settled::Ready)
    }
}

/// Does this server take no writes? Nothing if it does not say.
pub(super) async fn ask_role(pool: &Pool, connection: &mut PgConnection) -> Option<bool> {
    let asked = sqlx::query_scalar(IS_READ_ONLY).fetch_one(connection);
    let is_read_only = timeout(ROLE, asked).await.ok()?.ok()?;
    if is_read_only {
        pool.found_read_only();
    }
    Some(is_read_only)
}

/// Queues what ends the transaction, whatever savepoints are in it. Tells whether there was one.
pub(super) fn roll_back(connection: &mut PgConnection) -> bool {
    let is_open = PgTransactionManager::get_transaction_depth(connection) > 0;
    while PgTransactionManager::get_transaction_depth(connection) > 0 {
        PgTransactionManager::start_rollback(connection);
    }
    is_open
}

/// Awaits every answer that is outstanding; errors are answers too. Tells whether the connection is still there.
async fn quiet(connection: &mut PgConnection) -> bool {
    loop {
        match connection.ping().await {
            Ok(()) => return true,
            Err(error)
                if error.as_database_error().is_none() || Fault::of(&error) == Fault::Lost =>
            {
                return false;
            }
            Err(_) => {}
        }
    }
}
