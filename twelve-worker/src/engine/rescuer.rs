//! Takes jobs back from dead workers.
//!
//! Each worker observes the heartbeats of the others, and measures on its own monotonic clock for how long one has not changed.
//! So no clock of another host is compared, and a wrong clock does no harm.
//! Only time between two successful looks counts: after an outage of the store, or a pause of the observer, every worker gets its full time again.

use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use twelve_core::Error;

use super::Engine;
use crate::{
    job::id::{ClaimId, WorkerId},
    store::{
        model::{Observation, Rescued},
        retry::{RetryBackoff, STORE_TIMEOUT, with_timeout},
        state::State,
    },
};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(3);

/// A heartbeat that has not changed for this long belongs to a dead worker: three beats are missing.
const DEAD_AFTER: Duration = Duration::from_secs(15);

/// Every how many looks the rescuer compares this worker's claims in the store with those that the worker knows.
const UNANSWERED_EVERY: u32 = 3;

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut observer = Observer::new(engine.worker);
    let mut unanswered = UnansweredClaims::default();
    let mut backoff = RetryBackoff::default();
    let mut steps = RetryBackoff::default();
    for look in 0_u32.. {
        match with_timeout(STORE_TIMEOUT, engine.store.observe()).await {
            Ok(seen) => {
                backoff.reset();
                let dead = observer.look(Instant::now(), &seen);
                rescue(&engine, &mut steps, dead, seen.orphans).await;
                if seen.cancellations {
                    engine.hint.give_cancelled();
                }
                if look % UNANSWERED_EVERY == 0
                    && let Err(error) = unanswered.look(&engine).await
                {
                    steps.log("looking for jobs whose claim was never answered", &error);
                }
            }
            Err(error) => {
                observer.forget();
                backoff.pause("looking for dead workers", &error).await;
            }
        }
        sleep(EVERY).await;
    }
}

/// A step that fails does not prevent the others; it is tried again after the next look.
async fn rescue(
    engine: &Engine,
    steps: &mut RetryBackoff,
    dead: Vec<(WorkerId, i64)>,
    orphans: bool,
) {
    for (worker, beat) in dead {
        match with_timeout(STORE_TIMEOUT, engine.store.rescue(worker, beat)).await {
            Ok(rescued) => {
                tracing::warn!(%worker, jobs = rescued.len(), "a worker died; its jobs were taken back");
                report(engine, &rescued);
            }
            Err(error) => steps.log("taking jobs back from a dead worker", &error),
        }
    }
    if orphans {
        match with_timeout(STORE_TIMEOUT, engine.store.rescue_orphans()).await {
            Ok(rescued) => report(engine, &rescued),
            Err(error) => steps.log("taking back jobs that nobody holds", &error),
        }
    }
}

fn report(engine: &Engine, rescued: &[Rescued]) {
    for job in rescued {
        let (id, kind) = (job.job, &job.kind);
        if job.state == State::Failed {
            tracing::error!(job = %id, kind, "too many workers died of this job: it has failed");
        } else {
            tracing::warn!(job = %id, kind, "the job was taken back");
        }
    }
    if !rescued.is_empty() {
        engine.hint.give();
    }
}

/// Measures for how long each heartbeat has not changed.
struct Observer {
    own: WorkerId,
    last_look: Option<Instant>,
    last_seen: HashMap<WorkerId, LastSeen>,
}

struct LastSeen {
    beat: i64,
    unchanged_for: Duration,
}

impl Observer {
    fn new(own: WorkerId) -> Self {
        Self {
            own,
            last_look: None,
            last_seen: HashMap::new(),
        }
    }

    /// The workers that are dead by now, with their last beats.
    fn look(&mut self, now: Instant, seen: &Observation) -> Vec<(WorkerId, i64)> {
        let since = self.last_look.map_or(Duration::ZERO, |last| now - last);
        // A longer time means that this process was paused, and perhaps the whole host with its other workers.
        let since = since.min(EVERY * 2);
        self.last_look = Some(now);
        let mut before = std::mem::take(&mut self.last_seen);
        for &(worker, beat) in &seen.beats {
            let unchanged_for = match before.remove(&worker) {
                Some(last) if last.beat == beat => last.unchanged_for + since,
                _ => Duration::ZERO,
            };
            self.last_seen.insert(
                worker,
                LastSeen {
                    beat,
                    unchanged_for,
                },
            );
        }
        let is_dead = |(worker, last): &(&WorkerId, &LastSeen)| {
            last.unchanged_for >= DEAD_AFTER && **worker != self.own
        };
        let dead = self.last_seen.iter().filter(is_dead);
        dead.map(|(worker, last)| (*worker, last.beat)).collect()
    }

    /// A look failed. The store may be down for all workers, so that none of them could beat.
    fn forget(&mut self) {
        self.last_look = None;
        self.last_seen.clear();
    }
}

/// Claims that the store has for this worker, and that the worker does not know: their answers were lost.
///
/// Without this check their jobs would never run: the worker lives, so no other worker rescues them.
#[derive(Default)]
struct UnansweredClaims(Vec<ClaimId>);

impl UnansweredClaims {
    async fn look(&mut self, engine: &Engine) -> Result<(), Error> {
        let claims = with_timeout(STORE_TIMEOUT, engine.store.claims_of(engine.worker)).await?;
        let unknown: Vec<_> = claims
            .into_iter()
            .filter(|claim| !engine.in_flight.knows(claim))
            .collect();
        // A claim that ended during the look seems unknown too, so only one that is unknown at two looks counts.
        let (unanswered, fresh): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .partition(|claim| self.0.contains(claim));
        self.0 = fresh;
        for claim in unanswered {
            // If this fails, the next looks find the claim again.
            let jobs = with_timeout(
                STORE_TIMEOUT,
                engine.store.release_claim(engine.worker, claim),
            )
            .await?;
            tracing::warn!(jobs, "jobs whose claim was never answered were released");
            engine.hint.give();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watch {
        observer: Observer,
        worker: WorkerId,
        now: Instant,
    }

    impl Watch {
        fn new() -> Self {
            Self {
                observer: Observer::new(WorkerId::new()),
                worker: WorkerId::new(),
                now: Instant::now(),
            }
        }

        /// Looks after this time, and tells whether the worker counts as dead.
        fn look(&mut self, after_s: u64, beat: i64) -> bool {
            self.now += Duration::from_secs(after_s);
            let seen = Observation {
                beats: vec![(self.worker, beat)],
                ..Observation::default()
            };
            !self.observer.look(self.now, &seen).is_empty()
        }
    }

    #[test]
    fn a_worker_is_dead_when_its_heartbeat_has_not_changed_for_fifteen_seconds() {
        let mut watch = Watch::new();
        let dead: Vec<_> = (0..6).map(|_| watch.look(3, 7)).collect();
        assert_eq!(dead, [false, false, false, false, false, true]);
    }

    #[test]
    fn every_beat_gives_a_worker_its_full_time_again() {
        let mut watch = Watch::new();
        for beat in 0..20 {
            for _ in 0..4 {
                assert!(!watch.look(3, beat));
            }
        }
    }

    #[test]
    fn a_pause_of_the_observer_kills_nobody() {
        let mut watch = Watch::new();
        assert!(!watch.look(3, 7));
        assert!(!watch.look(3600, 7));
        assert!(!watch.look(3, 8));
    }

    #[test]
    fn an_outage_of_the_store_kills_nobody() {
        let mut watch = Watch::new();
        for _ in 0..5 {
            watch.look(3, 7);
        }
        watch.observer.forget();
        assert!(!watch.look(3, 7));
    }

    #[test]
    fn a_worker_does_not_declare_itself_dead() {
        let mut watch = Watch::new();
        watch.worker = watch.observer.own;
        assert!((0..20).all(|_| !watch.look(3, 7)));
    }
}
