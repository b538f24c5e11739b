//! Passes cancellation requests to the jobs of this worker.

use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

use super::Engine;
use crate::store::retry::{RetryBackoff, STORE_TIMEOUT, with_timeout};

/// How often to look without a hint. The rescuer gives one too, in case the announcement was lost.
const AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut backoff = RetryBackoff::default();
    loop {
        // The listener gives the hint, and so does the rescuer when it sees requests.
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
