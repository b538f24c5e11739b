//! A connection that is checked out of the pool, and what becomes of it.
//!
//! ```text
//! idle ─────────────────────────► released to the pool
//! answer pending ─► settled ────► released to the pool
//! lost, or no answer in time ───► closed; its place is free once Postgres has noticed
//! ```

use futures_util::stream::{BoxStream, TryStreamExt};
use sqlx::{Connection, Executor, PgConnection, postgres::PgRow, postgres::PgTransactionManager};
use sqlx_core::transaction::TransactionManager;
use std::time::Duration;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    background::in_background,
    fault::Fault,
    pool::{Granted, Member, Pool},
    session::begin_with,
    settle::{Settling, ask_role, roll_back},
    statement::{Statement, Step},
};
use crate::error::{Error, sqlstate};

/// How much longer than the statement timeout we wait for the answer.
///
/// When Postgres reports its own timeout, the statement certainly had no effect; a deadline of ours leaves that open.
const SLACK: Duration = Duration::from_millis(250);

/// How much longer than the statement timeout the pool waits for a pending answer, before it closes the connection.
const GRACE: Duration = Duration::from_millis(500);

/// How long the answer to a client is delayed by a rollback, at most.
const ROLLBACK: Duration = Duration::from_secs(1);

/// The code of every statement in a transaction that has failed: `in_failed_sql_transaction`.
const ABORTED: &str = "25P02";

/// A connection that is checked out of the pool.
///
/// It knows whether an answer is pending, because a deadline or a dropped handler has cut a statement off.
/// Such a connection keeps its place in the pool until the answer has come, but no longer than the statement timeout and 1 s; half a second before that it is closed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct CheckedOut {
    pool: Pool,
    /// `None` once it was discarded.
    member: Option<Member>,
    /// Why it was discarded.
    discarded: Option<Error>,
    /// How long we wait for one answer.
    answer_timeout: Duration,
    /// How long the pool waits for a pending answer after this was dropped.
    settle_limit: Duration,
    /// Limits how many transactions are open: it is returned when this one has ended.
    permit: Option<OwnedSemaphorePermit>,
    state: State,
    /// Is a transaction of ours open on it, or about to be?
    has_begun: bool,
    /// May statements on it take as long as they like?
    is_unlimited: bool,
    /// May there be a savepoint in the transaction?
    has_savepoint: bool,
    /// May its owner have begun a transaction on it in words of their own? sqlx does not know of that.
    may_be_open: bool,
    statements: Statements,
    /// Is the running statement sent as text? Such a text may hold several statements, and a transaction of its own.
    is_text: bool,
}

/// What is known of the earlier statements of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Statements {
    /// All have succeeded.
    Succeeded,
    /// One has failed.
    Failed,
    /// The raw connection was handed out, and its errors are not seen here.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every statement was answered.
    Idle,
    /// An answer may be pending.
    Pending,
    /// The raw connection was handed out: its statements were probably answered.
    Borrowed,
    /// The connection is gone.
    Lost,
}

impl CheckedOut {
    pub(super) fn new(mut granted: Granted) -> Self {
        let pool = granted.pool.clone();
        let limit = pool.limit();
        Self {
            pool,
            member: granted.member.take(),
            discarded: None,
            permit: None,
            answer_timeout: limit.saturating_add(SLACK),
            settle_limit: limit.saturating_add(GRACE),
            state: State::Idle,
            has_begun: false,
            is_unlimited: false,
            has_savepoint: false,
            may_be_open: false,
            statements: Statements::Succeeded,
            is_text: false,
        }
    }

    /// For somebody who may run any statement on it.
    pub(super) fn for_its_owner(mut self) -> Self {
        self.may_be_open = true;
        self
    }

    pub(super) fn with_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// The raw connection, to read its properties.
    pub(super) fn peek(&self) -> Option<&PgConnection> {
        self.member.as_ref().map(|member| &member.connection)
    }

    /// Is an answer pending?
    pub(super) fn is_pending(&self) -> bool {
        self.state == State::Pending
    }

    /// Is the connection gone?
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The raw connection, for statements whose results are not seen here.
    ///
    /// # Errors
    ///
    /// The connection was discarded, and with it its transaction.
    pub(super) fn raw(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.note_loan();
        self.current()
    }

    /// The same, even if the connection is lost: then sqlx answers with an error of its own. `None` if it was discarded.
    pub(super) fn raw_anyway(&mut self) -> Option<&mut PgConnection> {
        self.note_loan();
        self.member.as_mut().map(|member| &mut member.connection)
    }

    fn note_loan(&mut self) {
        if self.statements == Statements::Succeeded {
            self.statements = Statements::Unknown;
        }
        if !self.is_lost() {
            self.state = State::Borrowed;
        }
    }

    /// Lifts the statement timeout, until the transaction ends or this is dropped; or until a ROLLBACK TO an older savepoint.
    ///
    /// # Errors
    ///
    /// The connection is lost, or Postgres did not answer.
    pub(super) async fn unlimit(&mut self) -> Result<(), sqlx::Error> {
        let has_limit = self.has_begun || self.member.as_ref().is_some_and(|it| it.is_limited);
        if self.is_unlimited || !has_limit {
            return Ok(());
        }
        // ROLLBACK TO a savepoint that is there already takes it back.
        self.is_unlimited = !self.has_savepoint;
        let unlimit = if self.has_begun {
            "SET LOCAL statement_timeout = 0"
        } else {
            "SET statement_timeout = 0"
        };
        let limit = self.answer_timeout;
        let answer = with_timeout(limit, self.connection()?.execute(unlimit)).await;
        let answer = self.inspect(answer).await.map(drop);
        // A transaction that has failed may still be asked to go back to a savepoint.
        match answer {
            Err(error) if sqlstate(&error).as_deref() == Some(ABORTED) => {
                self.is_unlimited = false;
                Ok(())
            }
            answer => answer,
        }
    }

    /// The raw connection, marked as having an answer pending.
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if !self.is_lost() {
            self.state = State::Pending;
        }
        self.current()
    }

    fn current(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.member {
            // What would be read from a lost connection is unknown.
            Some(member) if self.state != State::Lost => Ok(&mut member.connection),
            _ => {
                let lost = || Error::unavailable("the connection to Postgres is lost");
                Err(self.discarded.clone().unwrap_or_else(lost).into())
            }
        }
    }

    /// Whether the connection answers within this time.
    pub(super) async fn test(&mut self, limit: Duration) -> bool {
        let Ok(connection) = self.connection() else {
            return false;
        };
        let answered = matches!(timeout(limit, connection.ping()).await, Ok(Ok(())));
        self.state = if answered { State::Idle } else { State::Lost };
        answered
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.has_begun = true;
        let limit = self.answer_timeout;
        let is_limited = self.member.as_ref().is_some_and(|it| it.is_limited);
        let words = (!is_limited).then(|| begin_with(self.pool.limit()));
        let begun = PgTransactionManager::begin(self.connection()?, words);
        let begun = with_timeout(limit, begun).await;
        self.inspect(begun).await
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let limit = self.answer_timeout;
        let done = with_timeout(limit, PgTransactionManager::commit(self.connection()?)).await;
        self.has_begun &= done.is_err();
        self.is_unlimited &= done.is_err();
        let done = self.inspect(done).await;
        if done.is_err() {
            // Postgres reports the error before it releases the locks, and a caller may retry at once.
            self.undo().await;
        }
        done
    }

    /// Waits for a rollback, for a second.
    ///
    /// It does not wait while a statement runs: Postgres ends that one by itself, and the connection keeps its place in the pool for that long.
    pub(super) async fn undo(&mut self) {
        if self.is_pending() || self.is_lost() {
            return;
        }
        // A rollback that takes longer goes on in the background. A lost connection has lost its transaction, which is a rollback too.
        if let Ok(Err(error)) = timeout(ROLLBACK, self.rollback()).await {
            tracing::debug!(%error, "a transaction was lost rather than rolled back");
        }
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        if self.statements == Statements::Unknown {
            // Finds out whether a statement on the raw connection has failed.
            let _ = self.check_transaction().await;
        }
        let is_doubtful = self.statements == Statements::Unknown;
        let limit = self.answer_timeout;
        let done = with_timeout(limit, PgTransactionManager::rollback(self.connection()?)).await;
        self.has_begun &= done.is_err();
        self.is_unlimited &= done.is_err();
        self.inspect(done).await?;
        if is_doubtful {
            // Its error was not seen here, so another connection is safer.
            self.ask_role().await;
            self.state = State::Lost;
        }
        Ok(())
    }

    /// Fails in a transaction in which a statement has failed.
    ///
    /// Postgres answers COMMIT in such a transaction with ROLLBACK and no error, so this must come first.
    /// It costs a round trip only after a known failure, or after the raw connection was handed out.
    pub(super) async fn expect_success(&mut self) -> Result<(), Error> {
        if self.state == State::Idle && self.statements == Statements::Succeeded {
            return Ok(());
        }
        self.check_transaction().await.map_err(|error| {
            Error::from(error).context("nothing was committed: a statement had failed")
        })
    }

    async fn check_transaction(&mut self) -> Result<(), sqlx::Error> {
        let limit = self.answer_timeout;
        let answer = with_timeout(limit, self.connection()?.execute("SELECT 1")).await;
        self.inspect(answer).await.map(drop)
    }

    pub(super) async fn fetch_optional(
        &mut self,
        statement: Statement,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let limit = self.answer_timeout;
        self.note(&statement);
        let answer = with_timeout(limit, self.connection()?.fetch_optional(statement)).await;
        self.inspect(answer).await
    }

    /// Streams the answers to a statement; the deadline holds for each.
    pub(super) fn stream(&mut self, statement: Statement) -> BoxStream<'_, Step> {
        Box::pin(async_stream::try_stream! {
            let limit = self.answer_timeout;
            self.note(&statement);
            let mut steps = self.connection()?.fetch_many(statement);
            let end = loop {
                match with_timeout(limit, steps.try_next()).await {
                    Ok(Some(step)) => yield step,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(steps);
            self.inspect(end).await?;
        })
    }

    fn note(&mut self, statement: &Statement) {
        self.is_text = statement.is_text();
        self.has_savepoint |= statement.may_save();
        self.may_be_open |= !self.has_begun && statement.may_leave_open();
    }

    /// Passes an answer on, after learning from it what it says of the connection.
    async fn inspect<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let error = match answer {
            Ok(answer) => {
                self.state = State::Idle;
                // In a transaction no statement succeeds after a failure.
                if self.statements == Statements::Unknown {
                    self.statements = Statements::Succeeded;
                }
                return Ok(answer);
            }
            Err(error) => error,
        };
        match Fault::of(&error) {
            Fault::Statement => {
                self.state = State::Idle;
                if sqlstate(&error).as_deref() != Some(ABORTED) {
                    // So every earlier statement has succeeded.
                    self.statements = Statements::Failed;
                } else if !self.has_begun && !self.may_be_open {
                    // Somebody else's, who has left it open; its owner would end it.
                    self.state = State::Lost;
                }
            }
            Fault::Unanswered => {
                self.pool.suspect();
                // The caller has waited for nearly all of this time already.
                self.settle_limit = GRACE.saturating_sub(SLACK);
            }
            Fault::Lost | Fault::LostBefore => {
                self.state = State::Lost;
                self.pool.suspect();
            }
            Fault::Outdated | Fault::OutdatedInside => {
                self.state = State::Idle;
                if let Some(member) = &self.member {
                    self.pool.outdate(member);
                }
                if self.has_begun {
                    drop(self.discard(outdated()).await);
                }
            }
            Fault::ReadOnly => {
                self.state = State::Idle;
                // With such a `target_session_attrs`, the mistake is the statement's.
                if !self.pool.target().is_for_reading() && self.is_server_read_only().await {
                    return Err(Error::read_only().with_source(error).into());
                }
            }
        }
        Err(error)
    }

    /// Is the server read-only, rather than this transaction?
    async fn is_server_read_only(&mut self) -> bool {
        let is_known = self.pool.is_read_only();
        if !self.has_begun {
            let is_read_only = is_known || self.ask_role().await;
            // A single statement can only have been refused by the server, even if the server takes writes by now.
            return is_read_only || !self.is_text;
        }
        // A failed transaction answers no query, so the connection must leave it first.
        let mut discarded = self.discard(Error::read_only()).await;
        if is_known {
            return true;
        }
        let is_read_only = discarded.ask_role().await;
        if !is_read_only {
            self.discarded = Some(Error::internal("a statement had failed"));
        }
        is_read_only
    }

    /// Takes the connection away from a transaction that has failed, and rolls that back; its later statements fail with this error.
    ///
    /// The rollback is waited for, up to a second: whoever hears the error may try again at once, and must find the locks free.
    async fn discard(&mut self, why: Error) -> Self {
        self.discarded = Some(why);
        let mut discarded = Self {
            pool: self.pool.clone(),
            member: self.member.take(),
            discarded: None,
            permit: self.permit.take(),
            ..*self
        };
        if let Some(member) = &mut discarded.member {
            roll_back(&mut member.connection);
            let rolled_back = timeout(ROLLBACK, member.connection.ping()).await;
            discarded.has_begun = !matches!(rolled_back, Ok(Ok(())));
        }
        discarded
    }

    async fn ask_role(&mut self) -> bool {
        let pool = self.pool.clone();
        let Ok(connection) = self.connection() else {
            return false;
        };
        let answer = ask_role(&pool, connection).await;
        if answer.is_some() {
            self.state = State::Idle;
        }
        answer.unwrap_or(false)
    }
}

impl Drop for CheckedOut {
    fn drop(&mut self) {
        let Some(member) = self.member.take() else {
            return;
        };
        if self.is_lost() {
            drop(member);
            self.pool.free();
        } else if self.state != State::Idle || self.has_begun || self.may_be_open {
            let settling = Settling {
                task: self.pool.settling(),
                pool: self.pool.clone(),
                member,
                has_begun: self.has_begun,
                is_unlimited: self.is_unlimited,
                may_be_open: self.may_be_open,
                is_unknown: self.statements == Statements::Unknown,
                _permit: self.permit.take(),
            };
            in_background(settling.settle(self.settle_limit));
        } else {
            self.pool.release(member);
        }
    }
}

/// The schema has changed under a statement: running the whole again succeeds.
pub(super) fn outdated() -> Error {
    Error::unavailable("a table or a type has changed meanwhile: the same works again")
}

/// Awaits an answer of Postgres, up to a deadline.
async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let message =
            format!("Postgres has not answered for {limit:?}, longer than TWELVE_DATABASE_TIMEOUT");
        Err(Error::unavailable(message).into())
    })
}
