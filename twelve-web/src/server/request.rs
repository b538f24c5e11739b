//! One request of a connection.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Version, header},
    response::IntoResponse,
};
use http_body::{Frame, SizeHint};
use hyper::{Request, Response, body::Incoming};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use twelve_core::{Lifecycle, Problem, State, Tracked};

use super::{activity::InFlight, head, peer::Peer, places::Seat};
use crate::service::{Service, is_probe};

/// The longest path that the tracker's list shows, in bytes.
const SHOWN: usize = 100;

/// Answers a request; it counts as running until the answer's body has been produced.
pub(super) async fn respond(
    service: Service,
    lifecycle: Lifecycle,
    mut in_flight: InFlight,
    peer: Peer,
    seat: Option<Arc<Seat>>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let version = request.version();
    let tracked = lifecycle.tracker().begin(name(&request));
    let checked = head::check(&mut request);
    let is_refused = checked.is_err();
    let is_full = match seat {
        Some(seat) if !is_refused && !is_probe(request.uri().path()) => !seat.is_admitted().await,
        _ => false,
    };
    let mut response = match checked {
        Ok(()) if is_full => full(),
        Ok(()) => {
            request.extensions_mut().insert(peer);
            service.respond(request.map(Body::new)).await
        }
        Err(problem) => {
            // Where a request ends that nobody understands is not known; HTTP/2 has frames for that.
            if version < Version::HTTP_2 {
                peer.linger();
            }
            problem.into_response()
        }
    };
    let is_last = is_refused || is_full || lifecycle.state() >= State::Announce;
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

/// The answer to a request whose connection found no place.
fn full() -> Response<Body> {
    let full = Problem::new(503, "too-many-connections", "Every connection is in use");
    full.retry_after(1).into_response()
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
