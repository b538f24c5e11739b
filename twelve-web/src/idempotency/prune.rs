//! Deletes what has expired, while new answers are being stored.

use std::sync::atomic::{AtomicU32, Ordering};
use twelve_core::{Context, Db};

use super::store;

/// One batch is deleted for so many stored answers, the first with the first: a process may store few in its life.
///
/// A batch is ten times as large, so the table cannot outgrow it.
const EVERY: u32 = 100;

/// Counts the answers that this process has stored.
#[derive(Debug, Default)]
struct Stored(AtomicU32);

/// Notes a stored answer, and begins to delete a batch when it is time.
pub(super) fn after_storing(context: &Context, db: &Db) {
    let Ok(stored) = context.singleton(|| Ok(Stored::default())) else {
        return;
    };
    let before = stored.0.fetch_add(1, Ordering::Relaxed);
    if !before.is_multiple_of(EVERY) {
        return;
    }
    let tracked = context
        .lifecycle()
        .tracker()
        .begin("pruning idempotency keys");
    let db = db.clone();
    tokio::spawn(async move {
        let _tracked = tracked;
        match store::prune(&db).await {
            Ok(pruned) => tracing::debug!(pruned, "expired idempotency keys were deleted"),
            // The next batch will find them.
            Err(error) => {
                let error = twelve_core::chain(&error);
                tracing::warn!(error, "expired idempotency keys could not be deleted");
            }
        }
    });
}
