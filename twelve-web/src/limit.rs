//! The limits of request bodies: how large one is, and how long it may stand still.
//!
//! A transfer that makes no progress for [`PROGRESS`] ends, in either direction.
//! Here it is the request whose next bytes the handler waits for: [`Json`](crate::Json) and idempotent routes answer 408, axum's own extractors 400, and HTTP/1 closes over what is missing.
//! An answer that the client does not take is the socket's affair, see `server::connection`.

use axum::{
    BoxError,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{Version, header},
    response::{IntoResponse, Response},
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use twelve_core::Problem;

/// How long the rest of a refused body is read and thrown away.
///
/// Closing a socket with unread bytes resets it, and the client may then never see why it was refused.
const DISCARD: Duration = Duration::from_secs(2);

/// How long a transfer may make no progress at all while the client is the one to move.
///
/// A slow one that moves has all the time that it needs, and so has one that waits for us.
pub(crate) const PROGRESS: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });

/// Bounds the body of a request; one that says that it is too large is refused before a byte of it is read.
pub(crate) fn bound(mut request: Request, limit: usize) -> Result<Request, Response> {
    // Ours takes the place of axum's, so that it can be larger than 2 MiB.
    DefaultBodyLimit::disable().apply(&mut request);
    let size = request.body().size_hint();
    let limit_u64 = u64::try_from(limit).unwrap_or(u64::MAX);
    if size.lower() > limit_u64 {
        return Err(refuse(request, limit));
    }
    if size.upper() == Some(0) {
        return Ok(request);
    }
    Ok(request.map(|body| Body::new(Arriving::new(Limited::new(body, limit)))))
}

/// A body that fails when it stands still.
struct Arriving {
    body: Limited<Body>,
    /// Runs while the next bytes are waited for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn new(body: Limited<Body>) -> Self {
        let patience = None;
        Self { body, patience }
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.patience = None;
            return Poll::Ready(frame);
        }
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PROGRESS)));
        ready!(patience.as_mut().poll(context));
        Poll::Ready(Some(Err(Box::new(Stalled))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nothing of the body arrived for too long.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing of the body arrived for too long")
    }
}

impl Error for Stalled {}

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

/// Why a body could not be read to its end.
pub(crate) fn problem(error: &(dyn Error + 'static)) -> Problem {
    for cause in std::iter::successors(Some(error), |&cause| cause.source()) {
        // axum's own rejection has it in a box.
        if cause.is::<LengthLimitError>() || cause.is::<Box<LengthLimitError>>() {
            return too_large();
        }
        if cause.is::<Stalled>() {
            return Problem::new(408, "request-timeout", "The body stopped arriving");
        }
    }
    Problem::new(400, "unreadable-body", "The body did not arrive whole")
}
