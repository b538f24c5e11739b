//! Every way in which a `WebSocket` can end: over TCP, driven through the lifecycle, with a client that is not ours.

use futures_util::{SinkExt, StreamExt};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{Data, OpCode},
            },
        },
    },
};
use twelve_core::{Budget, Exit};

use super::{WebSocket, WebSocketUpgrade};
use crate::{
    router::{Router, get},
    server::tests::{BOUND, Running},
};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr) -> Client {
    let (client, _) = connect_async(format!("ws://{address}/")).await.unwrap();
    client
}

/// What comes next, within the bound.
async fn next(client: &mut Client) -> Option<tungstenite::Result<Message>> {
    timeout(BOUND, client.next()).await.expect("nothing comes")
}

async fn closing_frame(client: &mut Client) -> CloseFrame {
    match next(client).await {
        Some(Ok(Message::Close(Some(frame)))) => frame,
        other => panic!("no closing frame: {other:?}"),
    }
}

fn routes<F, Fut>(handler: F) -> Router
where
    F: FnOnce(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let upgrade = move |upgrade: WebSocketUpgrade| {
        let handler = handler.clone();
        async { upgrade.on_upgrade(handler) }
    };
    Router::new().route("/", get(upgrade))
}

async fn echo(mut socket: WebSocket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn announcing(server: &Running, announce: Duration) {
    let mut budget = Budget::default();
    budget.announce = announce;
    server.lifecycle.set_budget(budget);
}

#[tokio::test]
async fn what_is_sent_comes_back_and_a_good_bye_is_answered() {
    let server = Running::start(routes(echo));
    let mut client = connect(server.address).await;
    for message in [Message::text("hello"), Message::binary(vec![0, 255])] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut client).await.unwrap().unwrap(), message);
    }
    assert_eq!(
        server.lifecycle.tracker().running()[0].0,
        "WebSocket /",
        "the socket is tracked"
    );
    client.close(None).await.unwrap();
    assert!(matches!(
        next(&mut client).await,
        Some(Ok(Message::Close(_)))
    ));
    assert!(next(&mut client).await.is_none());
    server.until_running(0).await;
}

#[tokio::test]
async fn sockets_are_told_to_go_away_all_over_the_announce_phase() {
    let server = Running::start(routes(echo));
    announcing(&server, Duration::from_secs(2));
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(connect(server.address).await);
    }
    let begun = Instant::now();
    server.lifecycle.begin_announce();
    let closed = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let frame = closing_frame(&mut client).await;
            assert_eq!(
                (u16::from(frame.code), &*frame.reason),
                (1001, "going away")
            );
            let _ = client.flush().await;
            begun.elapsed()
        })
    });
    let mut moments = Vec::new();
    for client in closed.collect::<Vec<_>>() {
        moments.push(client.await.unwrap());
    }
    for quarter in 0..4 {
        let quarter = Duration::from_millis(500 * quarter);
        let range = quarter..quarter + Duration::from_millis(600);
        assert!(
            moments.iter().any(|moment| range.contains(moment)),
            "{moments:?}"
        );
    }
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn without_an_announcement_sockets_go_away_at_once() {
    let server = Running::start(routes(echo));
    let mut client = connect(server.address).await;
    let begun = Instant::now();
    server.lifecycle.begin_drain();
    assert_eq!(u16::from(closing_frame(&mut client).await.code), 1001);
    assert!(next(&mut client).await.is_none());
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_hold_the_process() {
    let server = Running::start(routes(echo));
    let client = connect(server.address).await;
    server.until_running(1).await;
    let begun = Instant::now();
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(client);
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_the_process() {
    let server = Running::start(routes(async |socket: WebSocket| {
        let much = vec![0; 1 << 20];
        while socket.send(much.clone()).await.is_ok() {}
    }));
    let client = connect(server.address).await;
    server.until_running(1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.lifecycle.begin_drain();
    assert_eq!(server.exit().await, Exit::Done);
    drop(client);
}

#[tokio::test]
async fn a_handler_that_only_sends_finds_out() {
    let server = Running::start(routes(async |socket: WebSocket| {
        while socket.send("tick").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }));
    let mut client = connect(server.address).await;
    assert!(next(&mut client).await.is_some());
    server.lifecycle.begin_drain();
    let last = loop {
        match next(&mut client).await {
            Some(Ok(Message::Text(_))) => {}
            other => break other,
        }
    };
    assert!(
        matches!(&last, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1001),
        "{last:?}"
    );
    assert!(next(&mut client).await.is_none());
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn a_handler_that_waits_for_something_else_hears_of_the_end() {
    let server = Running::start(routes(async |socket: WebSocket| socket.closed().await));
    let mut client = connect(server.address).await;
    server.lifecycle.begin_drain();
    assert_eq!(u16::from(closing_frame(&mut client).await.code), 1001);
    assert!(next(&mut client).await.is_none());
    assert_eq!(server.exit().await, Exit::Done);
}

#[tokio::test]
async fn a_handler_that_ignores_everything_is_cut_off_when_the_time_is_over() {
    let server = Running::start(routes(async |_socket: WebSocket| {
        std::future::pending::<()>().await;
    }));
    let mut client = connect(server.address).await;
    server.lifecycle.begin_drain();
    // Its client is told all the same.
    assert_eq!(u16::from(closing_frame(&mut client).await.code), 1001);
    assert!(next(&mut client).await.is_none());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.exit.is_finished());
    server.lifecycle.end_drain();
    assert_eq!(server.exit().await, Exit::Overdue);
}

#[tokio::test]
async fn what_was_sent_last_arrives_before_the_good_bye() {
    let server = Running::start(routes(async |mut socket: WebSocket| {
        socket.recv().await;
        let _ = socket.send("bye").await;
        socket.close(4000, "done").await;
    }));
    let mut client = connect(server.address).await;
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(
        next(&mut client).await.unwrap().unwrap(),
        Message::text("bye")
    );
    let frame = closing_frame(&mut client).await;
    assert_eq!((u16::from(frame.code), &*frame.reason), (4000, "done"));
}

#[tokio::test]
async fn how_a_handler_ends_is_how_the_socket_closes() {
    let ends = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket: WebSocket| {
            let wish = socket.recv().await;
            match wish.as_ref().and_then(super::Message::as_text) {
                Some("panic") => panic!("on request"),
                Some("fail") => Err(twelve_core::Failure::new("on request")),
                _ => Ok(()),
            }
        })
    };
    let server = Running::start(Router::new().route("/", get(ends)));
    for (wish, code) in [("return", 1000), ("fail", 1011), ("panic", 1011)] {
        let mut client = connect(server.address).await;
        client.send(Message::text(wish)).await.unwrap();
        assert_eq!(
            u16::from(closing_frame(&mut client).await.code),
            code,
            "{wish}"
        );
    }
    server.until_running(0).await;
}

#[tokio::test]
async fn a_peer_that_vanished_is_found_by_the_pings() {
    let upgrade = async |upgrade: WebSocketUpgrade| {
        let often = upgrade.ping_every(Duration::from_millis(50));
        often.on_upgrade(echo)
    };
    let server = Running::start(Router::new().route("/", get(upgrade)));
    let mut present = connect(server.address).await;
    // It answers no ping, for nobody reads.
    let vanished = connect(server.address).await;
    server.until_running(2).await;
    let answers = async {
        // Reading answers the pings.
        while server.lifecycle.tracker().running().len() > 1 {
            let _ = timeout(Duration::from_millis(10), present.next()).await;
        }
    };
    timeout(BOUND, answers).await.expect("nobody was given up");
    present.send(Message::text("still here")).await.unwrap();
    while next(&mut present).await.unwrap().unwrap() != Message::text("still here") {}
    drop(vanished);
}

#[tokio::test]
async fn a_message_that_is_too_long_closes_with_1009() {
    let server = Running::start(routes(echo));
    let mut client = connect(server.address).await;
    let just = Message::binary(vec![0; 64 << 10]);
    client.send(just.clone()).await.unwrap();
    assert_eq!(next(&mut client).await.unwrap().unwrap(), just);
    client
        .send(Message::binary(vec![0; (64 << 10) + 1]))
        .await
        .unwrap();
    assert_eq!(u16::from(closing_frame(&mut client).await.code), 1009);
    server.until_running(0).await;
}

/// A client that writes all of its message before it reads must find out why it was refused (RFC 6455, section 7.4.1).
#[tokio::test]
async fn what_cannot_be_read_is_told_though_the_client_is_still_sending() {
    let server = Running::start(routes(echo));
    let much = vec![0; 16 << 20];
    let more = OpCode::Data(Data::Continue);
    let frame = |payload: Vec<u8>| Message::Frame(Frame::message(payload, more, false));
    // A frame that is too long; one too many of a message in pieces; a piece of nothing.
    let begin = Frame::message(vec![0; 64 << 10], OpCode::Data(Data::Binary), false);
    for (before, then, code) in [
        (None, Message::binary(much.clone()), 1009),
        (Some(Message::Frame(begin)), frame(much.clone()), 1009),
        (
            Some(frame(vec![0; 10])),
            Message::binary(much.clone()),
            1002,
        ),
    ] {
        let mut client = connect(server.address).await;
        if let Some(before) = before {
            client.send(before).await.unwrap();
        }
        client.send(then).await.unwrap();
        assert_eq!(u16::from(closing_frame(&mut client).await.code), code);
    }
    server.until_running(0).await;
}

/// Pongs that nobody reads must not wait in our memory (RFC 6455, section 5.5.3, asks for the answer to the latest ping alone).
#[tokio::test]
async fn a_client_that_pings_and_does_not_read_is_held_up_and_given_up() {
    let server = Running::start(routes(echo));
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(upgrade.as_bytes()).await.unwrap();
    server.until_running(1).await;
    // Our own ping, after 25 s, would hold it up in any case.
    // Final, a ping, masked, 125 bytes.
    let mut ping = vec![0x89, 0xfd, 1, 2, 3, 4];
    ping.resize(6 + 125, b'x');
    let pings = ping.repeat(1000);
    let held_up = async {
        // However slow the server is, as long as it reads at all there is room within this time.
        let room = Duration::from_secs(1);
        let mut next = 0;
        while let Ok(written) = timeout(room, client.write(&pings[next..])).await {
            let written = written.expect("cut off before it was held up");
            next = (next + written) % pings.len();
        }
    };
    timeout(BOUND, held_up).await.expect("it reads on");
    server.until_running(0).await;
}

#[tokio::test]
async fn every_ping_of_a_client_that_reads_is_answered() {
    let server = Running::start(routes(echo));
    let mut client = connect(server.address).await;
    for number in 0..100_u32 {
        let ping = number.to_be_bytes().to_vec();
        client.send(Message::Ping(ping.into())).await.unwrap();
    }
    client.send(Message::text("hello")).await.unwrap();
    for number in 0..100_u32 {
        let pong = Message::Pong(number.to_be_bytes().to_vec().into());
        assert_eq!(next(&mut client).await.unwrap().unwrap(), pong);
    }
    let hello = next(&mut client).await.unwrap().unwrap();
    assert_eq!(hello, Message::text("hello"));
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_a_problem() {
    let server = Running::start(routes(echo));
    let mut client = server.connect().await;
    let answer = client.get("/").await;
    assert_eq!(answer.status, 426);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    // The connection goes on.
    assert_eq!(client.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_unless_it_or_any_is_welcome() {
    let any = async |upgrade: WebSocketUpgrade| upgrade.any_origin().on_upgrade(echo);
    let two = async |upgrade: WebSocketUpgrade| {
        let upgrade = upgrade.allow_origin("https://shop.example");
        upgrade.allow_origin("http://b.example:81").on_upgrade(echo)
    };
    let routes = routes(echo).route("/any", get(any));
    let server = Running::start(routes.route("/two", get(two)));
    let ask = async |path: &str, origin: String| {
        let url = format!("ws://{}{path}", server.address);
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    let own = format!("http://{}", server.address);
    let evil = || "https://evil.example".to_owned();
    assert_eq!(ask("/", own.clone()).await, 101);
    assert_eq!(ask("/two", own).await, 101);
    for (origin, status) in [
        ("https://Shop.example", 101),
        ("http://b.example:81", 101),
        ("http://shop.example", 403),
        ("https://shop.example.evil.example", 403),
        ("http://b.example", 403),
        ("null", 403),
    ] {
        assert_eq!(ask("/two", origin.into()).await, status, "{origin}");
    }
    assert_eq!(ask("/", evil()).await, 403);
    assert_eq!(ask("/any", evil()).await, 101);
}
