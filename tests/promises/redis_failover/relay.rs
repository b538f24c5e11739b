//! The address that moves: new connections are led to where it points now, and those that there are stay where they are.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::node::Node;

#[derive(Debug)]
pub(super) struct Relay {
    pub(super) port: u16,
    upstream: Arc<AtomicU16>,
    accepted: Arc<AtomicU32>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(super) async fn to(node: &Node) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("bind the relay");
        let port = listener.local_addr().expect("the relay's address").port();
        let upstream = Arc::new(AtomicU16::new(node.port));
        let accepted = Arc::new(AtomicU32::new(0));
        let (leads_to, count) = (Arc::clone(&upstream), Arc::clone(&accepted));
        let accepting = tokio::spawn(async move {
            // Ends all connections with itself.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let server = (Ipv4Addr::LOCALHOST, leads_to.load(Ordering::Relaxed));
                connections.spawn(async move {
                    let mut server = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            port,
            upstream,
            accepted,
            accepting,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn move_to(&self, node: &Node) {
        self.upstream.store(node.port, Ordering::Relaxed);
    }

    /// How many connections have been opened through this.
    pub(super) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
