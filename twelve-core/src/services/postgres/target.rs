//! Where Postgres is: one host, or several of which the first that fits is taken.

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{borrow::Cow, io::ErrorKind::TimedOut, time::Duration};
use tokio::time::timeout;

use super::session::Host;
use crate::error::{Error, carried};

/// How long connecting to one host may take, unless `connect_timeout` says otherwise.
///
/// It is longer than a handler waits: a connect that takes longer still adds its connection to the pool.
const CONNECT: Duration = Duration::from_secs(5);

/// The same where there are several hosts, so that an unreachable one leaves time for the others.
const CONNECT_ONE_OF_MANY: Duration = Duration::from_secs(1);

/// How a connection to Postgres is opened.
///
/// Hosts, `target_session_attrs`, `load_balance_hosts` and `connect_timeout` mean what they mean to libpq; its manual, "Parameter Key Words".
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Never empty.
    hosts: Vec<Host>,
    wanted: Wanted,
    is_shuffled: bool,
    connect_timeout: Duration,
}

/// A connection that was opened.
pub(super) struct Opened<'t> {
    pub(super) connection: PgConnection,
    /// How.
    pub(super) options: &'t PgConnectOptions,
    /// Does Postgres end a statement on it that takes too long?
    pub(super) is_limited: bool,
}

/// Which servers are wanted: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What a server is.
///
/// As libpq asks servers that do not report it.
const ROLE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool";

impl Target {
    pub(super) fn new(hosts: Vec<PgConnectOptions>) -> Self {
        let connect_timeout = if hosts.len() > 1 {
            CONNECT_ONE_OF_MANY
        } else {
            CONNECT
        };
        let hosts = hosts
            .into_iter()
            .map(ConnectOptions::disable_statement_logging)
            .map(Host::new);
        Self {
            hosts: hosts.collect(),
            wanted: Wanted::Any,
            is_shuffled: false,
            connect_timeout,
        }
    }

    pub(super) fn wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    pub(super) fn shuffled(self, is_shuffled: bool) -> Self {
        Self {
            is_shuffled,
            ..self
        }
    }

    pub(super) fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// Gives each connection a name, unless the URL did.
    pub(super) fn named(mut self, name: &str) -> Self {
        for host in &mut self.hosts {
            let options = host.options_mut();
            if options.get_application_name().is_none() {
                *options = options.clone().application_name(name);
            }
        }
        self
    }

    /// Are servers wanted that take no writes?
    pub(super) fn is_for_reading(&self) -> bool {
        !matches!(
            self.wanted,
            Wanted::Any | Wanted::ReadWrite | Wanted::Primary
        )
    }

    /// The first host.
    pub(super) fn first(&self) -> &PgConnectOptions {
        self.hosts[0].options()
    }

    /// A connection to the first host that is there and is what is wanted; a statement on it may take as long as `limit`, if there is one.
    ///
    /// # Errors
    ///
    /// Of several errors, one that a server answered with, since it tells most.
    pub(super) async fn open(&self, limit: Option<Duration>) -> Result<Opened<'_>, sqlx::Error> {
        let mut hosts: Vec<&Host> = self.hosts.iter().collect();
        if self.is_shuffled {
            fastrand::shuffle(&mut hosts);
        }
        match self.wanted {
            Wanted::PreferStandby => match self.open_one_of(&hosts, Wanted::Standby, limit).await {
                Ok(opened) => Ok(opened),
                Err(_) => self.open_one_of(&hosts, Wanted::Any, limit).await,
            },
            wanted => self.open_one_of(&hosts, wanted, limit).await,
        }
    }

    async fn open_one_of<'a>(
        &self,
        hosts: &[&'a Host],
        wanted: Wanted,
        limit: Option<Duration>,
    ) -> Result<Opened<'a>, sqlx::Error> {
        let mut told: Option<sqlx::Error> = None;
        for host in hosts {
            let opening = timeout(self.connect_timeout, open_if(host, wanted, limit));
            match opening.await.unwrap_or_else(|_| Err(silent())) {
                Ok(opened) => return Ok(opened),
                Err(error) => told = Some(told.filter(is_telling).unwrap_or(error)),
            }
        }
        Err(told.unwrap_or_else(silent))
    }
}

async fn open_if(
    host: &Host,
    wanted: Wanted,
    limit: Option<Duration>,
) -> Result<Opened<'_>, sqlx::Error> {
    let (mut connection, is_limited) = host.connect(limit).await?;
    if wanted != Wanted::Any {
        let (in_recovery, read_only) = sqlx::query_as(ROLE).fetch_one(&mut connection).await?;
        if let Some(wish) = wanted.misses(in_recovery, read_only) {
            // It is abandoned either way.
            let _ = connection.close().await;
            let place = place(host.options());
            let message = format!("{place} is no server with target_session_attrs={wish}");
            return Err(Error::unavailable(message).into());
        }
    }
    Ok(Opened {
        connection,
        options: host.options(),
        is_limited,
    })
}

fn place(host: &PgConnectOptions) -> String {
    let name = match host.get_socket() {
        Some(directory) => directory.to_string_lossy(),
        None => Cow::Borrowed(host.get_host()),
    };
    format!("{name}:{}", host.get_port())
}

/// Did a server answer?
pub(super) fn is_telling(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() || carried(error).is_some()
}

/// A server that has not answered in time.
pub(super) fn silent() -> sqlx::Error {
    sqlx::Error::Io(TimedOut.into())
}

impl Wanted {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => return None,
        })
    }

    /// The wish that such a server does not fulfil.
    fn misses(self, in_recovery: bool, read_only: bool) -> Option<&'static str> {
        let (is_fulfilled, wish) = match self {
            Self::Any | Self::PreferStandby => return None,
            Self::ReadWrite => (!in_recovery && !read_only, "read-write"),
            Self::ReadOnly => (in_recovery || read_only, "read-only"),
            Self::Primary => (!in_recovery, "primary"),
            Self::Standby => (in_recovery, "standby"),
        };
        (!is_fulfilled).then_some(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Target {
        /// The hosts with their ports.
        pub(in crate::services::postgres) fn places(&self) -> Vec<String> {
            self.hosts
                .iter()
                .map(|host| place(host.options()))
                .collect()
        }
    }

    /// The manual of libpq, `target_session_attrs`.
    #[test]
    fn a_server_is_taken_by_what_it_is() {
        let primary = (false, false);
        let read_only = (false, true);
        let standby = (true, true);
        let takes = |wanted: Wanted| {
            [primary, read_only, standby]
                .map(|(recovery, read_only)| wanted.misses(recovery, read_only).is_none())
        };
        assert_eq!(takes(Wanted::Any), [true, true, true]);
        assert_eq!(takes(Wanted::ReadWrite), [true, false, false]);
        assert_eq!(takes(Wanted::ReadOnly), [false, true, true]);
        assert_eq!(takes(Wanted::Primary), [true, true, false]);
        assert_eq!(takes(Wanted::Standby), [false, false, true]);
    }
}
