//! What is known about an outage: its cause, and when it is over.

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::time::timeout;

use crate::Error;

/// How often one probe looks whether Postgres is back.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How long a probe may take.
const PROBE: Duration = Duration::from_millis(500);

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
            sqlx::Error::PoolTimedOut => match self.0.probe().await {
                Ok(()) => {
                    return Error::unavailable("every connection to Postgres was busy for 2 s");
                }
                Err(cause) => cause,
            },
            other => other,
        };
        let error = Error::unavailable("Postgres cannot be reached").because(cause);
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
            match outage.probe().await {
                Ok(()) => {
                    outage.set(None);
                    tracing::info!("Postgres is back");
                    return;
                }
                Err(cause) => {
                    let error = Error::unavailable("Postgres cannot be reached").because(cause);
                    outage.set(Some(error));
                }
            }
        }
    }

    async fn probe(&self) -> Result<(), sqlx::Error> {
        let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        timeout(PROBE, async {
            let connection: PgConnection = self.options.connect().await?;
            connection.close().await
        })
        .await
        .unwrap_or_else(|_| Err(silent()))
    }
}
