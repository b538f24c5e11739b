//! One request of a connection.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Method, Version, header},
    response::IntoResponse,
};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{Request, Response, body::Incoming};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use twelve_core::{Lifecycle, Problem, State, Tracked};

use super::{
    activity::{Activity, InFlight},
    head,
    peer::Peer,
    places::Seat,
};
use crate::{
    limit::Share,
    service::{Service, fit, is_probe},
};

/// The longest path that the tracker's list shows, in bytes.
const SHOWN: usize = 100;

/// What the requests of a connection share.
pub(super) struct Exchange {
    pub(super) service: Service,
    pub(super) lifecycle: Lifecycle,
    pub(super) activity: Activity,
    pub(super) peer: Peer,
    pub(super) seat: Option<Arc<Seat>>,
    pub(super) share: Share,
}

impl Exchange {
    /// Answers a request; it counts as running until the answer's body has been produced.
    pub(super) fn respond(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send {
        let mut in_flight = self.activity.begin();
        let tracked = self.lifecycle.tracker().begin(name(&request));
        let version = request.version();
        let for_head = request.method() == Method::HEAD;
        let checked = head::check(&mut request);
        async move {
            let refused = match checked {
                // Where a request ends that nobody understands is not known.
                Err(problem) => {
                    self.peer.linger();
                    Some(problem)
                }
                Ok(()) if self.is_admitted(&request).await => None,
                Ok(()) => Some(full()),
            };
            let is_refused = refused.is_some();
            let mut response = if let Some(problem) = refused {
                let mut response = problem.into_response();
                fit(&mut response, for_head);
                response
            } else {
                if !request.body().is_end_stream() {
                    request.extensions_mut().insert(self.share.clone());
                }
                request.extensions_mut().insert(self.peer.clone());
                self.service.respond(request.map(Body::new)).await
            };
            let is_last =
                is_refused || self.peer.lingers() || self.lifecycle.state() >= State::Announce;
            if version < Version::HTTP_2 && is_last {
                let close = HeaderValue::from_static("close");
                let headers = response.headers_mut();
                // An upgrade says `Connection: upgrade`, and ends the HTTP connection anyway.
                headers.entry(header::CONNECTION).or_insert(close);
            }
            in_flight.set_untaken(true);
            Ok(response.map(|body| Answer {
                body,
                in_flight,
                _tracked: tracked,
            }))
        }
    }

    /// Waits for a place, if the connection has none; false when none became free in time.
    async fn is_admitted(&self, request: &Request<Incoming>) -> bool {
        match &self.seat {
            Some(seat) if !is_probe(request.uri().path()) => seat.is_admitted().await,
            _ => true,
        }
    }
}

/// The answer to a request whose connection found no place.
fn full() -> Problem {
    let full = Problem::new(503, "too-many-connections", "Every connection is in use");
    full.retry_after(1)
}

fn name(request: &Request<Incoming>) -> String {
    let path = request.uri().path();
    let shown = &path[..path.floor_char_boundary(SHOWN)];
    format!("{} {shown}", request.method())
}

/// The body of an answer, which keeps its request counted.
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
    _tracked: Tracked,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // It is asked for more only when there is room for it.
        self.in_flight.set_untaken(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
