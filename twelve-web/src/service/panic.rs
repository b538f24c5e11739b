//! A handler that panics answers 500; it takes nobody with it.

use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use twelve_core::Problem;

/// Awaits `work`; when it panics, the answer is a problem. The process's panic hook has logged it by then, with its place.
pub(crate) async fn catch<T>(work: impl Future<Output = T>) -> Result<T, Response> {
    // What a handler shares with others is theirs to keep in order, as in any thread that panics.
    let work = AssertUnwindSafe(work).catch_unwind();
    work.await.map_err(|_| Problem::internal().into_response())
}
