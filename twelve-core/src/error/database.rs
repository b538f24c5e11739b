//! What an error of sqlx's holds: a code of Postgres', or an error of ours.

use std::borrow::Cow;

use super::Error;

/// The code of a statement that took longer than `statement_timeout`, or that somebody has cancelled.
pub(crate) const QUERY_CANCELED: &str = "57014";

/// The code by which Postgres names the error; the manual's appendix A lists them.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
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
