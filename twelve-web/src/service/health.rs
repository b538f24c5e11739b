//! `/health` and `/ready`, answered before anything else.
//!
//! Liveness says that the runtime turns, readiness that this process takes work.
//! Neither asks a backing service: an outage of a shared database must not restart or unlist every process at once.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use twelve_core::{Lifecycle, Problem, State};

use crate::extract::Json;

/// Is this the path of a probe, which is answered whatever else there is to do?
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/ready")
}

pub(super) fn answer(request: &Request, lifecycle: &Lifecycle) -> Option<Response> {
    let state = lifecycle.state();
    let mut answer = match request.uri().path() {
        "/health" => report(state),
        "/ready" if state == State::Ready => report(state),
        "/ready" => Problem::new(503, "not-ready", "This process takes no new work")
            .with("state", state.name())
            .into_response(),
        _ => return None,
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        answer = StatusCode::METHOD_NOT_ALLOWED.into_response();
        let allow = HeaderValue::from_static("GET,HEAD");
        answer.headers_mut().insert(header::ALLOW, allow);
        return Some(super::blank::fill(answer, request.method()));
    }
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Some(answer)
}

fn report(state: State) -> Response {
    Json(serde_json::json!({ "state": state.name() })).into_response()
}
