//! Refreshes the store's statistics when there are far more jobs than its query plans were made for.
//!
//! Slow claims and acks are the trigger, so an idle worker asks the store for nothing.

use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

use super::Engine;
use crate::store::retry::{RetryBackoff, with_timeout};

/// A claim or an ack takes a few milliseconds. One that takes this long triggers a refresh.
const SLOW: Duration = Duration::from_millis(100);

/// The pause after a refresh that changed nothing.
const PAUSE: Duration = Duration::from_secs(2);

/// The pause after a refresh that changed something: where that does not help, it must not be tried all the time.
const REST: Duration = Duration::from_secs(30);

/// How long one refresh may take.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);

/// Triggers a refresh if the statement that began then was slow.
pub(super) fn note(engine: &Engine, began: Instant) {
    if began.elapsed() >= SLOW {
        engine.slow.notify_one();
    }
}

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut backoff = RetryBackoff::default();
    loop {
        engine.slow.notified().await;
        match with_timeout(REFRESH_TIMEOUT, engine.store.refresh_statistics()).await {
            Ok(refreshed) => {
                backoff.reset();
                if refreshed {
                    tracing::debug!(
                        "there are many more jobs than before: the store makes new plans"
                    );
                }
                sleep(if refreshed { REST } else { PAUSE }).await;
            }
            Err(error) => {
                let doing = "refreshing the statistics of the store";
                backoff.pause(doing, &error).await;
            }
        }
    }
}
