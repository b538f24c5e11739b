//! Prunes finished jobs when their retention is over.

use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

use super::Engine;
use crate::store::retry::{RetryBackoff, with_timeout};

/// From one round to the next.
const EVERY: Duration = Duration::from_mins(1);

/// How many jobs one statement removes: a longer one would hold its locks for too long.
const BATCH: usize = 1000;

/// The pause between two batches.
const BATCH_PAUSE: Duration = Duration::from_millis(100);

/// How long one batch may take: it removes the errors and the steps of its jobs too.
const PRUNE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut backoff = RetryBackoff::default();
    // Jitter: workers that started together do not prune together.
    sleep(EVERY.mul_f64(fastrand::f64())).await;
    loop {
        match with_timeout(PRUNE_TIMEOUT, engine.store.prune(BATCH)).await {
            Ok(pruned) => {
                backoff.reset();
                sleep(if pruned < BATCH { EVERY } else { BATCH_PAUSE }).await;
            }
            Err(error) => backoff.pause("removing old jobs", &error).await,
        }
    }
}
