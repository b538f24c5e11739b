//! The accept loop of an HTTP process, and how it ends.
//!
//! ```text
//! bind ─► READY: accept ─► connection task ─► request ─► Service
//! ANNOUNCE: everything is served, HTTP/1 answers carry `Connection: close`, HTTP/2 gets GOAWAY
//! DRAIN:    accept what has arrived ─► drop the listener ─► every connection ends after what it is doing
//! overdue:  what is left is cut off
//! ```
//!
//! axum's own server stops accepting the moment it is told to stop, has no deadline and does not wait for upgraded connections.
//! Hence this one, on hyper-util.

mod accept;
mod activity;
mod bad_ports;
mod connection;
mod descriptors;
mod head;
mod io;
mod listener;
mod peer;
mod places;
mod request;

use std::sync::Arc;
use tokio::net::TcpListener;
use twelve_core::{Context, Error, Exit, Failure, ProcessKind, ProcessType};

pub use self::bad_ports::{bad_port_warning, is_bad_port, listen_on_any_port};
pub(crate) use self::peer::Peer;

use self::{connection::Connections, descriptors::Room, places::Places};
use crate::{router::Router, service::Service, settings::Settings};

/// A process type that serves HTTP on `PORT`.
///
/// ```
/// use twelve_web::{Router, get, http};
///
/// let web = http("web", Router::new().route("/", get(async || "hello")));
/// assert_eq!(web.name(), "web");
/// ```
pub fn http(name: impl Into<String>, router: Router) -> ProcessType {
    let needs = router.needs();
    ProcessType::new(name, ProcessKind::Http, needs, move |context| {
        serve(router.clone(), context)
    })
    .reads::<Settings>()
}

async fn serve(router: Router, context: Context) -> Result<Exit, Failure> {
    Ok(Server::bind(router, &context)?.run().await)
}

/// A server whose port is bound.
struct Server {
    listener: TcpListener,
    connections: Arc<Connections>,
    context: Context,
}

impl Server {
    fn bind(router: Router, context: &Context) -> Result<Self, Error> {
        let settings = Settings::of(context)?;
        // The wiring is checked before the port is bound.
        let service = Service::new(router, context, &settings)?;
        let places = Places::new(Room::of(settings.max_connections));
        Ok(Self {
            listener: listener::open(settings.address, context.environment())?,
            connections: Arc::new(Connections::new(service, context, &settings, places)),
            context: context.clone(),
        })
    }

    async fn run(self) -> Exit {
        let lifecycle = self.context.lifecycle();
        lifecycle.ready();
        match self.listener.local_addr() {
            Ok(address) => tracing::info!(%address, "listening"),
            Err(error) => tracing::info!(%error, "listening"),
        }
        accept::until_drained(self.listener, &self.connections, lifecycle).await;
        let open = self.connections.open();
        open.close();
        // The connections first: what they are doing may still begin something in the background.
        let done = async {
            open.wait().await;
            lifecycle.tracker().idle().await;
        };
        tokio::select! {
            biased;
            // First, because the connections hear of it too: when they are cut off they are done as well.
            () = lifecycle.overdue() => {
                tracing::warn!("not drained in time: the rest is cut off");
                Exit::Overdue
            }
            () = done => {
                tracing::info!("drained");
                Exit::Done
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
