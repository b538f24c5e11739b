//! A handler that panics answers 500; it takes nobody with it.

use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use twelve_core::Problem;

/// Awaits `work`; when it panics, that is logged and the answer is a problem.
pub(crate) async fn catch<T>(work: impl Future<Output = T>) -> Result<T, Response> {
    // What a handler shares with others is theirs to keep in order, as in any thread that panics.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(output) => Ok(output),
        Err(payload) => {
            let message = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied());
            tracing::error!(message, "a handler panicked");
            Err(Problem::internal().into_response())
        }
    }
}
