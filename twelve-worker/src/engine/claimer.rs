//! Fills the buffer: surveys the lanes, and claims from them in batches as large as there is room.
//!
//! ```text
//! survey (1 s idle, 250 ms busy, or told) ─► promote what is due ─► claim ─► buffer
//!                                                   └─► suspects, one at a time, with nothing beside them
//! ```

use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::Duration};
use tokio::{
    select,
    time::{Instant, sleep_until, timeout},
};
use twelve_core::{Error, State};

use super::{Engine, acker, buffer::Job, statistics, weights::Weights};
use crate::store::{
    model::{Batch, Claim, Lane, Level, Survey},
    retry::{RetryBackoff, STORE_TIMEOUT, with_timeout},
};

/// How often an idle worker looks for jobs that nobody announced.
const IDLE: Duration = Duration::from_secs(1);

/// How often a busy one looks whether anything is paused, due or suspect.
const BUSY: Duration = Duration::from_millis(250);

/// The shortest time between two surveys: a wake-up may be for a queue that is new, and often is not.
const PAUSE: Duration = Duration::from_millis(20);

/// After a claim that found several jobs, how soon to claim again without being told: there are more where they came from.
const HOT: Duration = Duration::from_millis(3);

/// How many jobs one claim takes: more make the statement longer, and nothing cheaper.
const MOST: usize = 500;

/// How many scheduled jobs one statement moves.
const PROMOTED: usize = 2000;

/// Every how many claims the oldest job goes first, whatever its priority: no load starves a lane.
const FAIR_EVERY: u32 = 8;

/// How long a busy worker leaves suspects to idle ones.
const LEAVE_SUSPECTS: Duration = Duration::from_secs(3);

/// The longest that a busy worker waits for what it runs, to be alone with a suspect.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// How long a worker runs nothing but suspects; then other jobs have their turn.
const SUSPECTS: Duration = Duration::from_secs(2);

/// Claims until the process drains.
pub(super) async fn run(engine: &Arc<Engine>, weights: &Weights) {
    let now = Instant::now();
    let mut claimer = Claimer {
        engine,
        weights,
        survey: Survey::default(),
        surveyed: None,
        next_look: now,
        is_dry: true,
        hot: None,
        claims: 0,
        suspects: Suspects {
            next_try: now + LEAVE_SUSPECTS,
            patience: SUSPECTS,
        },
    };
    let mut backoff = RetryBackoff::default();
    let lifecycle = engine.context.lifecycle();
    while lifecycle.state() < State::Drain {
        match claimer.round().await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                // Whether anything was claimed is unknown: what was, the rescuer finds.
                claimer.next_look = Instant::now();
                select! {
                    () = lifecycle.draining() => break,
                    () = backoff.pause("claiming jobs", &error) => {}
                }
            }
        }
    }
    acker::release(engine, engine.buffer.take_all()).await;
}

struct Claimer<'e> {
    engine: &'e Arc<Engine>,
    weights: &'e Weights,
    survey: Survey,
    surveyed: Option<Instant>,
    next_look: Instant,
    /// The last claim found less than there was room for.
    is_dry: bool,
    /// It found several all the same: when to claim again.
    hot: Option<Instant>,
    claims: u32,
    suspects: Suspects,
}

struct Suspects {
    /// When a busy worker tries to be alone with them again.
    next_try: Instant,
    /// How long to wait for the jobs that run: longer each time that it was in vain.
    patience: Duration,
}

impl Claimer<'_> {
    async fn round(&mut self) -> Result<(), Error> {
        if Instant::now() >= self.next_look {
            self.look().await?;
        }
        let room = self.engine.buffer.room();
        if room > 0 && !self.is_dry {
            return self.fill(room).await;
        }
        let hot = self.hot.unwrap_or(self.next_look);
        select! {
            () = self.engine.context.lifecycle().draining() => {}
            () = self.engine.buffer.has_room(), if !self.is_dry => {}
            () = self.engine.hint.given() => {
                self.is_dry = false;
                if self.engine.hint.is_control() {
                    self.next_look = Instant::now();
                }
            }
            () = sleep_until(hot), if self.is_dry && self.hot.is_some() => {
                self.is_dry = false;
                self.hot = None;
            }
            () = sleep_until(self.next_look) => {}
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        let Engine { store, queues, .. } = &**self.engine;
        acker::release(self.engine, self.engine.buffer.take_stale()).await;
        self.survey = with_timeout(STORE_TIMEOUT, store.survey(queues)).await?;
        if self.survey.next_due == Some(Duration::ZERO) {
            with_timeout(STORE_TIMEOUT, store.promote(PROMOTED)).await?;
            self.survey = with_timeout(STORE_TIMEOUT, store.survey(queues)).await?;
        }
        self.release_paused().await;
        let now = Instant::now();
        self.surveyed = Some(now);
        let (suspects, others): (Vec<_>, Vec<_>) = self
            .survey
            .lanes
            .iter()
            .partition(|lane| lane.level == Level::Suspect);
        let is_any = |lanes: &[&Lane]| lanes.iter().any(|lane| lane.oldest.is_some());
        let (is_work, are_suspects) = (is_any(&others), is_any(&suspects));
        self.is_dry = !is_work;
        let pause = if is_work { BUSY } else { IDLE };
        let until_due = self.survey.next_due.unwrap_or(pause).max(PAUSE);
        self.next_look = now + pause.min(until_due);
        if are_suspects {
            self.run_suspects().await?;
        }
        Ok(())
    }

    /// A pause holds for what was claimed before it, too.
    async fn release_paused(&self) {
        let Survey {
            lanes,
            paused_kinds,
            ..
        } = &self.survey;
        let open: HashSet<&str> = lanes.iter().map(|lane| &*lane.queue).collect();
        let paused = self
            .engine
            .buffer
            .take_held_back(|job| !open.contains(&*job.queue) || paused_kinds.contains(&job.kind));
        acker::release(self.engine, paused).await;
    }

    async fn fill(&mut self, room: usize) -> Result<(), Error> {
        let wanted = room.min(MOST);
        let lanes = self.lanes();
        let (jobs, taken) = self.claim(lanes, wanted).await?;
        self.engine.buffer.fill(jobs);
        self.is_dry = taken < wanted;
        self.hot = (taken > 1).then(|| Instant::now() + HOT);
        // Somebody told of a job, and it is not here: it may be on a queue that is new.
        if taken == 0 && self.surveyed.is_none_or(|at| at.elapsed() > PAUSE) {
            self.next_look = Instant::now();
        }
        Ok(())
    }

    /// The lanes in the order in which this claim looks at them.
    fn lanes(&mut self) -> Vec<Lane> {
        self.claims = self.claims.wrapping_add(1);
        let mut lanes: Vec<Lane> = self.survey.lanes.clone();
        lanes.retain(|lane| lane.level != Level::Suspect);
        if self.claims.is_multiple_of(FAIR_EVERY) {
            lanes.sort_by_key(|lane| lane.oldest.unwrap_or(i64::MAX));
        } else {
            let mut turns: Vec<(Level, Reverse<u64>, Lane)> = lanes
                .into_iter()
                .map(|lane| (lane.level, Reverse(self.weights.draw(&lane.queue)), lane))
                .collect();
            turns.sort_by_key(|(level, turn, _)| (*level, *turn));
            lanes = turns.into_iter().map(|(.., lane)| lane).collect();
        }
        lanes
    }

    /// The jobs that were claimed, and how many entries were taken off the lanes for them.
    async fn claim(&self, lanes: Vec<Lane>, limit: usize) -> Result<(Vec<Job>, usize), Error> {
        let Engine {
            store,
            worker,
            in_flight,
            ..
        } = &**self.engine;
        let claim = Claim {
            id: in_flight.begin(),
            worker: *worker,
            lanes,
            limit,
            paused_kinds: self.survey.paused_kinds.clone(),
        };
        // A claim is never dropped half way when the drain begins: its jobs would be taken and forgotten.
        let began = Instant::now();
        let batch = with_timeout(STORE_TIMEOUT, store.claim(&claim)).await;
        statistics::note(self.engine, began);
        if batch.as_ref().map_or(true, |batch| batch.jobs.is_empty()) {
            in_flight.forget(&[claim.id]);
        }
        let Batch { jobs, taken } = batch?;
        let leases: Vec<_> = jobs.iter().map(|job| job.lease).collect();
        let guards = in_flight.hold(claim.id, &leases);
        let job = |(claimed, lease_guard)| Job {
            claimed,
            lease_guard,
        };
        Ok((jobs.into_iter().zip(guards).map(job).collect(), taken))
    }

    /// Runs suspects for a while, one after the other and nothing beside them: when a worker dies, it is known of what.
    ///
    /// An idle worker does so at once. A busy one leaves them to others for a moment, and then waits for what it runs; not for ever, for that could be an hour.
    async fn run_suspects(&mut self) -> Result<(), Error> {
        let in_flight = &self.engine.in_flight;
        if !in_flight.is_empty() {
            if Instant::now() < self.suspects.next_try {
                return Ok(());
            }
            acker::release(self.engine, self.engine.buffer.take_all()).await;
            let patience = self.suspects.patience;
            let is_alone = select! {
                () = self.engine.context.lifecycle().draining() => return Ok(()),
                waited = timeout(patience, in_flight.all_released()) => waited.is_ok(),
            };
            if !is_alone {
                // It waits longer the next time, but for an eighth of its time at most: others wait meanwhile.
                self.suspects.patience = (patience * 2).min(LONGEST_PATIENCE);
                self.suspects.next_try = Instant::now() + patience * 8;
                return Ok(());
            }
        }
        let lanes = self.survey.lanes.iter();
        let lanes: Vec<_> = lanes
            .filter(|lane| lane.level == Level::Suspect)
            .cloned()
            .collect();
        let began = Instant::now();
        while began.elapsed() < SUSPECTS && self.engine.context.lifecycle().state() < State::Drain {
            let (jobs, taken) = self.claim(lanes.clone(), 1).await?;
            if taken == 0 {
                break;
            }
            self.engine.buffer.fill(jobs);
            // Until its end is recorded: a job that waits for its ack is held as well.
            select! {
                () = self.engine.context.lifecycle().draining() => {}
                () = in_flight.all_released() => {}
            }
        }
        self.suspects.next_try = Instant::now() + LEAVE_SUSPECTS;
        self.suspects.patience = SUSPECTS;
        // What waits meanwhile was announced to this worker.
        self.next_look = Instant::now();
        Ok(())
    }
}
