//! The two error types: [`Error`] says what the library could not do, [`Failure`] carries what a handler failed with.

mod descriptors;
mod exit;
mod problem;

#[doc(hidden)]
pub use descriptors::is_out_of_descriptors;
pub use exit::Exit;
pub use problem::Problem;

use sqlx::error::DatabaseError;
use std::{any::Any, borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::services::postgres::Fault;

type Source = Arc<dyn StdError + Send + Sync>;

/// What the library could not do, and why.
///
/// Cheap to clone, because one failed connect is the answer to everyone who waited for it.
/// Its text never repeats its source: walk [`source`](StdError::source) for the whole chain.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Configuration,
    Unavailable,
    LostLease,
    Duplicate,
    Usage,
    Internal,
}

impl Error {
    /// A variable or the wiring is wrong: nothing changes until somebody mends it.
    pub fn configuration(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Configuration, message)
    }

    /// A backing service cannot be reached, or is too busy: the same call may work a moment later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// The work was taken back in the meantime, so its result is refused.
    pub fn lost_lease(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::LostLease, message)
    }

    /// There is one like it already, and a second was not wanted.
    pub fn duplicate(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Duplicate, message)
    }

    /// The words on the command line are wrong.
    pub fn usage(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Anything else.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Postgres refuses a write; also for statements on plain connections, whose errors the pool does not hear.
    #[doc(hidden)]
    #[must_use]
    pub fn read_only() -> Self {
        Self::unavailable("Postgres takes no writes here: it is a standby, or was made read-only")
    }

    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            source: Some(Arc::from(source.into())),
        }))
    }

    /// What this error kept from being done; the new error is of the same kind, and has this one as its cause.
    #[must_use]
    pub fn in_the_way_of(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(self.0.kind, message).because(self)
    }

    /// Is a variable or the wiring wrong?
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.0.kind == Kind::Configuration
    }

    /// Is a backing service down, silent or too busy? The call may be repeated.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.0.kind == Kind::Unavailable
    }

    /// Was the result refused because the work had been taken back?
    #[must_use]
    pub fn is_lost_lease(&self) -> bool {
        self.0.kind == Kind::LostLease
    }

    /// Was it refused because there is one like it already?
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.0.kind == Kind::Duplicate
    }

    /// Are the words on the command line wrong?
    #[must_use]
    pub fn is_usage(&self) -> bool {
        self.0.kind == Kind::Usage
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, chain(self))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// sqlx reports a server that cannot be reached in several ways; all of them are [`Error::is_unavailable`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let Some(ours) = carried(&error) {
            ours.clone()
        } else if sqlstate(&error).as_deref() == Some(CANCELED) {
            Self::unavailable("Postgres has ended a statement early").because(error)
        } else if is_outage(&error) {
            Self::unavailable("Postgres is unavailable").because(error)
        } else {
            Self::internal("a statement failed on Postgres").because(error)
        }
    }
}

impl From<Error> for sqlx::Error {
    fn from(error: Error) -> Self {
        Self::Io(std::io::Error::other(error))
    }
}

/// What `Db` or `Tx` could not do travels through sqlx's own error type: this unwraps it again.
pub(crate) fn carried(error: &sqlx::Error) -> Option<&Error> {
    match error {
        sqlx::Error::Io(io) => io.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// The code of a statement that took longer than `statement_timeout`, or that somebody has cancelled: `query_canceled`.
const CANCELED: &str = "57014";

/// Says whether Postgres itself is at fault, rather than the statement.
///
/// The codes are those of the manual's appendix A: class 08 connection, 53 resources, 57 operator intervention.
/// A connection that knows an older schema is at fault too.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        other => {
            Fault::of(other).is_outdated()
                || sqlstate(other).is_some_and(|code| {
                    code.starts_with("08") || code.starts_with("53") || code.starts_with("57")
                })
        }
    }
}

/// The code by which Postgres names the error; the manual's appendix A lists them.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// What a handler failed with: any error converts into it, so `?` just works.
///
/// It deliberately does not implement [`std::error::Error`]: that is what lets the conversion be total.
pub struct Failure {
    error: Box<dyn StdError + Send + Sync>,
    asked_pause: Option<Duration>,
}

/// The result of a handler: `?` takes any error.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that is only a sentence.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(message.into().into())
    }

    fn of(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self {
            error,
            asked_pause: None,
        }
    }

    /// Says how long a job waits for its next attempt, in place of its kind's backoff.
    ///
    /// It is for a provider that answers when it wants to be asked again.
    /// The attempt has failed all the same: it is spent, and what it did in its `Tx` is undone.
    /// Only the handlers of jobs are run again; elsewhere it has no effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use twelve_core::{Failure, Result};
    ///
    /// # struct Answer { status: u16, retry_after_s: u64 }
    /// # async fn ask_for_payment() -> std::io::Result<Answer> {
    /// #     Ok(Answer { status: 429, retry_after_s: 30 })
    /// # }
    /// async fn charge() -> Result<()> {
    ///     let answer = ask_for_payment()
    ///         .await
    ///         .map_err(|error| Failure::from(error).retry_after(Duration::from_mins(5)))?;
    ///     if answer.status == 429 {
    ///         let pause = Duration::from_secs(answer.retry_after_s);
    ///         return Err(Failure::new("the provider is busy").retry_after(pause));
    ///     }
    ///     Ok(())
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # let failure = runtime.block_on(charge()).unwrap_err();
    /// # assert_eq!(failure.asked_pause(), Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.asked_pause = Some(pause);
        self
    }

    /// The pause that [`retry_after`](Self::retry_after) asked for.
    #[must_use]
    pub fn asked_pause(&self) -> Option<Duration> {
        self.asked_pause
    }

    /// The error itself.
    #[must_use]
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// Finds an error of type `E` anywhere in the chain.
    #[must_use]
    pub fn find<E: StdError + 'static>(&self) -> Option<&E> {
        causes(&*self.error).find_map(|cause| cause.downcast_ref())
    }

    /// The library's own error in the chain, if that is what the handler failed with.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.find()
            .or_else(|| self.find::<sqlx::Error>().and_then(carried))
    }

    /// Is a backing service down, silent or too busy?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self.error() {
            Some(error) => error.is_unavailable(),
            None => self.find::<sqlx::Error>().is_some_and(is_outage) || self.is_redis_out(),
        }
    }

    /// What a command on Redis fails with is redis-rs' own error, not one of ours.
    fn is_redis_out(&self) -> bool {
        #[cfg(feature = "redis")]
        {
            let error = self.find::<redis::RedisError>();
            error.is_some_and(crate::services::redis::is_unavailable)
        }
        #[cfg(not(feature = "redis"))]
        false
    }

    /// The failure as an error of the library: a mistake stays as it is, anything else becomes the cause of `message`.
    #[must_use]
    pub fn into_error(self, message: impl Into<Cow<'static, str>>) -> Error {
        match self.error() {
            Some(error) if error.is_configuration() || error.is_usage() => error.clone(),
            _ if self.is_unavailable() => Error::unavailable(message).because(self.error),
            _ => Error::internal(message).because(self.error),
        }
    }
}

impl<E> From<E> for Failure
where
    E: StdError + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        Self::of(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.error))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The error and all its sources, joined by colons: what a log line wants.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let sqlx = cause.downcast_ref::<sqlx::Error>();
        if let Some(ours) = sqlx.and_then(carried) {
            append(&mut text, &chain(ours));
            break;
        }
        if let Some(database) = sqlx.and_then(sqlx::Error::as_database_error) {
            append(&mut text, &said_by_postgres(database));
            break;
        }
        append(&mut text, &cause.to_string());
    }
    text
}

/// What a panic said, if it said something.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> Option<&str> {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// Some libraries repeat their source in their own text: once is enough.
fn append(text: &mut String, part: &str) {
    if text.ends_with(part) {
        return;
    }
    if !text.is_empty() {
        text.push_str(": ");
    }
    text.push_str(part);
}

/// Postgres' own words with the code to look up; sqlx adds a line number that is one of Postgres' source.
fn said_by_postgres(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    let hint = if code == CANCELED {
        "; TWELVE_DATABASE_TIMEOUT says how long a statement may take"
    } else {
        ""
    };
    format!("{} (SQLSTATE {code}){hint}", error.message())
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::unavailable("Postgres is unavailable")
            .because(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "Postgres is unavailable: connection refused");
    }

    #[test]
    fn an_error_survives_its_way_through_sqlx() {
        let through = || sqlx::Error::from(Error::configuration("DATABASE_URL is not set"));
        assert!(Error::from(through()).is_configuration());
        assert!(!Failure::from(through()).is_unavailable());
    }

    #[test]
    fn a_failure_knows_an_outage_from_a_mistake() {
        assert!(Failure::from(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!Failure::from(sqlx::Error::RowNotFound).is_unavailable());
        assert!(Failure::from(Error::unavailable("Redis is unavailable")).is_unavailable());
    }

    #[test]
    fn a_failure_that_passes_through_handlers_keeps_the_pause_it_asked_for() {
        let pause = Duration::from_secs(30);
        let inner = || -> Result<()> { Err(Failure::new("busy").retry_after(pause)) };
        let outer = || -> Result<()> {
            inner()?;
            Ok(())
        };
        assert_eq!(outer().unwrap_err().asked_pause(), Some(pause));
        assert_eq!(Failure::new("broken").asked_pause(), None);
    }
}
