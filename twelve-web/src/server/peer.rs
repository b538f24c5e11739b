//! What the requests of one connection know of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that one HTTP/2 connection may have open at once.
pub(super) const STREAMS: u32 = 200;

/// The client's end of a connection; each of its requests carries this as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lingers: AtomicBool,
    /// Room for requests that go on without their client.
    detached: Arc<Semaphore>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            lingers: AtomicBool::new(false),
            detached: Arc::new(Semaphore::new(STREAMS as usize)),
        }))
    }

    /// Notes that we end the connection while the client may still be sending.
    pub(crate) fn linger(&self) {
        self.0.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.0.lingers.load(Ordering::Relaxed)
    }

    /// Waits until the connection may have one more request that goes on without its client.
    ///
    /// A client that takes its requests back makes room for others; their work must count all the same.
    pub(crate) async fn room_to_detach(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        Arc::clone(&self.0.detached).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_connection_has_no_more_detached_requests_than_streams() {
        let peer = Peer::new();
        let mut running = Vec::new();
        while let Some(room) = peer.room_to_detach().now_or_never() {
            running.push(room);
        }
        assert_eq!(running.len(), STREAMS as usize);
        running.pop();
        assert!(peer.room_to_detach().now_or_never().is_some());
    }
}
