//! Problem documents for the answers that have no body.

use axum::{
    body::HttpBody,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use twelve_core::Problem;

/// Gives a bare 404 or 405 its problem document.
///
/// axum answers so when nothing matches, in merged routers too; a handler that returns a bare status means the same.
/// A method that nobody knows is 501 (RFC 9110, section 9.1): 405 would say that it works elsewhere.
pub(super) fn fill(response: Response, method: &Method) -> Response {
    let problem = match response.status() {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED if is_known(method) => {
            Problem::new(405, "method-not-allowed", "This method is not allowed here")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(501, "method-unknown", "This method is not known here")
        }
        _ => return response,
    };
    let has_body = response.body().size_hint().exact() != Some(0);
    if has_body || had_body(response.headers()) {
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

/// Was there a body before it was taken off the answer to HEAD?
fn had_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_TYPE)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0")
}

/// The methods of RFC 9110 and RFC 5789.
fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::CONNECT
            | Method::OPTIONS
            | Method::TRACE
            | Method::PATCH
    )
}
