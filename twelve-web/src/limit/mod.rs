//! The limits of request bodies: how large one is, how much memory all of them take, and how slowly one may arrive.
//!
//! A transfer that makes no progress for [`PROGRESS`] ends, in either direction.
//! Here it is the request whose next bytes the handler waits for: it is answered 408, whichever extractor waits, and HTTP/1 closes over what is missing.
//! So does a body that comes too slowly on the whole.
//! An answer that the client does not take is the socket's affair, see `server::connection`.

mod arriving;
mod budget;
mod patience;

pub(crate) use budget::{Held, Share};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::header,
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::{error::Error, fmt, sync::Arc, time::Duration};
use twelve_core::{Lifecycle, Problem};

use self::{
    arriving::Arriving,
    budget::{Budget, Full},
    patience::Patience,
};
use crate::{server::Peer, settings::Settings};

/// How long the rest of a refused body is read and thrown away.
///
/// Closing a socket with unread bytes resets it, and the client may then never see why it was refused.
const DISCARD: Duration = Duration::from_secs(2);

/// How long a transfer may make no progress at all while the client is the one to move.
///
/// A slow one that moves has all the time that it needs, and so has one that waits for us.
pub(crate) const PROGRESS: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });

/// What all bodies of a process share.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Arc<OfProcess>);

#[derive(Debug)]
struct OfProcess {
    body: usize,
    budget: Budget,
    lifecycle: Lifecycle,
}

impl Limits {
    pub(crate) fn new(settings: &Settings, lifecycle: &Lifecycle) -> Self {
        Self(Arc::new(OfProcess {
            body: settings.body_limit,
            budget: Budget::new(settings.body_budget, settings.body_limit),
            lifecycle: lifecycle.clone(),
        }))
    }

    /// What the bodies of one connection may take; each request that has one finds it among its extensions.
    pub(crate) fn share(&self) -> Share {
        Share::of(self)
    }

    fn budget(&self) -> &Budget {
        &self.0.budget
    }
}

/// Bounds the body of a request; one that says that it is too large is refused before a byte of it is read.
///
/// What the body takes of the budget is [`Held`], among the request's extensions: it is to live as long as the request.
pub(crate) fn bound(mut request: Request, limits: &Limits) -> Result<Request, Response> {
    let limit = limits.0.body;
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
    let share = request.extensions_mut().remove();
    let held = Held::new(share.unwrap_or_else(|| limits.share()));
    request.extensions_mut().insert(held.clone());
    let patience = Patience::new(limits.0.lifecycle.clone());
    Ok(request.map(|body| Body::new(Arriving::new(Limited::new(body, limit), patience, held))))
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
    if let Some(peer) = request.extensions().get::<Peer>() {
        peer.linger();
    }
    // A client that waits for `100 Continue` sends nothing, as long as nobody asks for the body.
    if !request.headers().contains_key(header::EXPECT) {
        discard(request.into_body());
    }
    too_large()
        .detail(format!("at most {limit} bytes are taken"))
        .into_response()
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
        match cause.downcast_ref() {
            Some(Full::Busy) => {
                let busy = Problem::new(503, "too-many-bodies", "Too many bodies arrive at once");
                return busy.retry_after(1);
            }
            Some(Full::TooLarge) => return too_large(),
            None => {}
        }
        if cause.is::<Stalled>() {
            return Problem::new(408, "request-timeout", "The body stopped arriving");
        }
    }
    Problem::new(400, "unreadable-body", "The body did not arrive whole")
}
