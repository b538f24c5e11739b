//! Tells jobs that this worker holds that somebody wants them to be stopped.

use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

use super::Engine;
use crate::store::retry::{RetryBackoff, STORE_TIMEOUT, with_timeout};

/// How long after an announcement that was lost the rescuer's look tells.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut backoff = RetryBackoff::default();
    loop {
        // Told by the listener, and by the rescuer when it sees that there are any.
        let _ = timeout(AT_LEAST_EVERY, engine.hint.cancelled()).await;
        let unended = engine.in_flight.unended();
        if unended.is_empty() {
            continue;
        }
        match with_timeout(STORE_TIMEOUT, engine.store.cancellations(&unended)).await {
            Ok(cancelled) => {
                backoff.reset();
                engine.in_flight.cancel(cancelled);
            }
            Err(error) => backoff.pause("looking for cancelled jobs", &error).await,
        }
    }
}
