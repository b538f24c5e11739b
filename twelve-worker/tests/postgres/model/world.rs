//! What the model knows: jobs, and where their tickets are.

use std::collections::{BTreeMap, VecDeque};
use twelve_worker::{
    ClaimId, JobId, Pausable, WorkerId,
    store::{
        Claimed, Draft, Due, Filter, HeartbeatWriter, Lease, Level, State,
        conformance::{Fixture, profile},
    },
};
use uuid::Uuid;

use super::{act, control};

/// How many workers may die in a row while they run a job alone.
const MAX_CRASHES: u32 = 3;

/// The queue of all jobs, and their kinds.
pub(super) const QUEUE: &str = "default";
pub(super) const KINDS: [&str; 2] = ["charge", "refund"];

/// A store, and what must be in it.
pub(super) struct World<'a> {
    pub(super) it: &'a Fixture,
    pub(super) jobs: Vec<Job>,
    pub(super) workers: Vec<WorkerId>,
    pub(super) claims: Vec<Held>,
    /// Every lease that was ever given: all but those that are held are stale.
    pub(super) leases: Vec<Lease>,
    pub(super) paused: Vec<Pausable>,
    /// Who holds which unique key.
    pub(super) keys: BTreeMap<Uuid, Holder>,
    ready: BTreeMap<Level, VecDeque<Lease>>,
    /// Those that are due, in their order.
    due: Vec<Lease>,
    /// Those that will not be due in this test.
    later: Vec<Lease>,
    parked: Vec<Lease>,
    heartbeat: Box<dyn HeartbeatWriter>,
}

/// A job, as it must be.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) draft: Draft,
    pub(super) epoch: i64,
    pub(super) end: Option<State>,
    pub(super) attempts: u32,
    pub(super) max_attempts: u32,
    pub(super) crashes: u32,
    pub(super) deferrals: u32,
    pub(super) is_suspect: bool,
}

/// Who holds a unique key.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) job: JobId,
    pub(super) is_until_started: bool,
}

/// A claim that is not forgotten.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: ClaimId,
    pub(super) worker: WorkerId,
    pub(super) leases: Vec<Lease>,
    pub(super) is_alone: bool,
}

impl<'a> World<'a> {
    pub(super) async fn new(it: &'a Fixture) -> Self {
        let mut world = Self {
            it,
            jobs: Vec::new(),
            workers: Vec::new(),
            claims: Vec::new(),
            leases: Vec::new(),
            paused: Vec::new(),
            keys: BTreeMap::new(),
            ready: BTreeMap::new(),
            due: Vec::new(),
            later: Vec::new(),
            parked: Vec::new(),
            heartbeat: it.store.heartbeat_writer(),
        };
        for _ in 0..2 {
            world.hire().await;
        }
        world
    }

    /// A new worker.
    pub(super) async fn hire(&mut self) {
        let worker = WorkerId::new();
        let profile = profile(worker);
        self.heartbeat.beat(&profile, false).await.unwrap();
        self.workers.push(worker);
    }

    pub(super) fn job(&mut self, id: JobId) -> &mut Job {
        self.found(id).expect("it was enqueued, and has not gone")
    }

    fn found(&mut self, id: JobId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.draft.id == id)
    }

    /// Is this the job's last epoch, and has the job not ended?
    pub(super) fn is_valid(&self, lease: Lease) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|job| job.end.is_none() && job.lease() == lease)
    }

    /// Is the job held by a worker?
    pub(super) fn is_held(&self, lease: Lease) -> bool {
        self.is_valid(lease)
            && self
                .claims
                .iter()
                .any(|claim| claim.leases.contains(&lease))
    }

    /// Puts a job that waits, with a new epoch, where it belongs.
    pub(super) fn put(&mut self, id: JobId, level: Option<Level>, due: Due) {
        let job = self.job(id);
        let lease = job.lease();
        match due {
            Due::Now => {
                let level = if job.is_suspect {
                    Some(Level::Suspect)
                } else {
                    level
                };
                let level = level.unwrap_or(Level::Priority(job.draft.priority));
                self.ready.entry(level).or_default().push_back(lease);
            }
            Due::After(delay) if delay.is_zero() => self.due.push(lease),
            _ => self.later.push(lease),
        }
    }

    /// Takes back a job that is held: its lease does not hold any more, and it goes first.
    pub(super) fn back(&mut self, lease: Lease) {
        self.job(lease.job).epoch += 1;
        self.put(lease.job, Some(Level::Returned), Due::Now);
    }

    /// Whatever a job ends as, its key is free.
    pub(super) fn end(&mut self, id: JobId, state: State) {
        self.job(id).end = Some(state);
        self.keys.retain(|_, holder| holder.job != id);
    }

    /// A key that is held until the start is free.
    pub(super) fn start(&mut self, id: JobId) {
        self.keys
            .retain(|_, holder| holder.job != id || !holder.is_until_started);
    }

    pub(super) fn forget(&mut self, id: JobId) {
        self.jobs.retain(|job| job.draft.id != id);
    }

    /// Everything that is due goes to its lane.
    pub(super) fn promote(&mut self) {
        for lease in std::mem::take(&mut self.due) {
            if self.is_valid(lease) {
                self.put(lease.job, None, Due::Now);
            }
        }
    }

    /// The levels in which there is an entry, outdated or not.
    pub(super) fn busy(&self) -> Vec<Level> {
        let ready = self.ready.iter();
        let busy = ready.filter(|(_, entries)| !entries.is_empty());
        busy.map(|(level, _)| *level).collect()
    }

    /// What a claim must take: the jobs, and how many entries.
    pub(super) fn take(&mut self, levels: &[Level], limit: usize) -> (Vec<Lease>, usize) {
        let mut taken = Vec::new();
        for level in levels {
            let lane = self.ready.entry(*level).or_default();
            let wanted = lane.len().min(limit - taken.len());
            taken.extend(lane.drain(..wanted));
        }
        let count = taken.len();
        taken.retain(|lease| self.is_valid(*lease));
        let (parked, jobs) = taken
            .into_iter()
            .partition(|lease| self.is_held_back(lease.job));
        self.parked.extend::<Vec<Lease>>(parked);
        (jobs, count)
    }

    pub(super) fn is_queue_paused(&self) -> bool {
        self.paused.contains(&Pausable::Queue(QUEUE.to_owned()))
    }

    /// Is its kind paused?
    fn is_held_back(&self, id: JobId) -> bool {
        let job = self.jobs.iter().find(|job| job.draft.id == id);
        let kind = |job: &Job| Pausable::Kind(job.draft.kind.to_string());
        job.is_some_and(|job| self.paused.contains(&kind(job)))
    }

    /// Jobs of this kind are held back no longer: the oldest job comes first.
    pub(super) fn unpark(&mut self, kind: &str) {
        let mut parked = std::mem::take(&mut self.parked);
        parked.sort_by_key(|lease| lease.job);
        for lease in parked {
            if !self.is_valid(lease) {
                continue;
            }
            if self.job(lease.job).draft.kind == kind {
                self.put(lease.job, None, Due::Now);
            } else {
                self.parked.push(lease);
            }
        }
    }

    /// Takes everything from a worker that is gone; tells which jobs.
    pub(super) fn lose(&mut self, worker: WorkerId, has_died: bool) -> Vec<JobId> {
        let (lost, kept) = std::mem::take(&mut self.claims)
            .into_iter()
            .partition::<Vec<_>, _>(|claim| claim.worker == worker);
        self.claims = kept;
        self.workers.retain(|known| *known != worker);
        let mut held: Vec<(Lease, bool)> = Vec::new();
        for claim in lost {
            held.extend(claim.leases.iter().map(|lease| (*lease, claim.is_alone)));
        }
        held.retain(|(lease, _)| self.is_valid(*lease));
        held.sort_by_key(|(lease, _)| lease.job);
        let is_all = held.len() == 1;
        for (lease, was_alone) in &held {
            let job = self.job(lease.job);
            job.is_suspect |= has_died;
            job.crashes += u32::from(has_died && *was_alone && is_all);
            if job.crashes >= MAX_CRASHES {
                job.epoch += 1;
                self.end(lease.job, State::Failed);
            } else {
                self.back(*lease);
            }
        }
        held.into_iter().map(|(lease, _)| lease.job).collect()
    }

    /// Compares the store with the model.
    pub(super) async fn check(&self) {
        let all = Filter::new().limit(1000);
        let listed = self.it.store.list(&all).await.unwrap();
        assert_eq!(listed.len(), self.jobs.len(), "none is lost, none is new");
        for found in listed {
            let job = self.jobs.iter().find(|job| job.draft.id == found.id);
            let job = job.expect("it was enqueued");
            assert_eq!(found.state, self.state(job), "{job:?}");
            assert_eq!(found.attempts, job.attempts, "{job:?}");
            assert_eq!(found.max_attempts, job.max_attempts, "{job:?}");
            assert_eq!(found.crashes, job.crashes, "{job:?}");
        }
        assert_eq!(count(self.it, MISPLACED).await, 0, "each has one ticket");
        let keys: Vec<Key> = sqlx::query_as(KEYS).fetch_all(&self.it.db).await.unwrap();
        let known = self.keys.iter();
        let known = known.map(|(key, it)| (*key, *it.job.as_uuid(), it.is_until_started));
        assert_eq!(keys, known.collect::<Vec<Key>>());
    }

    fn state(&self, job: &Job) -> State {
        match job.end {
            Some(state) => state,
            None if self.is_held(job.lease()) => State::Running,
            None if self.later.contains(&job.lease()) => State::Scheduled,
            None => State::Waiting,
        }
    }

    /// Whatever there is comes to its end.
    pub(super) async fn drain(mut self) {
        control::resume_all(&mut self).await;
        for worker in self.workers.clone() {
            let rescued = self.it.kill(worker).await;
            assert_eq!(rescued, self.lose(worker, true).len());
        }
        self.hire().await;
        // One whose key another one holds has its turn when that has ended.
        while self.retry_all().await > 0 {
            self.check().await;
            self.run_all().await;
        }
        self.it.store.deregister(self.workers[0]).await.unwrap();
        self.it.store.prune(1000).await.unwrap();
        assert_eq!(count(self.it, LEFT).await, 0, "nothing is left");
    }

    /// Tells how many jobs are not done.
    async fn retry_all(&mut self) -> usize {
        let undone = self.jobs.iter().filter(|job| job.end != Some(State::Done));
        let undone: Vec<JobId> = undone.map(|job| job.draft.id).collect();
        for id in &undone {
            control::retry(self, *id).await;
        }
        undone.len()
    }

    async fn run_all(&mut self) {
        while self.jobs.iter().any(|job| job.end.is_none()) {
            let before = self.jobs.len();
            for alone in [false, true] {
                act::claim(self, 0, alone, 100).await;
            }
            act::finish(self).await;
            self.check().await;
            assert!(self.jobs.len() < before || !self.busy().is_empty());
        }
    }
}

impl Job {
    pub(super) fn new(draft: Draft) -> Self {
        Self {
            epoch: 0,
            end: None,
            attempts: 0,
            max_attempts: draft.max_attempts,
            crashes: 0,
            deferrals: 0,
            is_suspect: false,
            draft,
        }
    }

    pub(super) fn lease(&self) -> Lease {
        Lease {
            job: self.draft.id,
            epoch: self.epoch,
        }
    }

    /// Is this what a worker gets?
    pub(super) fn assert_is(&self, claimed: &Claimed) {
        assert_eq!(claimed.lease, self.lease());
        assert_eq!(claimed.kind, self.draft.kind);
        assert_eq!(claimed.payload, self.draft.payload);
        assert_eq!(claimed.attempts, self.attempts);
        assert_eq!(claimed.max_attempts, self.max_attempts);
        assert_eq!(claimed.deferrals, self.deferrals);
        assert_eq!(claimed.is_unique, self.draft.unique.is_some());
    }
}

/// Jobs that have not exactly one ticket.
const MISPLACED: &str = "
WITH ticket AS (
    SELECT job, epoch FROM twelve.ready
    UNION ALL SELECT job, epoch FROM twelve.scheduled
    UNION ALL SELECT job, epoch FROM twelve.parked
    UNION ALL SELECT unnest(jobs), unnest(epochs) FROM twelve.claims
)
SELECT count(*) FROM twelve.jobs
WHERE (SELECT count(*) FROM ticket WHERE ticket.job = jobs.id AND ticket.epoch = jobs.epoch) <> 1";

/// A key, the job that holds it, and whether only until it starts.
type Key = (Uuid, Uuid, bool);

const KEYS: &str = "
SELECT key, job, until_started FROM twelve.unique_keys ORDER BY key";

const LEFT: &str = "
SELECT (SELECT count(*) FROM twelve.jobs) + (SELECT count(*) FROM twelve.finished) + (SELECT count(*) FROM twelve.claims)
    + (SELECT count(*) FROM twelve.job_errors) + (SELECT count(*) FROM twelve.ready)";

/// Takes away outdated tickets, which would have gone in time, and dead rows: a thousand runs leave more than autovacuum keeps up with.
pub(super) const EMPTY: &str = "
TRUNCATE twelve.jobs, twelve.ready, twelve.scheduled, twelve.parked, twelve.claims, twelve.finished, twelve.job_errors, twelve.workers";

pub(super) async fn count(it: &Fixture, statement: &'static str) -> i64 {
    let counted = sqlx::query_scalar(statement).fetch_one(&it.db);
    counted.await.unwrap()
}

pub(super) async fn execute(it: &Fixture, statement: &'static str) {
    sqlx::query(statement).execute(&it.db).await.unwrap();
}
