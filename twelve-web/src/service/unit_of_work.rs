//! One request, one unit of work: its `Tx` commits before the first byte of a good answer, else it rolls back.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tower::ServiceExt;
use twelve_core::Slot;

use super::catch;

pub(super) async fn run(routes: &axum::Router, mut request: Request) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let response = match catch(routes.clone().oneshot(request)).await {
        Ok(Ok(response)) | Err(response) => response,
        Ok(Err(never)) => match never {},
    };
    settle(&slot, response).await
}

/// Commits or rolls back, judging by the status.
async fn settle(slot: &Slot, response: Response) -> Response {
    if response.status().as_u16() >= 400 {
        slot.rollback().await;
        return response;
    }
    match slot.commit().await {
        Ok(()) => response,
        Err(error) => error.into_response(),
    }
}
