//! Jobs that were claimed and have not started: what the executor slots take next.
//!
//! ```text
//! claimer ── fill ─► buffer ── next ─► executor slots
//!    ▲                  │
//!    └── running low ───┘
//! ```
//!
//! A short job costs less than the round trip that fetches it, so the buffer holds what the slots can execute during that round trip.
//! It is bounded by time, not only by number: while a job waits here, no other worker can run it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

use super::in_flight::LeaseGuard;
use crate::store::model::Claimed;

/// How much work may wait in the buffer, measured by the recent duration of attempts.
const AHEAD: Duration = Duration::from_millis(150);

/// How many jobs may wait, however short they are.
const MOST: usize = 1000;

/// How long a job may wait before it is released, so that another worker can run it: the jobs before it may take longer than expected.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A claimed job with its lease.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) claimed: Claimed,
    pub(super) lease_guard: LeaseGuard,
}

/// Jobs that wait for an executor slot.
#[derive(Debug)]
pub(super) struct Buffer {
    slots: usize,
    inner: Mutex<Inner>,
    /// Notified when there are jobs.
    filled: Notify,
    /// Notified when there is room for more.
    low: Notify,
}

#[derive(Debug)]
struct Inner {
    jobs: VecDeque<(Instant, Job)>,
    /// How many slots have nothing to do.
    idle: usize,
    /// The moving average of the duration of attempts. Until it is known, nothing is fetched ahead.
    pace: Option<Duration>,
}

impl Buffer {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                idle: slots,
                pace: None,
            }),
            filled: Notify::new(),
            low: Notify::new(),
        }
    }

    /// How many jobs to claim: none while the buffer is more than half full.
    pub(super) fn room(&self) -> usize {
        let inner = self.lock();
        let target = inner.idle + inner.ahead(self.slots);
        if inner.jobs.len() > target / 2 {
            return 0;
        }
        target - inner.jobs.len()
    }

    /// Waits until there may be room.
    pub(super) async fn has_room(&self) {
        self.low.notified().await;
    }

    pub(super) fn fill(&self, jobs: impl IntoIterator<Item = Job>) {
        let now = Instant::now();
        let jobs = jobs.into_iter().map(|job| (now, job));
        self.lock().jobs.extend(jobs);
        self.filled.notify_one();
    }

    /// The next job, as soon as there is one.
    pub(super) async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.take() {
                return job;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Job> {
        let mut inner = self.lock();
        let (_, job) = inner.jobs.pop_front()?;
        inner.idle -= 1;
        let target = inner.idle + inner.ahead(self.slots);
        // `Notify` stores one permit, not one for each job, so each slot that takes a job wakes another.
        if !inner.jobs.is_empty() {
            self.filled.notify_one();
        }
        if inner.jobs.len() <= target / 2 {
            self.low.notify_one();
        }
        Some(job)
    }

    /// A slot is idle again, after an attempt that took this long.
    pub(super) fn is_done(&self, after: Duration) {
        let is_low = {
            let mut inner = self.lock();
            inner.idle += 1;
            // Each attempt weighs an eighth: a single slow job changes little, many of them change much.
            inner.pace = Some(inner.pace.map_or(after, |pace| (pace * 7 + after) / 8));
            inner.jobs.is_empty()
        };
        if is_low {
            self.low.notify_one();
        }
    }

    /// Takes out the jobs that have waited for too long.
    pub(super) fn take_stale(&self) -> Vec<Job> {
        let stale = self.take_while(|since| since.elapsed() >= LONGEST_WAIT);
        if !stale.is_empty() {
            // The average is out of date. Fetching ahead continues after the next attempt has ended.
            self.lock().pace = None;
        }
        stale
    }

    /// Takes out everything.
    pub(super) fn take_all(&self) -> Vec<Job> {
        self.take_while(|_| true)
    }

    /// Takes out the jobs that match, wherever they are in the queue.
    pub(super) fn take_matching(&self, is_meant: impl Fn(&Claimed) -> bool) -> Vec<Job> {
        let mut inner = self.lock();
        let jobs = std::mem::take(&mut inner.jobs).into_iter();
        let (meant, others) = jobs.partition::<VecDeque<_>, _>(|(_, job)| is_meant(&job.claimed));
        inner.jobs = others;
        meant.into_iter().map(|(_, job)| job).collect()
    }

    fn take_while(&self, is_meant: impl Fn(Instant) -> bool) -> Vec<Job> {
        let mut inner = self.lock();
        let meant = inner.jobs.iter().take_while(|(since, _)| is_meant(*since));
        let meant = meant.count();
        inner.jobs.drain(..meant).map(|(_, job)| job).collect()
    }

    /// A panic while the lock was held cannot leave the queue half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// How many jobs may wait.
    fn ahead(&self, slots: usize) -> usize {
        let Some(pace) = self.pace else {
            return 0;
        };
        let ahead = AHEAD.as_nanos() * slots as u128 / pace.as_nanos().max(1);
        usize::try_from(ahead).unwrap_or(MOST).min(MOST)
    }
}
