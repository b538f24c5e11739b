//! Who may be connected, and who leaves when every place is taken.
//!
//! ```text
//! accept ─► a place is free ─────────────────────────────► served
//!   └─ none: a place beside ─► a probe ──────────────────► served
//!                └─► any other request ─► waits for a place ─► served, or 503
//! ```
//!
//! A connection that has nothing to do gives its place to one that has: the one that has been idle for the longest leaves first.
//! The places beside are few, and whoever has been in one for the longest leaves it to the next client, so a probe always gets in.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{activity::Activity, descriptors::Room};

/// How long a connection must have been idle before it leaves for another.
///
/// A client that has just had an answer is about to ask again.
const SPARED: Duration = Duration::from_secs(1);

/// How often the connections are looked through at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a request waits for a place.
const WAIT: Duration = Duration::from_secs(10);

/// One of so many places is kept free, so that a new client need not wait until another has left.
const KEPT_FREE: usize = 32;

pub(super) struct Places {
    room: Arc<Semaphore>,
    /// One more than there are places beside: for the client that comes next.
    beside: Arc<Semaphore>,
    count_beside: usize,
    kept_free: usize,
    /// Who is in a place beside, the one that came first at the front.
    seats: Mutex<VecDeque<Weak<Seat>>>,
    /// What those who have a place are doing.
    taken: Mutex<HashMap<u64, Activity>>,
    next: AtomicU64,
    looked: Mutex<Option<Instant>>,
}

/// What a connection holds as long as it is open.
#[derive(Default)]
pub(super) struct Place {
    _regular: Option<OwnedSemaphorePermit>,
    /// The place beside, if there was no other.
    pub(super) seat: Option<Arc<Seat>>,
}

/// A connection may have to end for another's sake as long as this lives.
pub(super) struct Listed {
    places: Arc<Places>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.places.leave(self.id);
    }
}

/// A place beside, until it becomes a regular one.
pub(super) struct Seat {
    places: Arc<Places>,
    id: u64,
    activity: Activity,
    beside: Mutex<Option<OwnedSemaphorePermit>>,
    regular: OnceCell<OwnedSemaphorePermit>,
    /// Another client has come, and this one has to leave.
    displaced: CancellationToken,
}

impl Places {
    pub(super) fn new(room: Room) -> Arc<Self> {
        let connections = room.connections.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            room: Arc::new(Semaphore::new(connections)),
            beside: Arc::new(Semaphore::new(room.beside + 1)),
            count_beside: room.beside,
            kept_free: connections / KEPT_FREE,
            seats: Mutex::default(),
            taken: Mutex::default(),
            next: AtomicU64::default(),
            looked: Mutex::default(),
        })
    }

    /// Waits until one more client may be let in.
    pub(super) async fn entry(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.beside).acquire_owned().await {
            Ok(entry) => entry,
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }

    /// The same at once, if there is room.
    pub(super) fn entry_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.beside).try_acquire_owned().ok()
    }

    /// A place for a client that has come; and what is to be dropped when it has ended, or become something else than HTTP.
    pub(super) fn take(
        self: &Arc<Self>,
        entry: OwnedSemaphorePermit,
        activity: &Activity,
    ) -> (Place, Listed) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let listed = Listed {
            places: Arc::clone(self),
            id,
        };
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            self.taken().insert(id, activity.clone());
            self.make_room(self.kept_free);
            let place = Place {
                _regular: Some(permit),
                seat: None,
            };
            return (place, listed);
        }
        let seat = Arc::new(Seat {
            places: Arc::clone(self),
            id,
            activity: activity.clone(),
            beside: Mutex::new(Some(entry)),
            regular: OnceCell::new(),
            displaced: CancellationToken::new(),
        });
        let mut seats = lock(&self.seats);
        seats.retain(|seat| seat.upgrade().is_some_and(|seat| !seat.is_regular()));
        seats.push_back(Arc::downgrade(&seat));
        if seats.len() > self.count_beside
            && let Some(first) = seats.pop_front().and_then(|seat| seat.upgrade())
        {
            first.displaced.cancel();
            first.activity.evict();
        }
        drop(seats);
        self.make_room(self.kept_free);
        let place = Place {
            _regular: None,
            seat: Some(seat),
        };
        (place, listed)
    }

    fn leave(&self, id: u64) {
        self.taken().remove(&id);
    }

    /// Lets those leave that have been idle for the longest, until so many places are free.
    pub(super) fn make_room(&self, wanted: usize) {
        if self.room.available_permits() >= wanted || !self.is_time_to_look() {
            return;
        }
        let free = self.room.available_permits();
        let now = Instant::now();
        let mut leaving = 0;
        let mut idle = Vec::new();
        for activity in self.taken().values() {
            match activity.idle_since() {
                _ if activity.is_evicted() => leaving += 1,
                Some(since) if now - since >= SPARED => idle.push((since, activity.clone())),
                _ => {}
            }
        }
        let count = wanted.saturating_sub(free + leaving).min(idle.len());
        if count == 0 {
            return;
        }
        idle.select_nth_unstable_by_key(count - 1, |(since, _)| *since);
        for (_, activity) in &idle[..count] {
            activity.evict();
        }
        tracing::debug!(count, "idle connections end: their places are needed");
    }

    /// Lets some of those leave that are idle, though there are places: something else is wanting.
    pub(super) fn make_some_room(&self) {
        self.make_room(self.room.available_permits() + self.kept_free.max(1));
    }

    /// Looking through ten thousand connections for each new one would take longer than serving it.
    fn is_time_to_look(&self) -> bool {
        let mut looked = lock(&self.looked);
        let now = Instant::now();
        let is_time = looked.is_none_or(|last| now - last >= LOOK_EVERY);
        if is_time {
            *looked = Some(now);
        }
        is_time
    }

    fn seats_taken(&self) -> usize {
        lock(&self.seats).len()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Activity>> {
        lock(&self.taken)
    }
}

impl Seat {
    fn is_regular(&self) -> bool {
        self.regular.initialized()
    }

    /// Has this client to leave for another, whatever it does?
    pub(super) fn is_displaced(&self) -> bool {
        self.displaced.is_cancelled()
    }

    /// Waits for a place; false when none became free in time.
    pub(super) async fn is_admitted(&self) -> bool {
        // Of several streams one waits for the place, and the others for that one: each has its own time.
        let admission = self.regular.get_or_try_init(|| async {
            tokio::select! {
                biased;
                () = self.displaced.cancelled() => Err(()),
                permit = self.room() => Ok(permit),
            }
        });
        matches!(timeout(WAIT, admission).await, Ok(Ok(_)))
    }

    async fn room(&self) -> OwnedSemaphorePermit {
        let places = &self.places;
        let mut free = std::pin::pin!(Arc::clone(&places.room).acquire_owned());
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Ok(permit) = &mut free => {
                    places.taken().insert(self.id, self.activity.clone());
                    drop(lock(&self.beside).take());
                    return permit;
                }
                _ = look.tick() => places.make_room(places.kept_free.max(places.seats_taken())),
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A stream of HTTP/2 may have been admitted after its connection had left.
        self.places.leave(self.id);
    }
}

/// Nobody panics while holding one of them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test(start_paused = true)]
    async fn the_streams_of_one_connection_wait_together() {
        let places = Places::new(Room {
            connections: 1,
            beside: 1,
        });
        let busy = Activity::new();
        let _request = busy.begin();
        let _regular = places.take(places.entry().await, &busy);
        let (place, _listed) = places.take(places.entry().await, &Activity::new());
        let seat = place.seat.expect("there is one regular place");
        let begun = Instant::now();
        let admitted = join_all((0..20).map(|_| seat.is_admitted())).await;
        assert_eq!(admitted, [false; 20]);
        assert_eq!(begun.elapsed(), WAIT);
    }
}
