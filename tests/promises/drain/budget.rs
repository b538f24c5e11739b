//! No client holds the process past its budget (P2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{TIGHT, TIGHT_BOUND};
use tokio::time::timeout;

use crate::harness::binaries;
use crate::harness::http::{Connection, Request, send};
use crate::harness::port;
use crate::harness::process::{Exit, Launch};
use crate::harness::shop::{Customer, Server, Shop, fresh_key};
use crate::harness::wait::until_true;

/// Exit codes: drained, and cut off at the deadline.
const DRAINED: i32 = 0;
const OVERDUE: i32 = 2;

#[tokio::test]
async fn a_client_with_half_a_header_cannot_hold_the_process() {
    let shop = Shop::released().await;
    let mut web = shop.web(&TIGHT).await;
    let _clients = [
        silent_after(&web, b"").await,
        silent_after(&web, b"GET /prod").await,
        silent_after(&web, b"POST /orders HTTP/1.1\r\n").await,
        silent_after(
            &web,
            b"POST /orders HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        )
        .await,
        // Silent in its second request.
        silent_after(
            &web,
            b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /health HT",
        )
        .await,
    ];
    let exit = terminate(&mut web).await;
    assert!(matches!(exit.code, Some(DRAINED | OVERDUE)), "{exit:?}");
}

#[tokio::test]
async fn a_client_that_never_sends_the_rest_of_its_body_is_cut_off_at_the_deadline() {
    let shop = Shop::released().await;
    let mut web = shop.web(&TIGHT).await;
    let customer = Customer::sign_up(web.port).await;
    let (begin, _never) = customer.order(&fresh_key()).split_in_body();
    let _client = silent_after(&web, &begin).await;
    let exit = terminate(&mut web).await;
    assert_eq!(exit.code, Some(OVERDUE), "{exit:?}");
    // The operator learns what was in the way.
    assert!(
        web.process.log().contains("/orders"),
        "the log does not name the request"
    );
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_cannot_hold_the_process() {
    let shop = Shop::released().await;
    let mut web = shop.web(&TIGHT).await;
    let request = b"GET /products HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut connection = Connection::open(web.port).await.expect("connect");
    // Written until both sides' buffers are full of answers, and then the
    // server reads no more requests either.
    let sent = Arc::new(AtomicUsize::new(0));
    let asking = tokio::spawn({
        let sent = Arc::clone(&sent);
        async move {
            while connection.write(request).await.is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let (mut last, mut since) = (0, Instant::now());
    until_true(
        "the client to be stuck",
        Duration::from_secs(30),
        async || {
            let now = sent.load(Ordering::Relaxed);
            if now > last {
                (last, since) = (now, Instant::now());
            }
            now > 0 && since.elapsed() > Duration::from_millis(300)
        },
    )
    .await;
    let exit = terminate(&mut web).await;
    assert!(matches!(exit.code, Some(DRAINED | OVERDUE)), "{exit:?}");
    asking.await.expect("the client does not panic");
}

/// More than any machine has of them: each request blocks one of the runtime's threads.
const MORE_THAN_THREADS: usize = 64;

#[tokio::test]
async fn handlers_that_block_every_thread_cannot_hold_the_process() {
    let stuck = Launch::new(&binaries::example("stuck")).args(["web"]);
    let mut web = Server::start(stuck.vars(&TIGHT), port::free()).await;
    let mut clients = Vec::new();
    for _ in 0..MORE_THAN_THREADS {
        let request = b"GET /stuck HTTP/1.1\r\nhost: localhost\r\n\r\n";
        clients.push(silent_after(&web, request).await);
    }
    until_true(
        "the runtime to be stuck",
        Duration::from_secs(5),
        async || {
            let health = Request::get("/health");
            let answer = timeout(Duration::from_millis(200), send(web.port, &health));
            answer.await.is_err()
        },
    )
    .await;
    let exit = terminate(&mut web).await;
    assert_eq!(exit.code, Some(OVERDUE), "{exit:?}");
    assert!(
        web.process.log().contains("/stuck"),
        "the log does not name the request"
    );
}

/// The control: without those clients the same process leaves at once.
#[tokio::test]
async fn control_with_nothing_to_do_the_process_leaves_at_once() {
    let shop = Shop::released().await;
    let mut web = shop.web(&TIGHT).await;
    web.process.signal(Signal::TERM);
    let exit = web.process.exit_within(TIGHT_BOUND / 2).await;
    assert_eq!(exit.code, Some(DRAINED), "{exit:?}");
}

async fn silent_after(web: &Server, bytes: &[u8]) -> Connection {
    let mut connection = Connection::open(web.port).await.expect("connect");
    connection.write(bytes).await.expect("send");
    connection
}

async fn terminate(web: &mut Server) -> Exit {
    web.process.signal(Signal::TERM);
    let exit = web.process.exit_within(TIGHT_BOUND).await;
    println!("exit {:?} after {:?}", exit.code, exit.took);
    exit
}
