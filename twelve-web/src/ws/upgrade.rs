//! The extractor that turns a request into a WebSocket.

use axum::{
    extract::{
        FromRef, FromRequestParts,
        ws::{self, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Version, header, request::Parts},
    response::{IntoResponse, Response},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tracing::Instrument;
use twelve_core::{Context, Failure, IntoEnd, Lifecycle, Problem};

use super::{Closed, WebSocket, driver::Driver};
use crate::{server::Peer, service::catch};

/// How large a message may be, in bytes, unless the upgrade says otherwise.
const MESSAGE: usize = 64 << 10;

/// How often a client must prove that it is there; load balancers close what is silent for 60 s.
const PING: Duration = Duration::from_secs(25);

/// What each socket reads at once. tungstenite would set 128 KiB aside for each, idle ones too.
const READ_BUFFER: usize = 8 << 10;

/// The longest path that the tracker's list shows, in bytes.
const SHOWN: usize = 100;

/// The offer of a client to go on with a WebSocket.
///
/// As an argument it refuses a request that is none with 426 `upgrade-required`.
///
/// # Origins
///
/// A browser lets any page open a WebSocket to any host, and sends the host's cookies along.
/// So [`on_upgrade`](Self::on_upgrade) refuses a page of another host than the request's own with 403 `foreign-origin`: the socket's handler never runs.
/// The route's has run as far as that, so let it write nothing before.
/// Clients that are no browsers send no `Origin`, and are let in.
/// Behind a proxy that rewrites `Host`, every page is of another host: name the site with [`allow_origin`](Self::allow_origin).
/// Where something other than a cookie says who is asking, such as a token in the query, no foreign page can ask in a user's name: say so with [`any_origin`](Self::any_origin).
#[derive(Debug)]
#[must_use = "an upgrade does nothing until `on_upgrade`"]
pub struct WebSocketUpgrade {
    upgrade: ws::WebSocketUpgrade,
    lifecycle: Lifecycle,
    /// What the tracker calls the socket.
    name: String,
    /// The origin of the page, when that is of another host and not allowed.
    foreign: Option<HeaderValue>,
    ping_every: Duration,
    /// The connection; `None` in process.
    peer: Option<Peer>,
}

impl WebSocketUpgrade {
    /// Lets pages of this origin in too, such as `https://shop.example`; may be called several times.
    ///
    /// This is for a site on another host, and for a proxy that rewrites `Host`, as nginx does unless told `proxy_set_header Host $http_host`: the origin of the browser's page is then never the host that arrives here.
    ///
    /// The origin is compared whole, as browsers write it: scheme, host, and the port unless it is the scheme's own.
    /// Upper and lower case are the same.
    ///
    /// ```
    /// use axum::response::Response;
    /// use twelve_web::ws::WebSocketUpgrade;
    /// async fn live(upgrade: WebSocketUpgrade) -> Response {
    ///     let upgrade = upgrade.allow_origin("https://shop.example");
    ///     upgrade.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
    /// }
    /// ```
    pub fn allow_origin(mut self, origin: &str) -> Self {
        let allowed = |page: &HeaderValue| page.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.foreign = self.foreign.filter(|page| !allowed(page));
        self
    }

    /// Lets pages of any origin in.
    ///
    /// With a cookie that says who is asking, any site can then ask in the name of its visitors: [`allow_origin`](Self::allow_origin) is for those.
    pub fn any_origin(mut self) -> Self {
        self.foreign = None;
        self
    }

    /// How large a message of the client's may be, in bytes: 65,536 by default.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.upgrade = self.upgrade.max_message_size(bytes).max_frame_size(bytes);
        self
    }

    /// The subprotocols that this server speaks, the best first; the first one that the client offers is chosen.
    pub fn protocols(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.upgrade = self.upgrade.protocols(names);
        self
    }

    #[cfg(test)]
    pub(super) fn ping_every(mut self, time: Duration) -> Self {
        self.ping_every = time;
        self
    }

    /// Upgrades the connection, and hands the socket to `handler`; the response must be returned.
    ///
    /// A page of a foreign origin is refused here, with 403.
    ///
    /// The handler may return nothing or a `Result<(), E>`.
    /// When it returns, the socket is closed with 1000, or with 1011 when it failed or panicked; the error is logged.
    /// That its client had left ([`Closed`]) is no failure, so `socket.send(…).await?` just works.
    /// The process waits for it to return when it drains.
    pub fn on_upgrade<F, Fut>(self, handler: F) -> Response
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: IntoEnd,
    {
        if self.foreign.is_some() {
            return Problem::new(403, "foreign-origin", "A page of another site asks")
                .into_response();
        }
        let Self {
            lifecycle,
            ping_every,
            peer,
            ..
        } = self;
        // From here on, so that there is no moment at which nothing seems to run.
        let tracked = lifecycle.tracker().begin(self.name);
        let span = tracing::Span::current();
        self.upgrade.on_upgrade(move |socket| {
            let serving = async move {
                let _tracked = tracked;
                let failed = Arc::new(AtomicBool::new(false));
                let (driver, socket) = Driver::new(
                    socket,
                    lifecycle.clone(),
                    ping_every,
                    Arc::clone(&failed),
                    peer,
                );
                // In one task: when the handler lets go of its socket by ending, the driver finds out how it ended.
                let handling = async {
                    let ended = catch(async { handler(socket).await.into_end() }).await;
                    failed.store(is_failure(&ended), Ordering::Relaxed);
                };
                tokio::select! {
                    biased;
                    () = lifecycle.overdue() => {}
                    _ = async { tokio::join!(driver.run(), handling) } => {}
                }
            };
            serving.instrument(span)
        })
    }
}

impl<S> FromRequestParts<S> for WebSocketUpgrade
where
    S: Send + Sync,
    Context: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let upgrade = ws::WebSocketUpgrade::from_request_parts(parts, state)
            .await
            .map_err(|rejection| refusal(&rejection, parts.version))?;
        let path = parts.uri.path();
        let upgrade = Self {
            upgrade: upgrade.read_buffer_size(READ_BUFFER),
            lifecycle: Context::from_ref(state).lifecycle().clone(),
            name: format!("WebSocket {}", &path[..path.floor_char_boundary(SHOWN)]),
            foreign: foreign(&parts.headers).cloned(),
            ping_every: PING,
            peer: parts.extensions.get().cloned(),
        };
        Ok(upgrade.max_message_size(MESSAGE))
    }
}

/// Has a handler failed? Then the log tells why; a panic is in it already.
fn is_failure(ended: &Result<Result<(), Failure>, Response>) -> bool {
    match ended {
        Ok(Ok(())) => false,
        // It sent to somebody who had left.
        Ok(Err(failure)) if failure.find::<Closed>().is_some() => false,
        Ok(Err(failure)) if failure.is_unavailable() => {
            tracing::warn!(error = %failure, "a WebSocket ends: a backing service is unavailable");
            true
        }
        Ok(Err(failure)) => {
            tracing::error!(error = %failure, "the handler of a WebSocket failed");
            true
        }
        Err(_) => true,
    }
}

/// The origin of the page, when that is of another host. A page without an origin of its own says `null`.
fn foreign(headers: &HeaderMap) -> Option<&HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let host = |value: &HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
    let page = host(origin).and_then(|origin| Some(origin.split_once("://")?.1.to_owned()));
    (page.is_none() || page != headers.get(header::HOST).and_then(host)).then_some(origin)
}

fn refusal(rejection: &WebSocketUpgradeRejection, version: Version) -> Response {
    if let WebSocketUpgradeRejection::WebSocketKeyHeaderMissing(_)
    | WebSocketUpgradeRejection::MethodNotGet(_) = rejection
    {
        return Problem::bad_request(rejection.body_text()).into_response();
    }
    let problem = Problem::new(426, "upgrade-required", "There is a WebSocket here");
    let mut response = problem.detail(rejection.body_text()).into_response();
    // HTTP/2 knows no such headers (RFC 9113, section 8.2.2).
    if version < Version::HTTP_2 {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_host_is_foreign() {
        let is_foreign = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("shop.example:8080"));
            if let Some(origin) = origin {
                headers.insert("origin", HeaderValue::from_static(origin));
            }
            foreign(&headers).is_some()
        };
        assert!(!is_foreign(None));
        assert!(!is_foreign(Some("http://shop.example:8080")));
        assert!(!is_foreign(Some("https://Shop.Example:8080")));
        for origin in ["http://shop.example", "https://evil.example", "null", ""] {
            assert!(is_foreign(Some(origin)), "{origin:?}");
        }
    }
}
