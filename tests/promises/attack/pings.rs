//! A WebSocket that sends pings and never reads: the answers do not pile up in the process, and it is given up.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::ground::{Ground, MEMORY};
use crate::harness::shop::fresh_key;
use crate::harness::wait::until_true;

/// Three sockets took the process to 5 GB in 20 s.
const SOCKETS: usize = 3;

/// After 30 s without reading a client is given up; the kernel and the machine may take their time.
const GIVEN_UP: Duration = Duration::from_mins(1);

const SOON: Duration = Duration::from_secs(20);

/// A socket that is held up has no room for so long.
const HELD_UP: Duration = Duration::from_secs(1);

/// A client that sends as many pings as it can, and reads nothing.
struct Attacker {
    sent: Arc<AtomicU64>,
    task: JoinHandle<io::Result<()>>,
}

impl Attacker {
    async fn start(port: u16, token: &str) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("connect");
        let upgrade = format!(
            "GET /live?token={token} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await.expect("ask");
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 101");
        let sent = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            // Final, a ping, masked, 125 bytes.
            let mut ping = vec![0x89, 0xfd, 1, 2, 3, 4];
            ping.resize(6 + 125, b'x');
            let pings = ping.repeat(1000);
            loop {
                stream.write_all(&pings).await?;
                counted.fetch_add(pings.len() as u64, Ordering::Relaxed);
            }
        });
        Self { sent, task }
    }

    /// Waits until the server reads no more of it.
    async fn until_held_up(&self) {
        let mut before = None;
        let deadline = Instant::now() + SOON;
        loop {
            let sent = self.sent.load(Ordering::Relaxed);
            if before == Some(sent) {
                return;
            }
            before = Some(sent);
            assert!(Instant::now() < deadline, "{sent} bytes, and it reads on");
            tokio::time::sleep(HELD_UP).await;
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An order of somebody who reads arrives on `live`, beside those who do not.
async fn expect_served(ground: &Ground) {
    let url = format!(
        "ws://localhost:{}/live?token={}",
        ground.port(),
        ground.customer.token
    );
    let (mut socket, _) = connect_async(url).await.expect("connect");
    let order = ground.customer.buy(ground.web_port(), &fresh_key()).await;
    let deadline = Instant::now() + SOON;
    loop {
        let message = timeout_at(deadline, socket.next()).await;
        match message.expect("nothing comes") {
            Some(Ok(Message::Text(text))) if text.contains(&order) => return,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn attackers(ground: &Ground) -> Vec<Attacker> {
    let mut attackers = Vec::new();
    for _ in 0..SOCKETS {
        attackers.push(Attacker::start(ground.port(), &ground.customer.token).await);
    }
    attackers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_whose_answers_nobody_reads_fill_no_memory() {
    let mut ground = Ground::live(&[]).await;
    let attackers = attackers(&ground).await;
    for attacker in &attackers {
        attacker.until_held_up().await;
    }
    expect_served(&ground).await;
    let peak = ground.peak_mib();
    assert!(peak < MEMORY, "{peak} MiB");
    ground.expect_pools(2);
    ground.expect_drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: a client is given up after 30 s"]
async fn a_client_that_does_not_read_is_given_up() {
    let mut ground = Ground::live(&[]).await;
    let before = ground.peak_mib();
    let mut first = attackers(&ground).await;
    let begun = Instant::now();
    for attacker in &mut first {
        let ended = timeout(GIVEN_UP, &mut attacker.task).await;
        let ended = ended.expect("it is borne with").expect("no panic");
        assert!(ended.is_err(), "it sent all that it wanted");
    }
    let given_up = begun.elapsed();
    // Again and again: what one has taken is free once it is gone.
    let second = attackers(&ground).await;
    for attacker in &second {
        attacker.until_held_up().await;
    }
    expect_served(&ground).await;
    let (peak, now) = (ground.peak_mib(), ground.memory_mib());
    println!("pings: given up after {given_up:?}; {before} MiB before, at most {peak}, then {now}");
    assert!(peak < MEMORY, "{peak} MiB");
    ground.expect_pools(2);
    ground.expect_drained().await;
    until_true("the others to hear of the end", SOON, async || {
        second.iter().all(|attacker| attacker.task.is_finished())
    })
    .await;
}
