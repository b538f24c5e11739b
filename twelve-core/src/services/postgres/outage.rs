//! Which errors of sqlx's mean that Postgres itself is at fault.

use super::fault::Fault;
use crate::error::{Error, QUERY_CANCELED, carried, sqlstate};

/// sqlx reports a server that cannot be reached in several ways; all of them are [`Error::is_unavailable`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let Some(ours) = carried(&error) {
            ours.clone()
        } else if sqlstate(&error).as_deref() == Some(QUERY_CANCELED) {
            Self::unavailable("Postgres has ended a statement early").with_source(error)
        } else if is_outage(&error) {
            Self::unavailable("Postgres is unavailable").with_source(error)
        } else {
            Self::internal("a statement failed on Postgres").with_source(error)
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    #[test]
    fn an_error_survives_its_way_through_sqlx() {
        let through = || sqlx::Error::from(Error::configuration("DATABASE_URL is not set"));
        assert!(Error::from(through()).is_configuration());
        assert!(!Failure::from(through()).is_unavailable());
    }
}
