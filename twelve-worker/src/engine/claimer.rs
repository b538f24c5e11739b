//! Fills the buffer: surveys the lanes, then claims from them in batches as large as the buffer has room for.
//!
//! ```text
//! survey (each 1 s idle, 250 ms busy, or on a hint) ─► promote due jobs ─► claim ─► buffer
//!                                                            └─► suspects, each alone in this process
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

/// How often an idle worker polls, for jobs whose wake-up was lost.
const IDLE: Duration = Duration::from_secs(1);

/// How often a busy worker surveys for pauses, due jobs and suspects.
const BUSY: Duration = Duration::from_millis(250);

/// The shortest time between two surveys: few wake-ups are for a new queue, which only a survey finds.
const PAUSE: Duration = Duration::from_millis(20);

/// How soon to claim again without a hint, after a claim that found several jobs: more are likely to follow.
const HOT: Duration = Duration::from_millis(3);

/// How many jobs one claim takes. More would take longer, and each job would cost the same.
const MOST: usize = 500;

/// How many scheduled jobs one statement promotes.
const PROMOTED: usize = 2000;

/// One claim in this many takes the oldest jobs first, whatever their priority, so that no lane starves.
const FAIR_EVERY: u32 = 8;

/// How long a busy worker leaves suspects to idle workers.
const LEAVE_SUSPECTS: Duration = Duration::from_secs(3);

/// The longest time that a busy worker waits for its running jobs to end, before it runs a suspect alone.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

/// How long a worker runs only suspects, before other jobs have their turn.
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
                // The claim may have succeeded without an answer; then the rescuer finds it.
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
    /// The last claim found fewer jobs than there was room for.
    is_dry: bool,
    /// When to claim again all the same, since the last claim found several jobs.
    hot: Option<Instant>,
    claims: u32,
    suspects: Suspects,
}

struct Suspects {
    /// When a busy worker next waits for its running jobs to end.
    next_try: Instant,
    /// How long it then waits: longer after each wait that timed out.
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

    /// Releases jobs of paused queues and kinds that were claimed before the pause.
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
            .take_matching(|job| !open.contains(&*job.queue) || paused_kinds.contains(&job.kind));
        acker::release(self.engine, paused).await;
    }

    async fn fill(&mut self, room: usize) -> Result<(), Error> {
        let wanted = room.min(MOST);
        let lanes = self.lanes();
        let (jobs, taken) = self.claim(lanes, wanted).await?;
        self.engine.buffer.fill(jobs);
        self.is_dry = taken < wanted;
        self.hot = (taken > 1).then(|| Instant::now() + HOT);
        // A hint announced a job, but no known lane has it: its queue may be new, so survey again.
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

    /// The claimed jobs, and how many tickets the claim took off the lanes.
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
        // This is never cancelled by a drain: jobs that were claimed without an answer would wait for the rescuer.
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

    /// Runs suspects for a while, each alone in this process: if the worker dies, that job was the cause.
    ///
    /// An idle worker does so at once. A busy worker leaves suspects to others at first, and then waits for its running jobs to end, up to a limit: they may run for an hour.
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
                // The next wait is longer. Waiting takes at most an eighth of the time, since no other job starts meanwhile.
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
            // A lease is held until the end of the job is recorded, so this includes the ack.
            select! {
                () = self.engine.context.lifecycle().draining() => {}
                () = in_flight.all_released() => {}
            }
        }
        self.suspects.next_try = Instant::now() + LEAVE_SUSPECTS;
        self.suspects.patience = SUSPECTS;
        // This worker may have missed hints of other jobs meanwhile.
        self.next_look = Instant::now();
        Ok(())
    }
}
