//! The jobs in flight: the leases and claims that this process holds.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{job::id::ClaimId, store::model::Lease};

/// How long recording the ends of returned handlers may take, once the drain is over.
const LAST_ACKS: Duration = Duration::from_secs(1);

/// The phase of a job in flight.
#[derive(Debug)]
enum Phase {
    /// It waits for an executor slot, and can be stopped before it starts.
    Waiting(Arc<Stop>),
    /// Its handler runs.
    Running(Arc<Stop>),
    /// Its end is being recorded.
    Ending,
}

/// A cancellation request to one handler.
#[derive(Debug, Default)]
pub(super) struct Stop {
    pub(super) token: CancellationToken,
    reason: OnceLock<String>,
}

impl Stop {
    /// The reason of the request; empty before there is one.
    pub(super) fn reason(&self) -> String {
        self.reason.get().cloned().unwrap_or_default()
    }
}

/// The leases and claims of this process; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    leases: Mutex<HashMap<Lease, Phase>>,
    claims: Mutex<HashSet<ClaimId>>,
    /// Cancelled when the budget is used up: stops every handler.
    stop: CancellationToken,
    /// Notified whenever a lease is released.
    released: Notify,
}

/// Holds one lease; its drop releases it.
#[derive(Debug)]
pub(super) struct LeaseGuard {
    pub(super) lease: Lease,
    claim: Arc<ClaimGuard>,
    in_flight: InFlight,
}

/// One claim, and how many of its jobs have not ended.
#[derive(Debug)]
pub(super) struct ClaimGuard {
    id: ClaimId,
    left: AtomicUsize,
    /// The end of one of its jobs could not be recorded.
    has_unrecorded: AtomicBool,
}

impl InFlight {
    /// Registers a claim before it is made, so that a claim whose answer was lost can be recognised.
    pub(super) fn begin(&self) -> ClaimId {
        let claim = ClaimId::new();
        self.claims().insert(claim);
        claim
    }

    /// Forgets claims that hold nothing, or whose answer was lost.
    pub(super) fn forget(&self, claims: &[ClaimId]) {
        let mut known = self.claims();
        for claim in claims {
            known.remove(claim);
        }
    }

    pub(super) fn knows(&self, claim: &ClaimId) -> bool {
        self.claims().contains(claim)
    }

    /// Holds the leases of a claim.
    pub(super) fn hold(&self, claim: ClaimId, leases: &[Lease]) -> Vec<LeaseGuard> {
        let claim_guard = Arc::new(ClaimGuard {
            id: claim,
            left: AtomicUsize::new(leases.len()),
            has_unrecorded: AtomicBool::new(false),
        });
        let mut held = self.leases();
        let guard = |lease: &Lease| {
            held.insert(*lease, Phase::Waiting(Arc::default()));
            LeaseGuard {
                lease: *lease,
                claim: Arc::clone(&claim_guard),
                in_flight: self.clone(),
            }
        };
        leases.iter().map(guard).collect()
    }

    /// The handler is about to run.
    pub(super) fn has_started(&self, lease: Lease) -> Arc<Stop> {
        let mut held = self.leases();
        let phase = held.get_mut(&lease);
        let stop = match &phase {
            Some(Phase::Waiting(stop) | Phase::Running(stop)) => Arc::clone(stop),
            _ => Arc::default(),
        };
        if let Some(phase) = phase {
            *phase = Phase::Running(Arc::clone(&stop));
        }
        stop
    }

    /// The handler has returned, and its end is about to be recorded: the job can no longer be stopped. False when it was stopped before.
    pub(super) fn has_ended(&self, lease: Lease) -> bool {
        let mut held = self.leases();
        if self.0.stop.is_cancelled() {
            return false;
        }
        if let Some(phase) = held.get_mut(&lease) {
            *phase = Phase::Ending;
        }
        true
    }

    /// Waits until every handler is stopped.
    pub(super) async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Passes cancellation requests, with their reasons, to the handlers.
    pub(super) fn cancel(&self, cancelled: Vec<(Lease, String)>) {
        let held = self.leases();
        for (lease, reason) in cancelled {
            if let Some(Phase::Waiting(stop) | Phase::Running(stop)) = held.get(&lease) {
                stop.reason.get_or_init(|| reason);
                stop.token.cancel();
            }
        }
    }

    /// The jobs whose handlers run, or have yet to start.
    pub(super) fn unended(&self) -> Vec<Lease> {
        let held = self.leases();
        let unended = held
            .iter()
            .filter(|(_, phase)| !matches!(phase, Phase::Ending));
        unended.map(|(lease, _)| *lease).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leases().is_empty()
    }

    /// Waits until no lease is held.
    pub(super) async fn all_released(&self) {
        while !self.is_empty() {
            self.0.released.notified().await;
        }
    }

    /// Stops every handler that still runs, waits a moment for the ends of the others to be recorded, and returns the leases that are left.
    pub(super) async fn stop_all(&self) -> Vec<Lease> {
        let mut left: Vec<Lease> = {
            let held = self.leases();
            self.0.stop.cancel();
            let stopped = held
                .iter()
                .filter(|(_, phase)| !matches!(phase, Phase::Ending));
            stopped.map(|(lease, _)| *lease).collect()
        };
        let ending = || -> Vec<Lease> {
            let held = self.leases();
            let ending = held.keys().filter(|lease| !left.contains(lease));
            ending.copied().collect()
        };
        let all_ended = async {
            while !ending().is_empty() {
                self.0.released.notified().await;
            }
        };
        // Those that take longer are released too. The fencing token accepts either the ack or the release, whichever comes first.
        let _ = timeout(LAST_ACKS, all_ended).await;
        let ending = ending();
        left.extend(ending);
        left
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn leases(&self) -> MutexGuard<'_, HashMap<Lease, Phase>> {
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self) -> MutexGuard<'_, HashSet<ClaimId>> {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseGuard {
    /// The job's end could not be recorded, and the job could not be released.
    pub(super) fn mark_unrecorded(&self) {
        self.claim.has_unrecorded.store(true, Ordering::Release);
    }

    /// The job has ended. If it was the last of its claim, returns the claim for the store to forget. Called once.
    ///
    /// A claim with an unrecorded end stays in the store, but this process forgets it: the rescuer then finds it, and releases what is left of it.
    pub(super) fn end(&self) -> Option<ClaimId> {
        let was_last = self.claim.left.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && self.claim.has_unrecorded.load(Ordering::Acquire) {
            self.in_flight.forget(&[self.claim.id]);
            return None;
        }
        was_last.then_some(self.claim.id)
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.in_flight.leases().remove(&self.lease);
        // `Notify` stores one permit, so a task that starts to wait later is woken too.
        self.in_flight.0.released.notify_one();
    }
}
