//! Has the store adapt to how many jobs it holds, when that is more than it is set up for.
//!
//! Claims and acks that have become slow tell; so an idle worker asks for nothing.

use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

use super::Engine;
use crate::store::retry::{RetryBackoff, with_timeout};

/// A claim or an ack takes a few milliseconds; one that takes this long is worth a look.
const SLOW: Duration = Duration::from_millis(100);

/// From one look to the next, as long as there are slow statements.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest pause, after it adapted several times in a row: where it cannot, it shall not try all the time.
const REST: Duration = Duration::from_secs(30);

/// How long the store may take to adapt.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells the adapter of a statement that began then, if it was slow.
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
        match with_timeout(REFRESH_TIMEOUT, engine.store.adapt()).await {
            Ok(adapted) => {
                backoff.reset();
                if adapted {
                    tracing::debug!(
                        "there are many more jobs than before: the store makes new plans"
                    );
                }
                sleep(if adapted { REST } else { PAUSE }).await;
            }
            Err(error) => {
                let doing = "adapting to how many jobs there are";
                backoff.pause(doing, &error).await;
            }
        }
    }
}
