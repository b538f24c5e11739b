//! What is known about an outage: its cause, and when it is over.

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
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
}

impl Outage {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            current: Mutex::default(),
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
    pub(super) async fn explain(&self, error: sqlx::Error) -> Error {
        if let Some(known) = self.current() {
            return known;
        }
        let cause = match error {
            sqlx::Error::PoolTimedOut => match self.0.probe(CAUSE).await {
                Err(cause) if !is_full(&cause) => cause,
                _ => {
                    return Error::unavailable(
                        "as many connections to Postgres as TWELVE_DATABASE_POOL allows were busy for 2 s",
                    );
                }
            },
            sqlx::Error::PoolClosed => return Error::unavailable("the process is closing"),
            other if is_full(&other) => {
                return Error::unavailable("Postgres has no connection left").because(other);
            }
            other => other,
        };
        let error = down(cause);
        self.0.begin(&error);
        error
    }
}

impl Inner {
    fn current(&self) -> Option<Error> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
        let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
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

/// Is Postgres up, but at its `max_connections` (code 53300)? The connections that are open still work.
fn is_full(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| code == "53300")
}
