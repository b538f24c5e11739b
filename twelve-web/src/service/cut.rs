//! Bodies that did not arrive whole, and what axum's extractors say of them.
//!
//! They answer with a text, and with 400 for everything but a length that is over the limit.
//! We know the reason: the problem that [`limit::problem`] makes of it takes the text's place, in merged routers too.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    mem::take,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};
use twelve_core::Problem;

use crate::{limit, server::Peer};

/// How the text of axum's begins, and how long it is at most.
const TEXT: &[u8] = b"Failed to buffer the request body";
const LONGEST: u64 = 1024;

/// A body that may fail before its end.
pub(super) struct Cut {
    why: Arc<OnceLock<Problem>>,
    peer: Option<Peer>,
}

impl Cut {
    /// Watches the body of a request; one without a body cannot be cut.
    pub(super) fn watch(request: &mut Request) -> Option<Self> {
        if request.body().is_end_stream() {
            return None;
        }
        let why = Arc::default();
        let noted = Arc::clone(&why);
        let body = take(request.body_mut());
        *request.body_mut() = Body::new(Watched { body, why: noted });
        let peer = request.extensions().get().cloned();
        Some(Self { why, peer })
    }

    /// Puts the problem in place of axum's text, if the body has failed.
    pub(super) async fn explain(&self, response: &mut Response) {
        let Some(problem) = self.why.get() else {
            return;
        };
        if let Some(peer) = &self.peer {
            // Where the next request would begin is not known.
            peer.linger();
        }
        if !is_short_text(response) {
            return;
        }
        let text = take(response.body_mut()).collect().await;
        let text = text.unwrap_or_default().to_bytes();
        if text.starts_with(TEXT) {
            *response = problem.clone().into_response();
        } else {
            *response.body_mut() = Body::from(text);
        }
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
