//! Bodies that did not arrive whole, and what axum's extractors say of them.
//!
//! They answer with a text, and with 400 for everything but a length that is over the limit.
//! We know the reason: the problem that [`limit::problem`] makes of it takes the text's place, in merged routers too.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header},
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};
use twelve_core::Problem;

use crate::limit;

/// How the text of axum's begins, and how long it is at most.
const TEXT: &[u8] = b"Failed to buffer the request body";
const LONGEST: u64 = 1024;

/// Why the body of a request failed, once it has.
pub(super) struct Cut {
    why: Option<Arc<OnceLock<Problem>>>,
    version: Version,
}

impl Cut {
    /// Watches the body of a request; one without a body cannot be cut.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        let version = request.version();
        if request.body().is_end_stream() {
            return (request, Self { why: None, version });
        }
        let why = Arc::default();
        let noted = Arc::clone(&why);
        let request = request.map(|body| Body::new(Watched { body, why: noted }));
        let why = Some(why);
        (request, Self { why, version })
    }

    /// The answer, with the problem in place of axum's text.
    pub(super) async fn explain(&self, mut response: Response) -> Response {
        let Some(problem) = self.why.as_ref().and_then(|why| why.get()) else {
            return response;
        };
        if is_short_text(&response) {
            let (parts, body) = response.into_parts();
            let text = body.collect().await.unwrap_or_default().to_bytes();
            response = if text.starts_with(TEXT) {
                problem.clone().into_response()
            } else {
                Response::from_parts(parts, Body::from(text))
            };
        }
        if self.version < Version::HTTP_2 {
            // Where the next request would begin is not known.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

fn is_short_text(response: &Response) -> bool {
    let headers = response.headers();
    response.status().is_client_error()
        && headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/plain"))
        && matches!(response.body().size_hint().exact(), Some(..=LONGEST))
}

/// A body that notes why it failed.
struct Watched {
    body: Body,
    why: Arc<OnceLock<Problem>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Err(error)) = &frame {
            // The first reason is the reason.
            let _ = self.why.set(limit::problem(error));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
