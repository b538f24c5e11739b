//! Accepts connections, and drops them all when it is dropped.

use std::{convert::Infallible, future::Future, io, io::Write as _, net, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// How many connections a server has at most. Each may hold a mail that is arriving.
const CONNECTIONS: usize = 32;

/// How long the loop rests after an error such as "too many open files", which trying again at once would not mend.
const REST: Duration = Duration::from_millis(100);

/// How long the head of an HTTP request may take.
const HEAD: Duration = Duration::from_secs(10);

/// What one connection too many is told in HTTP.
pub(super) const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Has a conversation with everyone who connects; those beyond the limit are told that it is `busy`.
pub(super) async fn serve<F>(
    listener: net::TcpListener,
    busy: &str,
    converse: impl Fn(TcpStream) -> F,
) -> io::Result<Infallible>
where
    F: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS => {
                connections.spawn(converse(stream));
            }
            Ok((stream, _)) => {
                // So little fits into the empty buffer of a new socket; whoever left already misses nothing.
                let _ = stream
                    .into_std()
                    .and_then(|mut stream| stream.write_all(busy.as_bytes()));
            }
            Err(error) => {
                tracing::warn!(%error, "the mail catcher cannot accept a connection");
                sleep(REST).await;
            }
        }
    }
}

/// Answers the requests of one connection.
pub(super) async fn http(stream: TcpStream, router: Router) {
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = answered {
        tracing::debug!(%error, "a connection to the mail catcher's page failed");
    }
}
