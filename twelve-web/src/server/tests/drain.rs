//! How each kind of connection ends.

use axum::body::Body;
use std::time::{Duration, Instant};
use twelve_core::{Exit, Shutdown};

use super::{Client, Running, gated};
use crate::router::{Router, get, post};

fn routes() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: String| body))
}

#[tokio::test]
async fn half_a_head_does_not_hold_the_process() {
    let server = Running::start(routes());
    let mut half = server.connect().await;
    half.write("GET / HTTP/1.1\r\nhost: x").await;
    // Another request proves that the server has had the time to read.
    assert_eq!(server.connect().await.get("/").await.status, 200);

    let begun = Instant::now();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(half.is_closed().await);
}

#[tokio::test]
async fn a_body_that_is_still_arriving_finishes() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
        .await;
    server.until_running(1).await;
    server.lifecycle.begin_drain();
    // Longer than a silent connection would be borne with.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!server.exit.is_finished());

    client.write("67890").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.body), (200, &b"1234567890"[..]));
    assert!(answer.closes(), "{answer:?}");
    assert!(client.is_closed().await);
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn idle_connections_delay_nothing() {
    let server = Running::start(routes());
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut client = server.connect().await;
        assert!(!client.get("/").await.closes());
        idle.push(client);
    }
    server.lifecycle.begin_announce();
    let begun = Instant::now();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    // What has something left to do gets a second or more.
    assert!(took < Duration::from_secs(1), "{took:?}");
    for client in &mut idle {
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn the_announcement_serves_everything_and_asks_to_close() {
    let server = Running::start(routes());
    let mut old = server.connect().await;
    assert_eq!(old.get("/ready").await.status, 200);
    server.lifecycle.begin_announce();

    let answer = server.connect().await.get("/").await;
    assert_eq!(answer.status, 200);
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(server.connect().await.get("/ready").await.status, 503);
    assert_eq!(server.connect().await.get("/health").await.status, 200);
    // It was left alone until it asked.
    let answer = old.get("/").await;
    assert!(answer.status == 200 && answer.closes(), "{answer:?}");
    assert!(old.is_closed().await);

    server.lifecycle.begin_drain();
    let address = server.address;
    assert_eq!(server.exit().await, Exit::Done);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// The runtime has one thread: between the connect and the drain, the server cannot have accepted.
#[tokio::test]
async fn whoever_the_kernel_has_let_in_is_served() {
    let server = Running::start(routes());
    assert_eq!(server.connect().await.get("/").await.status, 200);
    let connect = || {
        let stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client::of(tokio::net::TcpStream::from_std(stream).unwrap())
    };
    let mut waiting: Vec<_> = std::iter::repeat_with(connect).take(50).collect();
    server.lifecycle.begin_drain();
    for client in &mut waiting {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(server.exit().await, Exit::Done);
}

/// The runtime has one thread: between the request and the drain, the server cannot have read.
#[tokio::test]
async fn what_an_idle_connection_has_asked_is_answered() {
    let server = Running::start(routes());
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut client = server.connect().await;
        assert_eq!(client.get("/").await.status, 200);
        idle.push(client);
    }
    for client in &idle {
        client.write_now("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    server.lifecycle.begin_drain();
    for client in &mut idle {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn a_request_that_outlives_the_drain_is_cut_off() {
    let (_gate, handler) = gated();
    let server = Running::start(Router::new().route("/", handler));
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.until_running(1).await;
    assert_eq!(server.lifecycle.tracker().running()[0].0, "GET /");
    server.lifecycle.begin_drain();
    server.lifecycle.end_drain();
    assert_eq!(server.exit().await, Exit::Overdue);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_request_in_flight_finishes() {
    let (gate, handler) = gated();
    let server = Running::start(Router::new().route("/", handler));
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.until_running(1).await;
    server.lifecycle.begin_drain();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    gate.notify_one();
    assert_eq!(client.answer().await.body, b"let go");
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn a_stream_ends_when_its_handler_hears_of_the_shutdown() {
    async fn events(shutdown: Shutdown) -> Body {
        let events = futures_util::stream::unfold(shutdown, |shutdown| async {
            let tick = tokio::time::sleep(Duration::from_millis(5));
            shutdown.race(tick).await?;
            Some((Ok::<_, std::io::Error>("tick"), shutdown))
        });
        Body::from_stream(events)
    }
    let server = Running::start(Router::new().route("/events", get(events)));
    let mut client = server.connect().await;
    client
        .write("GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    server.until_running(1).await;
    server.lifecycle.begin_drain();
    let text = String::from_utf8(client.rest().await.unwrap()).unwrap();
    // The last chunk: the stream was ended, not cut.
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn an_answer_that_the_client_takes_slowly_is_not_cut() {
    const SIZE: usize = 16 << 20;
    let large = get(async || vec![b'x'; SIZE]);
    let server = Running::start(Router::new().route("/", large));
    let mut client = server.connect().await;
    client
        .write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    client.more().await.unwrap();
    server.lifecycle.begin_drain();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let answer = client.rest().await.unwrap();
    assert!(answer.len() > SIZE, "{} bytes of {SIZE}", answer.len());
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn an_upgraded_connection_is_waited_for() {
    async fn upgrade(mut request: axum::extract::Request) -> axum::response::Response {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = hyper_util::rt::TokioIo::new(upgraded.await.unwrap());
            // Until the client says something.
            let _ = tokio::io::AsyncReadExt::read_u8(&mut io).await;
        });
        let mut response = axum::response::Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert("connection", "upgrade".parse().unwrap());
        headers.insert("upgrade", "echo".parse().unwrap());
        response
    }
    let server = Running::start(Router::new().route("/", get(upgrade)));
    let mut client = server.connect().await;
    client
        .write("GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 101);
    server.lifecycle.begin_drain();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!server.exit.is_finished());
    client.write("x").await;
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn a_request_is_handled_to_its_end_though_its_client_has_left() {
    let (gate, handler) = gated();
    let server = Running::start(Router::new().route("/", handler));
    let mut client = server.connect().await;
    client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // At once: the server finds the request and the end of the stream together.
    drop(client);
    server.until_running(1).await;
    server.lifecycle.begin_drain();
    gate.notify_one();
    assert_eq!(server.exit().await, Exit::Done);
}
