//! A proxy before the payment provider that counts the calls and can hold
//! them.
//!
//! A held call is a job in flight for as long as the test likes, without
//! guessing how long anything takes.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::http::{Answer, Connection, Head, Request, send};
use super::wait::until_true;

/// Listens on a port of its own and forwards to the provider's.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) port: u16,
    upstream: Arc<AtomicU16>,
    open: watch::Sender<bool>,
    calls: Arc<Mutex<Vec<Request>>>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// An open gate before the provider on `upstream`.
    pub(crate) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bind the gate");
        let port = listener.local_addr().expect("the gate's address").port();
        let upstream = Arc::new(AtomicU16::new(upstream));
        let forwarding = Arc::clone(&upstream);
        let (open, opened) = watch::channel(true);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection::over(stream);
                tokio::spawn(forward(
                    connection,
                    Arc::clone(&forwarding),
                    opened.clone(),
                    Arc::clone(&seen),
                ));
            }
        });
        Self {
            port,
            upstream,
            open,
            calls,
            accepting,
        }
    }

    /// Forwards to another provider from now on.
    pub(crate) fn forward_to(&self, upstream: u16) {
        self.upstream.store(upstream, Ordering::Relaxed);
    }

    /// Holds every call that arrives from now on.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets the held calls go, and those to come.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// The calls that arrived, in order.
    pub(crate) fn calls(&self) -> Vec<Request> {
        self.calls
            .lock()
            .expect("nobody panics while holding the calls")
            .clone()
    }

    /// The idempotency keys of the calls that arrived, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let key = |call: &Request| call.value("idempotency-key").unwrap_or_default();
        self.calls().iter().map(key).collect()
    }

    /// Waits until `count` calls have arrived in all.
    pub(crate) async fn until_calls(&self, count: usize, bound: Duration) {
        let what = format!("{count} calls at the payment provider");
        until_true(&what, bound, async || self.calls().len() >= count).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut connection: Connection,
    upstream: Arc<AtomicU16>,
    mut opened: watch::Receiver<bool>,
    calls: Arc<Mutex<Vec<Request>>>,
) {
    while let Ok((head, body)) = connection.request().await {
        let request = again(&head, body);
        calls
            .lock()
            .expect("nobody panics while holding the calls")
            .push(request.clone());
        if opened.wait_for(|open| *open).await.is_err() {
            return;
        }
        // No answer from the provider is no answer to the worker.
        let Ok(answer) = send(upstream.load(Ordering::Relaxed), &request).await else {
            return;
        };
        if connection.write(&bytes_of(&answer)).await.is_err() {
            return;
        }
    }
}

fn again(head: &Head, body: Vec<u8>) -> Request {
    let mut words = head.line.split(' ');
    let method = words.next().expect("a method");
    let target = words.next().expect("a target");
    let request = Request::new(method, target);
    let request = if body.is_empty() {
        request
    } else {
        request.body("application/json", body)
    };
    let connection_only = ["connection", "content-length", "transfer-encoding"];
    head.headers
        .iter()
        .filter(|(name, _)| !connection_only.contains(&name.as_str()))
        .fold(request, |request, (name, value)| {
            request.header(name, value)
        })
}

fn bytes_of(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Forwarded\r\n", answer.status);
    for (name, value) in answer.headers() {
        if !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", answer.body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}
