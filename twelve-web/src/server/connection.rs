//! One connection, from its first byte to its end.

use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;
use twelve_core::{Context, Lifecycle};

use super::{activity::Activity, io::Io, peer::Peer, request};
use crate::{Service, settings::Settings};

/// How long an HTTP/1 connection may be idle between two requests.
///
/// Longer than the 60 s after which common load balancers close theirs: whoever closes first must not be us, or a request meets a closed connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How often an HTTP/2 client must prove that it is there, and how long it has for that.
const PING: Duration = Duration::from_secs(20);

/// Requests that one HTTP/2 connection may have open at once.
pub(super) const STREAMS: u32 = 200;

/// When a connection is to end: how long it may be silent, and how long a new one has for its first request.
const GRACE: Duration = Duration::from_secs(1);

/// What all connections of a server share.
pub(super) struct Connections {
    service: Service,
    lifecycle: Lifecycle,
    protocol: Builder<TokioExecutor>,
    header_timeout: Duration,
    room: Arc<Semaphore>,
    open: TaskTracker,
}

/// Why a connection is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process announces its end, and HTTP/2 has a way to tell the client.
    Announced,
    /// The process drains.
    Draining,
    /// The head of a request arrived too slowly.
    Stalled,
}

impl Connections {
    pub(super) fn new(service: Service, context: &Context, settings: &Settings) -> Self {
        let mut protocol = Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            // A request that has arrived whole is handled to its end: its client may have closed its half, or left, and will ask again for the result.
            .half_close(true)
            // hyper counts the idle time before a head as part of it; the time for the head itself is `Activity::stalled`.
            .header_read_timeout(settings.header_timeout.max(KEEP_ALIVE));
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(STREAMS);
        Self {
            service,
            lifecycle: context.lifecycle().clone(),
            protocol,
            header_timeout: settings.header_timeout,
            room: Arc::new(Semaphore::new(
                settings.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            open: TaskTracker::new(),
        }
    }

    /// Waits until one more connection may be open.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.room).acquire_owned().await {
            Ok(permit) => permit,
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Room for one more connection, if there is any.
    pub(super) fn room_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// The connections that are open, upgraded ones too.
    pub(super) fn open(&self) -> &TaskTracker {
        &self.open
    }

    /// Serves a connection in a task of its own.
    pub(super) fn serve(self: &Arc<Self>, stream: TcpStream, permit: OwnedSemaphorePermit) {
        // Answers are written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        end_when_nothing_is_taken(&stream);
        let io = Io {
            stream,
            activity: Activity::new(),
            peer: Peer::new(),
            ended: false,
            permit,
            open: self.open.token(),
        };
        tokio::spawn(Arc::clone(self).run(io));
    }

    async fn run(self: Arc<Self>, io: Io) {
        let activity = io.activity.clone();
        let peer = io.peer.clone();
        let respond = service_fn(|request: hyper::Request<Incoming>| {
            request::respond(
                self.service.clone(),
                self.lifecycle.clone(),
                activity.begin(),
                peer.clone(),
                request,
            )
        });
        let connection = self
            .protocol
            .serve_connection_with_upgrades(TokioIo::new(io), respond);
        let mut connection = pin!(connection);
        // The connection comes first: what has arrived is read before it is told to end.
        let end = tokio::select! {
            biased;
            result = connection.as_mut() => return ended(result),
            () = activity.stalled(self.header_timeout) => End::Stalled,
            end = self.last_call(&activity) => end,
        };
        connection.as_mut().graceful_shutdown();
        let patience = async {
            if end == End::Announced {
                self.lifecycle.draining().await;
            }
            activity.silent(GRACE).await;
        };
        tokio::select! {
            biased;
            result = connection => ended(result),
            () = activity.stalled(self.header_timeout) => {}
            () = patience => {}
            () = self.lifecycle.overdue() => {}
        }
    }

    /// Resolves when this connection has to end for the process to end.
    async fn last_call(&self, activity: &Activity) -> End {
        self.lifecycle.announced().await;
        tokio::select! {
            biased;
            () = activity.speaks_http2() => return End::Announced,
            () = self.lifecycle.draining() => {}
        }
        // The runtime looks at its sockets before it goes on: a request that has arrived already is still read.
        tokio::task::yield_now().await;
        // Whoever was let in a moment ago has not had the time to ask.
        activity.asked_or_had(GRACE).await;
        End::Draining
    }
}

/// Has the kernel end the connection when the client takes nothing of what waits to be sent, for [`PROGRESS`](crate::limit::PROGRESS).
///
/// Only the kernel knows: it buffers megabytes, and asks us for more when a third of them is sent, which takes a slow client minutes.
/// It counts only while something waits (tcp(7), `TCP_USER_TIMEOUT`): streams of events and upgraded connections with nothing to say are left alone.
/// An HTTP/2 client that reads its socket but does not open the window of a stream holds that stream, and no more connections than any idle client.
#[cfg(target_os = "linux")]
fn end_when_nothing_is_taken(stream: &TcpStream) {
    if let Ok(progress_ms) = u32::try_from(crate::limit::PROGRESS.as_millis()) {
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, progress_ms);
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Clients leave as they like: that is worth a line only to somebody who looks for it.
fn ended(result: Ended) {
    if let Err(error) = result {
        let error = twelve_core::chain(&*error);
        tracing::debug!(error, "a connection ended early");
    }
}
