//! What an error says about its connection.

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use std::io::ErrorKind;

use crate::error::carried;

/// What a statement's error means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing: Postgres has answered, or was never asked.
    Statement,
    /// An answer may be pending.
    Unanswered,
    /// The connection is lost.
    Lost,
    /// The connection was lost before the statement was sent as a whole: it cannot have taken effect.
    LostBefore,
    /// The connection has cached tables or types that have changed since; the statement was not begun.
    Outdated,
    /// The same, inside a function or a procedure that the statement had called.
    OutdatedInside,
    /// The server takes no writes, or the transaction was told not to.
    ReadOnly,
}

impl Fault {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            // A deadline of ours.
            error if carried(error).is_some() => Self::Unanswered,
            // A statement that was not sent as a whole is not committed, except by a procedure that commits on its own.
            sqlx::Error::Io(error) if error.kind() == ErrorKind::BrokenPipe => Self::LostBefore,
            // sqlx has counted them, and sent nothing.
            sqlx::Error::Protocol(text) if text.contains("too many arguments") => Self::Statement,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Self::Lost,
            sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. } => Self::Statement,
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => Self::said_by_postgres(error),
                None => Self::Unanswered,
            },
            _ => Self::Unanswered,
        }
    }

    fn said_by_postgres(error: &PgDatabaseError) -> Self {
        // The manual's "Message Severity Levels": both end the session.
        if matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
            return Self::Lost;
        }
        match error.code() {
            "25006" => Self::ReadOnly,
            _ if !is_outdated(error) => Self::Statement,
            _ if is_within(error) => Self::OutdatedInside,
            _ => Self::Outdated,
        }
    }

    /// Does the connection know an older schema?
    pub(super) fn is_outdated(self) -> bool {
        matches!(self, Self::Outdated | Self::OutdatedInside)
    }
}

/// Did Postgres fail to plan a prepared statement anew, or look up a type that was dropped?
///
/// The routines and the text of an internal error are the same in every language.
/// 0A000 alone says only that something is not supported.
fn is_outdated(error: &PgDatabaseError) -> bool {
    match error.code() {
        "0A000" => error.routine() == Some("RevalidateCachedQuery"),
        "XX000" => error.message().starts_with("cache lookup failed for type"),
        "42704" => error.routine() == Some("lookup_type_cache"),
        // A prepared statement of sqlx's was dropped, by DISCARD ALL or by a pooler.
        "26000" => error.message().contains("sqlx_s_"),
        _ => false,
    }
}

/// Did the error come from inside a call? A procedure may have committed by then.
///
/// Outside of one, Postgres gives no context but the number of an argument that it was reading.
fn is_within(error: &PgDatabaseError) -> bool {
    error
        .r#where()
        .is_some_and(|context| !context.contains('$') || context.contains('('))
}
