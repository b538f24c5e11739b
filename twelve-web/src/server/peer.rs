//! What the requests of one connection know of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The client's end of a connection; each of its requests carries this as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lingers: AtomicBool,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            lingers: AtomicBool::new(false),
        }))
    }

    /// Notes that we end the connection while the client may still be sending.
    pub(crate) fn linger(&self) {
        self.0.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.0.lingers.load(Ordering::Relaxed)
    }
}
