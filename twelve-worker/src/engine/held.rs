//! What this process holds: the leases of the jobs that it runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::AbortHandle;

use crate::store::Lease;

type Leases = HashMap<Lease, Option<AbortHandle>>;

/// The leases of the jobs that run; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<Leases>>);

/// A lease is held as long as this lives.
#[derive(Debug)]
pub(super) struct Holding {
    lease: Lease,
    held: Held,
}

impl Held {
    /// Holds a lease; before the job's task starts, for a task may end before its handle is known.
    pub(super) fn hold(&self, lease: Lease) -> Holding {
        self.lock().insert(lease, None);
        Holding {
            lease,
            held: self.clone(),
        }
    }

    /// Remembers how to stop the job.
    pub(super) fn stop_with(&self, lease: Lease, handle: AbortHandle) {
        if let Some(known) = self.lock().get_mut(&lease) {
            *known = Some(handle);
        }
    }

    pub(super) fn contains(&self, lease: &Lease) -> bool {
        self.lock().contains_key(lease)
    }

    /// Stops every job that still runs, and tells which those were.
    pub(super) fn abort_all(&self) -> Vec<Lease> {
        self.lock()
            .iter()
            .map(|(lease, handle)| {
                if let Some(handle) = handle {
                    handle.abort();
                }
                *lease
            })
            .collect()
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().remove(&self.lease);
    }
}
