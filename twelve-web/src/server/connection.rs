//! One connection, from its first byte to its end.

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_util::task::TaskTracker;
use twelve_core::{Context, Lifecycle};

use super::{
    activity::{Activity, KEEP_ALIVE, Over},
    io::Io,
    peer::{Peer, STREAMS},
    places::Places,
    request::Exchange,
};
use crate::{service::Service, settings::Settings};

/// How often an HTTP/2 client must prove that it is there, and how long it has for that.
const PING: Duration = Duration::from_secs(20);

/// How much of its bodies an HTTP/2 client may send that nobody has read yet, on a stream and on all of a connection.
///
/// It is memory that no budget counts. Proxies are near: at 1 ms a stream still brings 100 MB a second.
const STREAM_WINDOW: u32 = 128 << 10;
const WINDOW: u32 = 256 << 10;

/// How much of an HTTP/1 connection is read at once, and how large a head may be.
const BUFFER: usize = 64 << 10;

/// When a connection is to end: how long it may be silent, and how long a new one has for its first request.
const GRACE: Duration = Duration::from_secs(1);

/// The same for one whose place is needed.
const LEAVE: Duration = Duration::from_millis(100);

/// What all connections of a server share.
pub(super) struct Connections {
    service: Service,
    lifecycle: Lifecycle,
    protocol: Builder<TokioExecutor>,
    header_timeout: Duration,
    places: Arc<Places>,
    open: TaskTracker,
}

/// Why a connection is to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The process announces its end, and HTTP/2 has a way to tell the client.
    Announced,
    /// The process drains.
    Draining,
    /// For a reason of its own.
    Over(Over),
}

impl Connections {
    pub(super) fn new(
        service: Service,
        context: &Context,
        settings: &Settings,
        places: Arc<Places>,
    ) -> Self {
        let mut protocol = Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            // A request that has arrived whole is handled to its end: its client may have closed its half, or left, and will ask again for the result.
            .half_close(true)
            .max_buf_size(BUFFER)
            // hyper counts the idle time before a head as part of it; the time for the head itself is `Activity::stalled`.
            .header_read_timeout(settings.header_timeout.max(KEEP_ALIVE));
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_concurrent_streams(STREAMS);
        Self {
            service,
            lifecycle: context.lifecycle().clone(),
            protocol,
            header_timeout: settings.header_timeout,
            places,
            open: TaskTracker::new(),
        }
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The connections that are open, upgraded ones too.
    pub(super) fn open(&self) -> &TaskTracker {
        &self.open
    }

    /// Serves a connection in a task of its own.
    pub(super) fn serve(self: &Arc<Self>, stream: TcpStream, entry: OwnedSemaphorePermit) {
        // Answers are written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        end_when_nothing_is_taken(&stream);
        let activity = Activity::new();
        let (place, listed) = self.places.take(entry, &activity);
        let io = Io {
            stream,
            activity,
            place,
            peer: Peer::new(),
            ended: false,
            open: self.open.token(),
        };
        let connections = Arc::clone(self);
        tokio::spawn(async move {
            // It is dropped when an author's stream panics, too.
            let _listed = listed;
            connections.run(io).await;
        });
    }

    async fn run(&self, io: Io) {
        let activity = io.activity.clone();
        let seat = io.place.seat.clone();
        let exchange = Arc::new(Exchange {
            service: self.service.clone(),
            lifecycle: self.lifecycle.clone(),
            activity: activity.clone(),
            peer: io.peer.clone(),
            seat: seat.clone(),
            share: self.service.limits().share(),
        });
        let respond = service_fn(|request| Arc::clone(&exchange).respond(request));
        let connection = self
            .protocol
            .serve_connection_with_upgrades(TokioIo::new(io), respond);
        let mut connection = pin!(connection);
        // The connection comes first: what has arrived is read before it is told to end.
        let end = tokio::select! {
            biased;
            result = connection.as_mut() => return ended(result),
            over = activity.over(self.header_timeout) => End::Over(over),
            end = self.last_call(&activity) => end,
        };
        if matches!(end, End::Over(_)) && activity.may_be_cut() {
            return;
        }
        connection.as_mut().graceful_shutdown();
        let is_displaced = || seat.as_ref().is_some_and(|seat| seat.is_displaced());
        let last = async |over| match over {
            _ if is_displaced() => tokio::time::sleep(GRACE).await,
            Over::Evicted => activity.silent(LEAVE).await,
            Over::Stalled | Over::Idle => activity.silent(GRACE).await,
        };
        let patience = async {
            match end {
                End::Announced => {
                    self.lifecycle.draining().await;
                    activity.silent(GRACE).await;
                }
                End::Draining => activity.silent(GRACE).await,
                End::Over(over) => last(over).await,
            }
        };
        let over = async {
            if matches!(end, End::Over(_)) {
                std::future::pending::<()>().await;
            }
            let over = activity.over(self.header_timeout).await;
            if !activity.may_be_cut() {
                last(over).await;
            }
        };
        tokio::select! {
            biased;
            result = connection => ended(result),
            () = over => {}
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
