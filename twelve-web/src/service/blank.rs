//! Problem documents for the answers that have no body.

use axum::{
    body::HttpBody,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use twelve_core::Problem;

/// Gives a bare 404 or 405 its problem document.
///
/// axum answers so when nothing matches, in merged routers too; a handler that returns a bare status means the same.
pub(super) fn fill(response: Response) -> Response {
    let problem = match response.status() {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(405, "method-not-allowed", "This method is not allowed here")
        }
        _ => return response,
    };
    let has_body = response.body().size_hint().exact() != Some(0);
    if has_body || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let (mut parts, body) = problem.into_response().into_parts();
    // Such as `Allow`; but not the length of the body that was not there.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH {
            parts.headers.append(name, value.clone());
        }
    }
    Response::from_parts(parts, body)
}
