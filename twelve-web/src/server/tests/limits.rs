//! What a client may do at most.

use std::time::{Duration, Instant};

use super::Running;
use crate::{Router, get, post};

fn routes() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: String| body))
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_and_the_refusal_arrives() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    let size = 12 << 20;
    client
        .write(format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
        ))
        .await;
    // All of it, like a client that reads only afterwards.
    client.write(vec![b'x'; size]).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(answer.closes(), "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.body).contains("body-too-large"));
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_client_that_asks_first_does_not_send_what_is_refused() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused() {
    let server = Running::with(routes(), &[("TWELVE_BODY_LIMIT", "10")]);
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test]
async fn a_limit_above_axums_own_is_honoured() {
    let server = Running::with(routes(), &[("TWELVE_BODY_LIMIT", "4000000")]);
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n")
        .await;
    client.write(vec![b'x'; 3_000_000]).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.len()), (200, 3_000_000));
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_an_idle_connection_is_not() {
    let server = Running::with(routes(), &[("TWELVE_HEADER_TIMEOUT", "200ms")]);
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/").await.status, 200);
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write("GET / HT").await;

    let begun = Instant::now();
    assert!(slow.is_closed().await);
    assert!(silent.is_closed().await);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(150), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(idle.get("/").await.status, 200);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let server = Running::with(routes(), &[("TWELVE_MAX_CONNECTIONS", "1")]);
    let mut first = server.connect().await;
    assert_eq!(first.get("/").await.status, 200);
    let mut second = server.connect().await;
    let mut asking = Box::pin(second.get("/"));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut asking).await;
    assert!(early.is_err(), "two connections are open");
    drop(first);
    assert_eq!(asking.await.status, 200);
}

#[tokio::test]
async fn probes_are_answered_over_the_socket() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    let answer = client.get("/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(client.get("/ready").await.status, 200);
    let answer = client.get("/nothing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
}
