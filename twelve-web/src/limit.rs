//! The limit of request bodies.

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request, rejection::BytesRejection},
    http::{StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{error::Error, time::Duration};
use twelve_core::Problem;

/// How long the rest of a refused body is read and thrown away.
///
/// Closing a socket with unread bytes resets it, and the client may then never see why it was refused.
const DISCARD: Duration = Duration::from_secs(2);

/// Bounds the body of a request; one that says that it is too large is refused before a byte of it is read.
pub(crate) fn bound(mut request: Request, limit: usize) -> Result<Request, Response> {
    // Ours takes the place of axum's, so that it can be larger than 2 MiB.
    DefaultBodyLimit::disable().apply(&mut request);
    let size = request.body().size_hint();
    let limit_u64 = u64::try_from(limit).unwrap_or(u64::MAX);
    if size.lower() > limit_u64 {
        return Err(refuse(request, limit));
    }
    if size.upper().is_some_and(|upper| upper <= limit_u64) {
        return Ok(request);
    }
    Ok(request.map(|body| Body::new(Limited::new(body, limit))))
}

fn refuse(request: Request, limit: usize) -> Response {
    let version = request.version();
    // A client that waits for `100 Continue` sends nothing, as long as nobody asks for the body.
    if !request.headers().contains_key(header::EXPECT) {
        discard(request.into_body());
    }
    let mut response = too_large()
        .detail(format!("at most {limit} bytes are taken"))
        .into_response();
    if version < Version::HTTP_2 {
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

fn discard(mut body: Body) {
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Whoever still sends after that time is cut off.
        let _ = tokio::time::timeout(DISCARD, rest).await;
    });
}

fn too_large() -> Problem {
    Problem::new(413, "body-too-large", "The body is too large")
}

fn unreadable() -> Problem {
    Problem::new(400, "unreadable-body", "The body did not arrive whole")
}

/// Why axum could not buffer a body.
pub(crate) fn problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        too_large()
    } else {
        unreadable()
    }
}

/// Why a body could not be read to its end.
pub(crate) fn read_problem(error: &(dyn Error + 'static)) -> Problem {
    let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<LengthLimitError>) {
        too_large()
    } else {
        unreadable()
    }
}
