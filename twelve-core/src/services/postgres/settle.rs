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

/// How long a closed connection keeps its place: Postgres ends its statement when it checks for the client, and only then may another one run.
const NOTICE: Duration = CHECK;

/// How long a server may take to say whether it takes writes.
const ROLE: Duration = Duration::from_millis(500);

/// A standby is read-only, and so is a server with `default_transaction_read_only`.
const IS_READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool";

/// Ends a transaction, if one is open; in one that has failed it fails.
///
/// ROLLBACK alone would be a warning in Postgres' log each time that none is.
const END: &str = "BEGIN; ROLLBACK";

/// The same, and brings the statement timeout back: in a transaction that is undone, that would be undone too.
const END_AND_RESET: &str = "BEGIN; ROLLBACK; RESET statement_timeout";

/// A connection that was dropped while an answer was pending, or a transaction open.
///
/// It is no `CheckedOut`: a runtime that shuts down drops this task, and that drop must not start another one.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct Settling {
    pub(super) task: Task,
    pub(super) pool: Pool,
    pub(super) member: Member,
    pub(super) has_begun: bool,
    pub(super) is_unlimited: bool,
    pub(super) may_be_open: bool,
    pub(super) is_unknown: bool,
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// How it ended.
enum Settled {
    /// It can be released to the pool.
    Ready,
    /// It answers, but another connection is safer; or it was lost.
    Useless,
    /// The answer is still pending.
    Pending,
}

impl Settling {
    pub(super) async fn settle(mut self, limit: Duration) {
        let pool = self.pool.clone();
        let settled = tokio::select! {
            settled = timeout(limit, self.end()) => settled.unwrap_or(Settled::Pending),
            // The server was unreachable and is back, or another one took over: this connection is from before.
            () = pool.recovered() => Settled::Useless,
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
                return pool.release(member);
            }
            Settled::Useless => drop(member),
            Settled::Pending => {
                drop(member);
                // Without this, Postgres would run more statements than the pool has places.
                let _ = timeout(NOTICE, pool.recovered()).await;
            }
        }
        task.done();
        pool.free();
    }

    /// Waits for the pending answer, and ends the transaction.
    ///
    /// A good connection is kept: clients that cancel their requests must not make Postgres open a new connection for each.
    async fn end(&mut self) -> Settled {
        let connection = &mut self.member.connection;
        if !drain(connection).await {
            return Settled::Useless;
        }
        // As in `CheckedOut::rollback`: has a statement on the raw connection failed?
        let is_whole =
            !self.has_begun || !self.is_unknown || connection.execute("SELECT 1").await.is_ok();
        let was_known = roll_back(connection);
        let ended = if !is_whole {
            ask_role(&self.pool, connection).await;
            return Settled::Useless;
        } else if self.has_begun && !was_known {
            // sqlx does not know of a transaction whose BEGIN was cut off.
            connection.execute("ROLLBACK").await.map(drop)
        } else if self.may_be_open {
            let end = if self.is_unlimited {
                END_AND_RESET
            } else {
                END
            };
            connection.execute(end).await.map(drop)
        } else if was_known {
            connection.ping().await
        } else {
            Ok(())
        };
        ended.map_or(Settled::Useless, |()| Settled::Ready)
    }
}

/// Is this server read-only? `None` if it does not answer.
pub(super) async fn ask_role(pool: &Pool, connection: &mut PgConnection) -> Option<bool> {
    let asked = sqlx::query_scalar(IS_READ_ONLY).fetch_one(connection);
    let is_read_only = timeout(ROLE, asked).await.ok()?.ok()?;
    if is_read_only {
        pool.found_read_only();
    }
    Some(is_read_only)
}

/// Queues the rollback of the transaction and of its savepoints. Returns whether one was open.
pub(super) fn roll_back(connection: &mut PgConnection) -> bool {
    let is_open = PgTransactionManager::get_transaction_depth(connection) > 0;
    while PgTransactionManager::get_transaction_depth(connection) > 0 {
        PgTransactionManager::start_rollback(connection);
    }
    is_open
}

/// Reads every pending answer, errors included. Returns whether the connection is still alive.
async fn drain(connection: &mut PgConnection) -> bool {
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
