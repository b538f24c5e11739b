//! What is known about an outage: its cause, and when it is over.

use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use std::{
    io::ErrorKind::TimedOut,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::time::timeout;

use crate::{Error, error::sqlstate};

/// How often one probe looks whether Postgres is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How long somebody who waits for an answer is kept for the cause.
const CAUSE: Duration = Duration::from_millis(500);

/// How long the probe that looks for the end may take: longer than the slowest connect that a handler would wait for.
const PROBE: Duration = Duration::from_secs(5);

/// The memory of an outage.
///
/// The first caller to fail learns the cause, for sqlx's pool keeps it to itself.
/// From then on everyone gets that error at once, while a single probe waits for the end of the outage.
pub(super) struct Outage(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    current: Mutex<Option<Error>>,
    /// What the last look for a cause has found, for everyone who waits for it.
    cause: tokio::sync::Mutex<Option<(Instant, Option<Error>)>>,
}

impl Outage {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            current: Mutex::default(),
            cause: tokio::sync::Mutex::default(),
        }))
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.0.options
    }

    /// The error to fail with, as long as the outage lasts.
    pub(super) fn current(&self) -> Option<Error> {
        self.0.current()
    }

    /// The real cause of the pool's error.
    pub(super) async fn explain(&self, error: sqlx::Error, pool: &PgPool) -> Error {
        let cause = match error {
            sqlx::Error::PoolClosed => return Error::unavailable("the process is closing"),
            sqlx::Error::PoolTimedOut => self.0.cause(pool).await,
            other if is_full(&other) => return full(other),
            other => Some(down(other)),
        };
        match cause {
            Some(error) => {
                self.0.begin(&error);
                error
            }
            None => Error::unavailable(
                "as many connections to Postgres as TWELVE_DATABASE_POOL allows were busy for 2 s",
            ),
        }
    }
}

impl Inner {
    fn current(&self) -> Option<Error> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Why no connection was to be had; `None` when they were only busy. One look serves all who wait.
    async fn cause(&self, pool: &PgPool) -> Option<Error> {
        let mut cause = self.cause.lock().await;
        if let Some((found, known)) = &*cause
            && found.elapsed() < PROBE_EVERY
        {
            return known.clone();
        }
        let found = match self.probe(CAUSE).await {
            Err(error) if is_full(&error) => None,
            // Slow, but connections are open: busy rather than down.
            Err(sqlx::Error::Io(error)) if error.kind() == TimedOut && pool.size() > 0 => None,
            Err(error) => Some(down(error)),
            Ok(()) => None,
        };
        *cause = Some((Instant::now(), found.clone()));
        found
    }

    fn set(&self, error: Option<Error>) -> Option<Error> {
        std::mem::replace(
            &mut *self.current.lock().unwrap_or_else(PoisonError::into_inner),
            error,
        )
    }

    /// Remembers the outage, and starts the probe unless it runs already.
    fn begin(self: &Arc<Self>, error: &Error) {
        if self.set(Some(error.clone())).is_none() {
            tracing::warn!(error = %crate::error::chain(error), "Postgres is down");
            tokio::spawn(Self::wait_for_the_end(Arc::downgrade(self)));
        }
    }

    async fn wait_for_the_end(outage: Weak<Self>) {
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let Some(outage) = outage.upgrade() else {
                return;
            };
            match outage.probe(PROBE).await {
                Ok(()) => {
                    outage.set(None);
                    tracing::info!("Postgres is back");
                    return;
                }
                Err(cause) => {
                    outage.set(Some(down(cause)));
                }
            }
        }
    }

    async fn probe(&self, limit: Duration) -> Result<(), sqlx::Error> {
        let silent = || sqlx::Error::Io(TimedOut.into());
        timeout(limit, async {
            let connection: PgConnection = self.options.connect().await?;
            connection.close().await
        })
        .await
        .unwrap_or_else(|_| Err(silent()))
    }
}

/// What a failed connect is told as. An answer of Postgres' that is a refusal (classes 28 and 3D) points to the URL.
fn down(cause: sqlx::Error) -> Error {
    let refused =
        sqlstate(&cause).is_some_and(|code| code.starts_with("28") || code.starts_with("3D"));
    let message = if refused {
        "Postgres refuses the connection: check DATABASE_URL"
    } else {
        "Postgres cannot be reached"
    };
    Error::unavailable(message).because(cause)
}

fn full(cause: sqlx::Error) -> Error {
    Error::unavailable("Postgres has no connection left").because(cause)
}

/// Is Postgres up, but at its `max_connections` (code 53300)? The connections that are open still work.
fn is_full(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| code == "53300")
}
