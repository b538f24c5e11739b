//! The settings of a session by which Postgres itself ends a statement that has no reader any more.
//!
//! ```text
//! statement_timeout                  ends a statement that takes too long, or waits too long for a lock
//! client_connection_check_interval   ends a statement whose client is gone
//! ```
//!
//! Both go with the startup message: they cost no round trip, and belong to the session alone.
//! A pooler refuses them, since its sessions are shared.
//! Then each transaction sets its timeout beside BEGIN; single statements have none but that of the role.

use sqlx::{
    AssertSqlSafe, ConnectOptions, PgConnection, Row, SqlSafeStr, SqlStr,
    postgres::PgConnectOptions,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::error::sqlstate;

/// How often Postgres looks whether the client of a running statement is still there.
pub(super) const CHECK: Duration = Duration::from_millis(500);

/// The longest time that `statement_timeout` takes, in milliseconds.
const LONGEST: u128 = i32::MAX as u128;

/// One host, and which of our settings it accepts.
#[derive(Clone, Debug)]
pub(super) struct Host {
    options: PgConnectOptions,
    takes: Arc<AtomicU8>,
}

/// Which of our settings a server accepts in the startup message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Takes {
    /// It is a pooler.
    Nothing,
    /// Its system cannot tell whether a client is gone, or it is older than Postgres 14.
    Timeout,
    All,
}

impl Host {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self {
            options,
            takes: Arc::new(AtomicU8::new(Takes::All as u8)),
        }
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(super) fn options_mut(&mut self) -> &mut PgConnectOptions {
        &mut self.options
    }

    /// Opens a session in which a statement may take as long as `limit`, and tells whether that holds; without one it may take as long as it likes, whatever the role's own limit is.
    ///
    /// A setting that a server has refused is not sent to it again.
    pub(super) async fn connect(
        &self,
        limit: Option<Duration>,
    ) -> Result<(PgConnection, bool), sqlx::Error> {
        let mut takes = Takes::from(self.takes.load(Relaxed));
        let mut connection = loop {
            match takes.asked_of(&self.options, limit).connect().await {
                Ok(connection) => break connection,
                Err(error) => takes = takes.fewer_after(&error).ok_or(error)?,
            }
        };
        self.takes.store(takes as u8, Relaxed);
        let is_limited = match limit {
            Some(limit) if takes != Takes::Nothing => is_limited(&mut connection, limit).await?,
            _ => false,
        };
        Ok((connection, is_limited))
    }
}

impl Takes {
    /// The options of a host, with the settings that it accepts.
    fn asked_of(self, host: &PgConnectOptions, limit: Option<Duration>) -> PgConnectOptions {
        let mut options = host.clone();
        let is_set = |name| host.get_options().is_some_and(|set| set.contains(name));
        if self == Self::All && !is_set("client_connection_check_interval") {
            let check = CHECK.as_millis();
            options = options.options([("client_connection_check_interval", check)]);
        }
        if self != Self::Nothing {
            let limit = limit.map_or(0, milliseconds);
            options = options.options([("statement_timeout", limit)]);
        }
        options
    }

    /// Which settings are left to try after a server has refused the connection.
    ///
    /// Postgres' codes are `invalid_parameter_value` and `undefined_object`; PgBouncer says `protocol_violation`, of other faults too, and RDS Proxy `feature_not_supported`.
    fn fewer_after(self, error: &sqlx::Error) -> Option<Self> {
        match (self, &*sqlstate(error)?) {
            (Self::All | Self::Timeout, "08P01" | "0A000") | (Self::Timeout, "22023" | "42704") => {
                Some(Self::Nothing)
            }
            (Self::All, "22023" | "42704") => Some(Self::Timeout),
            _ => None,
        }
    }
}

impl From<u8> for Takes {
    fn from(number: u8) -> Self {
        [Self::Nothing, Self::Timeout, Self::All][usize::from(number)]
    }
}

/// Does the session end a statement after this time? Some poolers ignore the setting silently.
async fn is_limited(connection: &mut PgConnection, limit: Duration) -> Result<bool, sqlx::Error> {
    let limit = milliseconds(limit);
    let ask =
        format!("SELECT current_setting('statement_timeout')::interval = '{limit} ms'::interval");
    let asked = sqlx::raw_sql(AssertSqlSafe(ask)).fetch_one(connection);
    asked.await?.try_get(0)
}

/// BEGIN, with the timeout of the transaction's statements.
pub(super) fn begin_with(limit: Duration) -> SqlStr {
    let limit = milliseconds(limit);
    AssertSqlSafe(format!("BEGIN; SET LOCAL statement_timeout = {limit}")).into_sql_str()
}

/// As `statement_timeout` takes it, for which 0 is no limit.
fn milliseconds(limit: Duration) -> u128 {
    limit.as_millis().clamp(1, LONGEST)
}
