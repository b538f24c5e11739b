//! The address of a database that moves from one server to another, as a virtual IP or a DNS name does.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::pgbouncer::{parts, url_at};
use super::postgres::Postgres;

/// Listens on a port of its own, and leads each new connection to the server that it points to then.
///
/// Connections that are open stay with their server until one of the two ends leaves, or they are cut.
#[derive(Debug)]
pub(crate) struct Relay {
    port: u16,
    socket: Arc<Mutex<String>>,
    cut: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn before(postgres: &Postgres) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bind the relay");
        let port = listener.local_addr().expect("the relay's address").port();
        let socket = Arc::new(Mutex::new(socket_of(postgres)));
        let current = Arc::clone(&socket);
        let (cut, is_cut) = watch::channel(());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let socket = lock(&current).clone();
                tokio::spawn(forward(client, socket, is_cut.clone()));
            }
        });
        Self {
            port,
            socket,
            cut,
            accepting,
        }
    }

    /// Where a database lies behind it, in the words of the URL that leads there directly.
    pub(crate) fn url_of(&self, direct: &str) -> String {
        url_at(self.port, direct)
    }

    /// Points to another server; open connections stay where they are.
    pub(crate) fn move_to(&self, postgres: &Postgres) {
        *lock(&self.socket) = socket_of(postgres);
    }

    /// Ends the connections that are open.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A server that does not listen is a connection that is closed at once.
async fn forward(mut client: TcpStream, socket: String, mut is_cut: watch::Receiver<()>) {
    is_cut.mark_unchanged();
    let Ok(mut server) = UnixStream::connect(socket).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_cut.changed() => {}
    }
}

fn socket_of(postgres: &Postgres) -> String {
    let (_, directory) = parts(&postgres.url);
    format!("{directory}/.s.PGSQL.5432")
}

fn lock(socket: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}
