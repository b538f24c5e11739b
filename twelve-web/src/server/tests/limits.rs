//! What a client may do at most.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use axum::body::Body;
use futures_util::{StreamExt, stream};
use std::convert::Infallible;

use super::{Client, Running};
use crate::{
    extract::Json,
    limit::PROGRESS,
    router::{Router, get, post},
};

/// More than the kernel buffers on both sides together.
const LARGE: usize = 32 << 20;

/// An answer that has nothing to say for a long time.
async fn late() -> Body {
    Body::from_stream(stream::once(async {
        tokio::time::sleep(PROGRESS * 3 / 2).await;
        Ok::<_, Infallible>("late")
    }))
}

fn routes() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: String| body))
        .route(
            "/count",
            post(async |Json(all): Json<Vec<u8>>| all.len().to_string()),
        )
        .route("/large", get(async || vec![b'x'; LARGE]))
        .route("/late", get(late))
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

/// The kernel resets a connection that is closed while bytes arrive, and the client's then drops the answer.
#[tokio::test]
async fn a_body_that_is_refused_in_the_middle_is_refused_audibly() {
    let server = Running::with(routes(), &[("TWELVE_BODY_LIMIT", "10")]);
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..20 {
        client.write("b\r\n12345678901\r\n").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = client.answer().await;
    assert_eq!(answer.status, 413);
    assert!(answer.closes(), "{answer:?}");
}

/// A handler that goes on reading a body that has failed.
async fn stubborn(body: Body) -> String {
    let mut body = body.into_data_stream();
    let mut failures = 0;
    while failures < 2
        && let Some(piece) = body.next().await
    {
        failures += u32::from(piece.is_err());
    }
    failures.to_string()
}

#[tokio::test]
async fn a_body_that_stands_still_fails_however_often_it_is_asked() {
    let server = Running::start(routes().route("/stubborn", post(stubborn)));
    let mut client = server.connect().await;
    client
        .write("POST /stubborn HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.body), (200, &b"2"[..]));
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
async fn a_body_that_stops_arriving_ends_the_connection() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n[1,")
        .await;
    let begun = Instant::now();
    assert_eq!(client.answer().await.status, 408);
    assert!(begun.elapsed() >= PROGRESS, "{:?}", begun.elapsed());
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_slow_body_that_moves_is_taken() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 6000\r\n\r\n")
        .await;
    for byte in 0..6 {
        tokio::time::sleep(PROGRESS / 4).await;
        client.write([b'0' + byte; 1_000]).await;
    }
    assert_eq!(client.answer().await.body.len(), 6_000);
}

#[tokio::test]
async fn a_body_that_drips_ends_the_connection() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[")
        .await;
    let begun = Instant::now();
    for _ in 0..100 {
        tokio::time::sleep(PROGRESS / 10).await;
        // It may have been closed by now.
        if client.try_write(b" ").await.is_err() || begun.elapsed() > PROGRESS * 3 / 2 {
            break;
        }
    }
    assert_eq!(client.answer().await.status, 408);
    assert!(begun.elapsed() >= PROGRESS, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < PROGRESS * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_drain_waits_for_bodies_that_come_and_not_for_those_that_drip() {
    let server = Running::start(routes());
    let head = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n[";
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.write(head).await;
        // Quick enough for any other time.
        tokio::spawn(async move {
            while client.try_write(&[b' '; 1_000]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
    }
    let mut quick = server.connect().await;
    let size = 60_000;
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n";
    quick.write(head).await;
    server.until_running(21).await;
    server.lifecycle.begin_drain();
    let begun = Instant::now();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        quick.write(vec![b'x'; size / 6]).await;
    }
    assert_eq!(quick.answer().await.status, 200);
    assert_eq!(server.exit().await, twelve_core::Exit::Done);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

/// Bodies of 100,000 bytes, of which three have room beside many small ones.
const TIGHT: &[(&str, &str)] = &[
    ("TWELVE_BODY_LIMIT", "100000"),
    ("TWELVE_BODY_BUDGET", "400000"),
];

/// Sends all of a body but its last byte, as far as the server takes it.
async fn all_but_one_byte(server: &Running) -> Client {
    let mut client = server.connect().await;
    let head = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    client.write(head).await;
    let mut body = vec![b' '; 99_999];
    body[99_998] = b'[';
    client.write(body).await;
    client
}

#[tokio::test]
async fn bodies_wait_for_their_budget_and_small_ones_get_in_meanwhile() {
    let server = Running::with(routes(), TIGHT);
    let mut holding = Vec::new();
    for _ in 0..3 {
        holding.push(all_but_one_byte(&server).await);
    }
    server.until_running(3).await;
    // They are read before anybody else has sent as much.
    let mut waiting = all_but_one_byte(&server).await;
    let small = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nsmall";
    let mut client = server.connect().await;
    client.write(small).await;
    assert_eq!(client.answer().await.body, b"small");

    let refused = waiting.answer().await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(waiting.is_closed().await);
    // What a request has held is free once it is answered.
    for client in &mut holding {
        client.write("]").await;
        assert_eq!(client.answer().await.status, 200);
    }
    for _ in 0..3 {
        let mut client = all_but_one_byte(&server).await;
        client.write("]").await;
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_is_read_in_passing_may_be_larger_than_the_budget() {
    async fn count(body: Body) -> String {
        let mut chunks = body.into_data_stream();
        let mut count = 0;
        while let Some(chunk) = chunks.next().await {
            count += chunk.unwrap().len();
        }
        count.to_string()
    }
    let variables = [
        ("TWELVE_BODY_LIMIT", "20000000"),
        ("TWELVE_BODY_BUDGET", "8000000"),
    ];
    let server = Running::with(routes().route("/stream", post(count)), &variables);
    let size = 10_000_000;
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n");
    let mut passing = server.connect().await;
    passing.write(head("/stream")).await;
    passing.write(vec![b'x'; size]).await;
    assert_eq!(passing.answer().await.body, b"10000000");
    // One that is kept as a whole never has room, and is not kept waiting for it.
    let mut kept = server.connect().await;
    kept.write(head("/count").replace("host", "content-type: application/json\r\nhost"))
        .await;
    let _ = kept.try_write(&vec![b' '; size]).await;
    assert_eq!(kept.answer().await.status, 413);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_answer_that_nobody_takes_ends_the_connection() {
    let server = Running::with(routes(), &[("TWELVE_MAX_CONNECTIONS", "1")]);
    let mut client = server.connect().await;
    client.write("GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.more().await.unwrap();
    // Its place is free once it is cut off.
    assert_eq!(server.connect().await.get("/").await.status, 200);
    let taken = client.rest().await.map(|read| read.len());
    assert!(!matches!(taken, Ok(LARGE..)), "{taken:?}");
}

#[tokio::test]
async fn a_slow_answer_that_is_taken_arrives_whole() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    for _ in 0..6 {
        tokio::time::sleep(PROGRESS / 4).await;
        let mut taken = 0;
        while taken < 100_000 {
            taken += client.more().await.unwrap();
        }
    }
    assert!(client.rest().await.unwrap().len() > LARGE);
}

#[tokio::test]
async fn an_answer_that_has_nothing_to_say_yet_is_waited_for() {
    let server = Running::start(routes());
    let mut client = server.connect().await;
    client
        .write("GET /late HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let all = client.rest().await.unwrap();
    assert!(String::from_utf8_lossy(&all).contains("late"));
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

/// Longer than a connection is spared that has nothing to do.
const IDLE: Duration = Duration::from_millis(1_200);

#[tokio::test]
async fn when_every_place_is_taken_the_connection_that_was_idle_for_longest_leaves() {
    let server = Running::with(routes(), &[("TWELVE_MAX_CONNECTIONS", "2")]);
    let mut oldest = server.connect().await;
    assert_eq!(oldest.get("/").await.status, 200);
    let mut younger = server.connect().await;
    assert_eq!(younger.get("/").await.status, 200);
    tokio::time::sleep(IDLE).await;
    let mut newest = server.connect().await;
    assert_eq!(newest.get("/").await.status, 200);
    assert!(oldest.is_closed().await);
    assert_eq!(younger.get("/").await.status, 200);
}

#[tokio::test]
async fn an_answer_whose_stream_panics_takes_no_place_along() {
    let panics = async || {
        Body::from_stream(stream::poll_fn(
            |_| -> Poll<Option<Result<&str, Infallible>>> { panic!("a stream of the author's") },
        ))
    };
    let routes = routes().route("/panics", get(panics));
    let server = Running::with(routes, &[("TWELVE_MAX_CONNECTIONS", "1")]);
    for _ in 0..2 {
        let mut panicking = server.connect().await;
        panicking
            .write("GET /panics HTTP/1.1\r\nhost: x\r\n\r\n")
            .await;
        while !panicking.is_closed().await {}
    }
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/").await.status, 200);
    tokio::time::sleep(IDLE).await;
    assert_eq!(server.connect().await.get("/").await.status, 200);
}

#[tokio::test]
async fn silent_clients_shut_nobody_out() {
    let server = Running::with(routes(), &[("TWELVE_MAX_CONNECTIONS", "3")]);
    let mut silent = Vec::new();
    for turn in 0..200 {
        let mut client = server.connect().await;
        if turn % 2 == 0 {
            client.write("GET / HT").await;
        }
        silent.push(client);
    }
    let begun = Instant::now();
    assert_eq!(server.connect().await.get("/").await.status, 200);
    // They are spared for a second; the time for a head is ten.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_probe_always_gets_in_and_whoever_waits_the_longest_is_refused() {
    let (gate, slow) = super::gated();
    let routes = routes().route("/slow", slow);
    let server = Running::with(routes, &[("TWELVE_MAX_CONNECTIONS", "1")]);
    let mut busy = server.connect().await;
    busy.write("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.until_running(1).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut client = server.connect().await;
        client.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        waiting.push(client);
    }
    let begun = Instant::now();
    for path in ["/health", "/ready"] {
        let mut probe = server.connect().await;
        assert_eq!(probe.get(path).await.status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    let refused = waiting[0].answer().await;
    assert_eq!(refused.status, 503);
    assert!(refused.closes(), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(waiting[0].is_closed().await);
    gate.notify_one();
    assert_eq!(busy.answer().await.status, 200);
    drop(busy);
    // Of the others, the one that has waited for the longest is next.
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) {
        let next = &mut waiting[1 + statuses.len()];
        statuses.push(next.answer().await.status);
    }
    statuses.pop();
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
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
