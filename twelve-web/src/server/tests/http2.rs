//! HTTP/2 without TLS, by prior knowledge.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::StatusCode,
};
use http_body_util::BodyExt;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::{Duration, Instant};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use twelve_core::Exit;

use super::{BOUND, Client, Running, gated};
use crate::{
    router::{Router, get},
    server::activity::KEEP_ALIVE,
};

type Sender = http2::SendRequest<Body>;

async fn connect(server: &Running) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

async fn ask(sender: &mut Sender, path: &str) -> hyper::Result<(u16, Bytes)> {
    let request = Request::get(format!("http://x{path}"))
        .body(Body::empty())
        .unwrap();
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    assert!(
        !response.headers().contains_key("connection"),
        "{response:?}"
    );
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

#[tokio::test]
async fn a_client_is_told_to_go_away_at_the_announcement_and_its_requests_finish() {
    let (gate, slow) = gated();
    let routes = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", slow);
    let server = Running::start(routes);
    let (mut sender, connection) = connect(&server).await;
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    let slow = tokio::spawn({
        let mut sender = sender.clone();
        async move { ask(&mut sender, "/slow").await }
    });
    server.until_running(1).await;

    server.lifecycle.begin_announce();
    let told = async { while ask(&mut sender, "/").await.is_ok() {} };
    timeout(BOUND, told).await.expect("no GOAWAY");
    // A new client is served, and told to go away in its turn.
    let (mut late, late_connection) = connect(&server).await;
    assert_eq!(ask(&mut late, "/health").await.unwrap().0, 200);
    timeout(BOUND, late_connection)
        .await
        .expect("no GOAWAY")
        .unwrap()
        .unwrap();

    gate.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), (200, "let go".into()));
    timeout(BOUND, connection)
        .await
        .expect("not closed")
        .unwrap()
        .unwrap();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
}

/// RFC 9110, sections 9.3.2 and 15.3.5: hyper sends what it is given.
#[tokio::test]
async fn what_has_no_content_is_sent_without() {
    let no_content = async || (StatusCode::NO_CONTENT, "content");
    let server = Running::start(Router::new().route("/", get(no_content)));
    let (mut sender, _connection) = connect(&server).await;
    for (method, path, status) in [
        ("HEAD", "/health", 200),
        ("HEAD", "/nothing", 404),
        ("HEAD", "/", 204),
        ("GET", "/", 204),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://x{path}"));
        let request = request.body(Body::empty()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        assert!(response.body().is_end_stream(), "{method} {path}");
        let has_length = response.headers().contains_key("content-length");
        assert_eq!(has_length, status != 204, "{method} {path}");
    }
}

/// h2 takes content of an answer to `HEAD` for an error of the protocol.
#[tokio::test]
async fn a_refusal_of_head_has_no_content() {
    let server = Running::start(Router::new());
    let (mut sender, _connection) = connect(&server).await;
    let request = Request::head("http://x/").header("host", "y");
    let request = request.body(Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.headers().contains_key("content-length"));
    let body = response.into_body().collect().await;
    assert_eq!(body.expect("read the answer").to_bytes(), "");
}

#[tokio::test]
async fn whoever_leaves_a_place_beside_is_answered_in_the_announcement_too() {
    let (gate, slow) = gated();
    let routes = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", slow);
    let server = Running::with(routes, &[("TWELVE_MAX_CONNECTIONS", "1")]);
    let mut busy = server.connect().await;
    busy.write("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.until_running(1).await;
    let (mut sender, _connection) = connect(&server).await;
    let mut again = sender.clone();
    let waiting = tokio::spawn(async move { ask(&mut sender, "/").await });
    server.until_running(2).await;
    server.lifecycle.begin_announce();
    let told = async { while ask(&mut again, "/health").await.is_ok() {} };
    timeout(BOUND, told).await.expect("no GOAWAY");
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(server.connect().await);
    }
    let answer = timeout(BOUND, waiting).await.expect("no answer").unwrap();
    assert_eq!(answer.expect("an answer, no reset").0, 503);
    gate.notify_one();
}

#[tokio::test]
async fn a_connection_without_requests_delays_nothing() {
    let server = Running::start(Router::new().route("/", get(async || "hello")));
    let (mut sender, _connection) = connect(&server).await;
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    let begun = Instant::now();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    // What has something left to do gets a second or more.
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn requests_that_meet_the_end_are_answered_or_known_not_to_have_run() {
    let server = Running::start(Router::new().route("/", get(async || "hello")));
    let (mut sender, _connection) = connect(&server).await;
    let load = tokio::spawn(async move {
        let mut answered = 0;
        loop {
            match ask(&mut sender, "/").await {
                Ok((200, _)) => answered += 1,
                Ok((status, _)) => panic!("{status}"),
                // Never sent: a client may send it elsewhere.
                Err(error) if error.is_canceled() || error.is_closed() => return answered,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.lifecycle.begin_announce();
    let answered = timeout(BOUND, load).await.expect("no GOAWAY").unwrap();
    assert!(answered > 0);
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
}

/// The preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A PING frame (RFC 9113, section 6.7).
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";

#[tokio::test]
async fn an_idle_connection_ends_as_one_of_http_1_does() {
    let server = Running::start(Router::new().route("/", get(async || "hello")));
    let (mut sender, connection) = connect(&server).await;
    let begun = Instant::now();
    tokio::time::sleep(KEEP_ALIVE / 2).await;
    assert_eq!(ask(&mut sender, "/").await.unwrap().0, 200);
    timeout(BOUND, connection)
        .await
        .expect("not closed")
        .unwrap()
        .unwrap();
    let idle = begun.elapsed();
    assert!(idle >= KEEP_ALIVE * 3 / 2, "{idle:?}");
}

#[tokio::test]
async fn a_request_that_takes_its_time_keeps_its_connection() {
    let (gate, slow) = gated();
    let server = Running::start(Router::new().route("/slow", slow));
    let (mut sender, _connection) = connect(&server).await;
    let asking = tokio::spawn(async move { ask(&mut sender, "/slow").await });
    tokio::time::sleep(KEEP_ALIVE * 3 / 2).await;
    gate.notify_one();
    assert_eq!(asking.await.unwrap().unwrap().0, 200);
}

#[tokio::test]
async fn pings_alone_neither_keep_a_place_nor_hold_the_process() {
    let server = Running::with(
        Router::new().route("/", get(async || "hello")),
        &[("TWELVE_MAX_CONNECTIONS", "1")],
    );
    let noisy = |mut noisy: Client| {
        tokio::spawn(async move {
            noisy.write(HELLO).await;
            while noisy.try_write(PING).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let first = noisy(server.connect().await);
    assert_eq!(server.connect().await.get("/").await.status, 200);
    timeout(BOUND, first).await.expect("not closed").unwrap();

    let _second = noisy(server.connect().await);
    assert_eq!(server.connect().await.get("/health").await.status, 200);
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
}

/// A request for `/` without a body on stream 1; its header block is four entries of HPACK's static table, the authority in a literal.
const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";

/// A SETTINGS frame with `SETTINGS_INITIAL_WINDOW_SIZE` = 0 (section 6.5.2): nothing of an answer's body may be sent.
const CLOSED_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

#[tokio::test]
async fn a_client_that_opens_no_window_does_not_hold_the_process() {
    let server = Running::start(Router::new().route("/", get(async || "hello")));
    let mut client = server.connect().await;
    client.write([HELLO, CLOSED_WINDOW, GET].concat()).await;
    server.until_running(1).await;
    let noise = tokio::spawn(async move {
        while client.try_write(PING).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    timeout(BOUND, noise).await.expect("not closed").unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_answer_does_not_hold_the_process() {
    let server = Running::start(Router::new().route("/", get(async || "hello")));
    let mut mute: Client = server.connect().await;
    mute.write(HELLO).await;
    assert_eq!(server.connect().await.get("/").await.status, 200);
    let begun = Instant::now();
    server.lifecycle.begin_announce();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
