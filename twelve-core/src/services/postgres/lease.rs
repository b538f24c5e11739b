//! A connection on loan from the pool, and what becomes of it.
//!
//! ```text
//! answered ────────────────────────────► back to the pool
//! answer outstanding ─► settled ───────► back to the pool
//! lost, or silent for too long ────────► closed; its place is free when Postgres knows
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

/// How much longer than a statement may take its answer is waited for: what Postgres says of its own timeout is certain, where a deadline of ours leaves open what becomes of the statement.
const SLACK: Duration = Duration::from_millis(250);

/// How much longer it is waited for by nobody but the pool, before the connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How long an answer waits for a rollback.
const ROLLBACK: Duration = Duration::from_secs(1);

/// The code of every statement in a transaction that has failed: `in_failed_sql_transaction`.
const ABORTED: &str = "25P02";

/// A connection on loan.
///
/// It knows whether an answer is still to come: a statement was cut off by its deadline, or by a handler that was dropped.
/// Such a connection keeps its place in the pool until the answer has come, or for as long as a statement may take and 1 s more; half a second before the end it is closed.
pub(super) struct Lease {
    pool: Pool,
    /// Nothing after it was given up.
    member: Option<Member>,
    /// Why it was.
    given_up: Option<Error>,
    /// How long one answer is waited for.
    patience: Duration,
    /// How long what is outstanding is waited for once nobody has the lease any more.
    rest: Duration,
    /// Counts among the transactions that may be open, until this one has ended.
    permit: Option<OwnedSemaphorePermit>,
    state: State,
    /// Is a transaction of ours open on it, or about to be?
    has_begun: bool,
    /// May statements on it take as long as they like?
    is_unlimited: bool,
    past: Past,
    /// Is the statement at work a text, which may hold several, and a transaction of its own?
    is_text: bool,
}

/// What is known of the statements of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// They have succeeded.
    Whole,
    /// One has failed.
    Failed,
    /// The connection was lent, and nobody knows.
    Unheard,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything that was asked was answered.
    Quiet,
    /// An answer may be outstanding.
    Owed,
    /// Somebody else has asked, and probably has the answer.
    Lent,
    /// The connection is gone.
    Lost,
}

impl Lease {
    pub(super) fn new(mut granted: Granted) -> Self {
        let pool = granted.pool.clone();
        let limit = pool.limit();
        Self {
            pool,
            member: granted.member.take(),
            given_up: None,
            permit: None,
            patience: limit.saturating_add(SLACK),
            rest: limit.saturating_add(GRACE),
            state: State::Quiet,
            has_begun: false,
            is_unlimited: false,
            past: Past::Whole,
            is_text: false,
        }
    }

    pub(super) fn with_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// The connection, to be looked at.
    pub(super) fn peek(&self) -> Option<&PgConnection> {
        self.member.as_ref().map(|member| &member.connection)
    }

    /// Is an answer still to come?
    pub(super) fn is_owed(&self) -> bool {
        self.state == State::Owed
    }

    /// Is the connection gone?
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The connection, for statements whose end this lease does not learn of.
    ///
    /// # Errors
    ///
    /// It was given up, with the transaction on it.
    pub(super) fn lend(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.past == Past::Whole {
            self.past = Past::Unheard;
        }
        if !self.is_lost() {
            self.state = State::Lent;
        }
        self.held()
    }

    /// Lets statements on it take as long as they like, up to the end of the transaction, or of this lease.
    ///
    /// # Errors
    ///
    /// The connection is lost, or Postgres did not answer.
    pub(super) async fn unlimit(&mut self) -> Result<(), sqlx::Error> {
        let has_limit = self.has_begun || self.member.as_ref().is_some_and(|it| it.is_limited);
        if self.is_unlimited || !has_limit {
            return Ok(());
        }
        self.is_unlimited = true;
        let unlimit = if self.has_begun {
            "SET LOCAL statement_timeout = 0"
        } else {
            "SET statement_timeout = 0"
        };
        let patience = self.patience;
        let answer = within(patience, self.connection()?.execute(unlimit)).await;
        let answer = self.hear(answer).await.map(drop);
        // A transaction that has failed may still be asked to go back to a savepoint.
        match answer {
            Err(error) if sqlstate(&error).as_deref() == Some(ABORTED) => {
                self.is_unlimited = false;
                Ok(())
            }
            answer => answer,
        }
    }

    /// The connection, with an answer to come.
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if !self.is_lost() {
            self.state = State::Owed;
        }
        self.held()
    }

    fn held(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.member {
            // Nobody knows what would be read from one that is lost.
            Some(member) if self.state != State::Lost => Ok(&mut member.connection),
            _ => {
                let lost = || Error::unavailable("the connection to Postgres is lost");
                Err(self.given_up.clone().unwrap_or_else(lost).into())
            }
        }
    }

    /// Whether the connection answers within this time.
    pub(super) async fn test(&mut self, limit: Duration) -> bool {
        let Ok(connection) = self.connection() else {
            return false;
        };
        let answered = matches!(timeout(limit, connection.ping()).await, Ok(Ok(())));
        self.state = if answered { State::Quiet } else { State::Lost };
        answered
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.has_begun = true;
        let patience = self.patience;
        let is_limited = self.member.as_ref().is_some_and(|it| it.is_limited);
        let words = (!is_limited).then(|| begin_with(self.pool.limit()));
        let begun = PgTransactionManager::begin(self.connection()?, words);
        let begun = within(patience, begun).await;
        self.hear(begun).await
    }

    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let patience = self.patience;
        let done = within(patience, PgTransactionManager::commit(self.connection()?)).await;
        self.has_begun &= done.is_err();
        self.is_unlimited &= done.is_err();
        let done = self.hear(done).await;
        if done.is_err() {
            // Postgres says why before it lets go of the locks, and whoever hears that may come again at once.
            self.undo().await;
        }
        done
    }

    /// Waits for a rollback, for a second.
    ///
    /// A connection in the middle of a statement is not waited for: it ends that by itself, and keeps its place in the pool for that long.
    pub(super) async fn undo(&mut self) {
        if self.is_owed() || self.is_lost() {
            return;
        }
        // What is not done by then the connection does by itself; one that is lost has lost the transaction, which is a rollback too.
        if let Ok(Err(error)) = timeout(ROLLBACK, self.rollback()).await {
            tracing::debug!(%error, "a transaction was lost rather than rolled back");
        }
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        if self.past == Past::Unheard {
            // Says whether what somebody else has asked had failed.
            let _ = self.ask_whether_it_lives().await;
        }
        let is_doubtful = self.past == Past::Unheard;
        let patience = self.patience;
        let done = within(patience, PgTransactionManager::rollback(self.connection()?)).await;
        self.has_begun &= done.is_err();
        self.is_unlimited &= done.is_err();
        self.hear(done).await?;
        if is_doubtful {
            // Nobody has heard why: another connection is safer.
            self.ask_role().await;
            self.state = State::Lost;
        }
        Ok(())
    }

    /// Fails in a transaction in which a statement has failed.
    ///
    /// Postgres answers its COMMIT with a ROLLBACK and no error, so this must come first.
    /// It costs a round trip only where a failure is known, or nobody has heard.
    pub(super) async fn expect_whole(&mut self) -> Result<(), Error> {
        if self.state == State::Quiet && self.past == Past::Whole {
            return Ok(());
        }
        self.ask_whether_it_lives().await.map_err(|error| {
            Error::from(error).in_the_way_of("nothing was committed: a statement had failed")
        })
    }

    async fn ask_whether_it_lives(&mut self) -> Result<(), sqlx::Error> {
        let patience = self.patience;
        let answer = within(patience, self.connection()?.execute("SELECT 1")).await;
        self.hear(answer).await.map(drop)
    }

    pub(super) async fn fetch_optional(
        &mut self,
        statement: Statement,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let patience = self.patience;
        self.is_text = statement.is_text();
        let answer = within(patience, self.connection()?.fetch_optional(statement)).await;
        self.hear(answer).await
    }

    /// Streams the answers to a statement, each up to the deadline for one.
    pub(super) fn stream(&mut self, statement: Statement) -> BoxStream<'_, Step> {
        Box::pin(async_stream::try_stream! {
            let patience = self.patience;
            self.is_text = statement.is_text();
            let mut steps = self.connection()?.fetch_many(statement);
            let end = loop {
                match within(patience, steps.try_next()).await {
                    Ok(Some(step)) => yield step,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            drop(steps);
            self.hear(end).await?;
        })
    }

    /// Hears an answer, and what it says of the connection.
    async fn hear<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        let error = match answer {
            Ok(answer) => {
                self.state = State::Quiet;
                // In a transaction nothing succeeds after a failure.
                if self.past == Past::Unheard {
                    self.past = Past::Whole;
                }
                return Ok(answer);
            }
            Err(error) => error,
        };
        match Fault::of(&error) {
            Fault::Statement => {
                self.state = State::Quiet;
                if sqlstate(&error).as_deref() != Some(ABORTED) {
                    // Whatever came before has succeeded.
                    self.past = Past::Failed;
                } else if !self.has_begun {
                    // A transaction that somebody began in words of their own.
                    self.state = State::Lost;
                }
            }
            Fault::Unanswered => {
                self.pool.suspect();
                // It has been waited for almost long enough.
                self.rest = GRACE.saturating_sub(SLACK);
            }
            Fault::Lost | Fault::LostBefore => {
                self.state = State::Lost;
                self.pool.suspect();
            }
            Fault::Outdated | Fault::OutdatedInside => {
                self.state = State::Quiet;
                if let Some(member) = &self.member {
                    self.pool.outdate(member);
                }
                if self.has_begun {
                    drop(self.give_up(outdated()));
                }
            }
            Fault::ReadOnly => {
                self.state = State::Quiet;
                // Whoever asked for such a server is mistaken to write.
                if !self.pool.target().is_for_reading() && self.is_server_read_only().await {
                    return Err(Error::read_only().because(error).into());
                }
            }
        }
        Err(error)
    }

    /// Is it the server that takes no writes, rather than this transaction?
    async fn is_server_read_only(&mut self) -> bool {
        let is_known = self.pool.is_read_only();
        if !self.has_begun {
            let is_read_only = is_known || self.ask_role().await;
            // One statement alone is refused by nobody but the server, even if that has begun to take writes meanwhile.
            return is_read_only || !self.is_text;
        }
        // A transaction that has failed answers no question.
        let mut given_up = self.give_up(Error::read_only());
        if is_known {
            return true;
        }
        if let Some(member) = &mut given_up.member {
            roll_back(&mut member.connection);
        }
        given_up.has_begun = false;
        let is_read_only = given_up.ask_role().await;
        if !is_read_only {
            self.given_up = Some(Error::internal("a statement had failed"));
        }
        is_read_only
    }

    /// Parts with the connection of a transaction that has failed, so that nobody goes on with it; later statements hear why.
    fn give_up(&mut self, why: Error) -> Self {
        self.given_up = Some(why);
        Self {
            pool: self.pool.clone(),
            member: self.member.take(),
            given_up: None,
            permit: self.permit.take(),
            ..*self
        }
    }

    async fn ask_role(&mut self) -> bool {
        let pool = self.pool.clone();
        let Ok(connection) = self.connection() else {
            return false;
        };
        let answer = ask_role(&pool, connection).await;
        if answer.is_some() {
            self.state = State::Quiet;
        }
        answer.unwrap_or(false)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(member) = self.member.take() else {
            return;
        };
        if self.is_lost() {
            drop(member);
            self.pool.free();
        } else if self.state != State::Quiet || self.has_begun || self.is_unlimited {
            let settling = Settling {
                task: self.pool.settling(),
                pool: self.pool.clone(),
                member,
                has_begun: self.has_begun,
                is_unlimited: self.is_unlimited,
                is_unheard: self.past == Past::Unheard,
                _permit: self.permit.take(),
            };
            in_background(settling.settle(self.rest));
        } else {
            self.pool.give_back(member);
        }
    }
}

/// Whoever runs the whole again finds everything in order.
pub(super) fn outdated() -> Error {
    Error::unavailable("a table or a type has changed meanwhile: the same works again")
}

/// Awaits an answer of Postgres', but not for ever.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let message =
            format!("Postgres has not answered for {limit:?}, longer than TWELVE_DATABASE_TIMEOUT");
        Err(Error::unavailable(message).into())
    })
}
