//! The server over real sockets, driven through its lifecycle.

mod client;
mod drain;
mod http2;
mod letter;
mod limits;

use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use twelve_core::{Context, Environment, Exit, Identity, Lifecycle, Registry};

use self::client::Client;
use super::Server;
use crate::router::Router;

/// Longer than anything here takes, shorter than anybody's patience.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) exit: JoinHandle<Exit>,
}

impl Running {
    pub(crate) fn start(router: Router) -> Self {
        Self::with(router, &[])
    }

    fn with(router: Router, variables: &[(&str, &str)]) -> Self {
        let environment: Environment = [("HOST", "127.0.0.1"), ("PORT", "0")]
            .iter()
            .chain(variables)
            .copied()
            .collect();
        let lifecycle = Lifecycle::default();
        let context = Context::new(
            Identity::new("shop", "web"),
            environment,
            lifecycle.clone(),
            Registry::default(),
        );
        let server = Server::bind(router, &context).unwrap();
        let address = server.listener.local_addr().unwrap();
        Self {
            address,
            lifecycle,
            exit: tokio::spawn(server.run()),
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// How the server ends, which it does within the bound.
    pub(crate) async fn exit(self) -> Exit {
        timeout(BOUND, self.exit)
            .await
            .expect("the server does not end")
            .unwrap()
    }

    /// Waits until so many requests run.
    pub(crate) async fn until_running(&self, count: usize) {
        let reached = async {
            while self.lifecycle.tracker().running().len() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(BOUND, reached).await.expect("requests do not run");
    }
}

/// A handler that answers when it is let go.
fn gated() -> (Arc<Notify>, crate::router::MethodRouter) {
    let gate = Arc::new(Notify::new());
    let handler = {
        let gate = Arc::clone(&gate);
        move || {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                "let go"
            }
        }
    };
    (gate, crate::get(handler))
}
