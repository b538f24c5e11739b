//! The variables of Postgres.

use std::time::Duration;

use super::url::PostgresUrl;
use crate::config::{Config, Reader};

pub(super) const NOT_CONFIGURED: &str = "Postgres is not configured";

/// What a process needs to know to reach Postgres.
#[derive(Debug)]
pub struct Settings {
    pub(super) url: PostgresUrl,
    pub(super) direct: Option<PostgresUrl>,
    pub(super) size: u32,
    pub(super) statement_timeout: Duration,
}

impl Config for Settings {
    fn load(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.read("DATABASE_URL", None, "Postgres");
        let direct = reader.read(
            "TWELVE_DATABASE_DIRECT_URL",
            None,
            "Postgres itself, when DATABASE_URL is a pooler such as PgBouncer: for LISTEN and for `release`",
        );
        let size = reader.read(
            "TWELVE_DATABASE_POOL",
            Some("10"),
            "connections to Postgres that one process may open",
        );
        let statement_timeout = reader.read(
            "TWELVE_DATABASE_TIMEOUT",
            Some("10s"),
            "how long one statement of a handler's may take",
        );
        let (url, direct) = (url?, direct?);
        let (size, statement_timeout): (_, Duration) = (size?, statement_timeout?);
        if statement_timeout.is_zero() {
            reader.reject(
                "TWELVE_DATABASE_TIMEOUT",
                "too short: no statement could end",
            );
            return None;
        }
        if size < 3 {
            reader.reject(
                "TWELVE_DATABASE_POOL",
                "too small: a handler may use two connections, and a job engine one",
            );
            return None;
        }
        Some(Self {
            url,
            direct,
            size,
            statement_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Environment, error::chain};

    #[test]
    fn a_missing_url_is_named() {
        let loaded = Environment::default().load::<Settings>(NOT_CONFIGURED);
        let error = loaded.unwrap_err();
        assert!(chain(&error).contains("DATABASE_URL  is not set"));
    }
}
