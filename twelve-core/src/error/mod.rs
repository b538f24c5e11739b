//! What goes wrong, and who is told what.
//!
//! ```text
//! Error: what the library could not do ──┐
//! any other error ───────────────────────┴─► Failure: what a handler failed with
//!     ├─► Problem: what the client is told
//!     ├─► Exit: what the supervisor is told
//!     └─► chain: what the log is told
//! ```

mod chain;
mod database;
mod descriptors;
mod exit;
mod failure;
mod problem;

pub use chain::{chain, panic_message};
pub(crate) use database::{QUERY_CANCELED, carried, sqlstate};
#[doc(hidden)]
pub use descriptors::is_out_of_descriptors;
pub use exit::Exit;
pub use failure::{Failure, Result};
pub use problem::Problem;

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

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
    NotFound,
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

    /// There is nothing of this name or id.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
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

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            source: Some(Arc::from(source.into())),
        }))
    }

    /// An error of the same kind that says what could not be done; this one becomes its source.
    #[must_use]
    pub fn context(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(self.0.kind, message).with_source(self)
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

    /// Is there nothing of the name or id that was given? In a request it is answered 404.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
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
