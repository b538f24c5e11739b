//! The process type that fires ticks.

use jiff::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep, sleep_until};
use twelve_core::{Context, Error, Exit, Lifecycle, Needs, ProcessKind, ProcessType, State, chain};

use super::plan::Plan;
use crate::{
    enqueue::jobs::Jobs,
    handler::registry::Registry,
    store::{
        postgres::schedules::ScheduleStore,
        retry::{RetryBackoff, STORE_TIMEOUT, with_timeout},
        timetable::{DueTicks, Fired, Registration, ScheduleState},
    },
};

/// The longest sleep: after it the scheduler notices that a pause has ended, a clock was set or a schedule was deleted.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// How long the rows of fired ticks are kept. If the clock is set back by less, no tick fires again.
const TICK_RETENTION: Duration = Duration::from_hours(30 * 24);

/// From one round of pruning to the next.
const PRUNE_EVERY: Duration = Duration::from_mins(1);

/// How many ticks one statement removes.
const BATCH: usize = 1000;

/// The process type that fires the ticks of the registered schedules.
///
/// Any number of its processes may run.
#[must_use]
pub fn scheduler(name: impl Into<String>, registry: &Registry) -> ProcessType {
    let mut needs = Needs::default();
    needs.add::<Jobs>();
    let plans: Arc<[Plan]> = registry.plans().into();
    ProcessType::new(name, ProcessKind::Scheduler, needs, move |context| {
        let plans = Arc::clone(&plans);
        async move {
            let scheduler = Scheduler::new(&context, plans)?;
            context.lifecycle().ready();
            tokio::select! {
                () = scheduler.run() => Ok(Exit::Done),
                never = scheduler.prune() => never,
            }
        }
    })
}

/// Fires what is due.
pub(super) struct Scheduler {
    pub(super) plans: Arc<[Plan]>,
    names: Vec<String>,
    pub(super) store: ScheduleStore,
    pub(super) jobs: Jobs,
    lifecycle: Lifecycle,
}

/// The result of one look.
struct Looked {
    /// Jobs that were enqueued.
    enqueued: usize,
    /// Whether another scheduler was faster: then look again for what is left.
    is_stale: bool,
    /// When to look again, by the monotonic clock of this process.
    next: Instant,
}

impl Scheduler {
    pub(super) fn new(context: &Context, plans: Arc<[Plan]>) -> Result<Self, Error> {
        let jobs = Jobs::of(context)?;
        Ok(Self {
            names: plans.iter().map(|plan| plan.name().to_string()).collect(),
            store: ScheduleStore::new(context.db()?, Arc::clone(jobs.store())),
            plans,
            jobs,
            lifecycle: context.lifecycle().clone(),
        })
    }

    /// Fires until the process drains. A drain cuts a sleep short, but not a firing.
    async fn run(&self) {
        let mut backoff = RetryBackoff::default();
        let mut is_registered = false;
        loop {
            let next = self.round(&mut is_registered).await;
            tokio::select! {
                biased;
                () = self.lifecycle.draining() => return,
                () = rest(next, &mut backoff) => {}
            }
        }
    }

    async fn round(&self, is_registered: &mut bool) -> Result<Instant, Error> {
        // Only at the start: an old and a new release that run side by side must not overwrite each other's registration all the time.
        if !*is_registered {
            self.register().await?;
            *is_registered = true;
        }
        Ok(self.fire_due().await?.1)
    }

    /// Fires what is due; tells how many jobs that were, and when there is something to do again.
    pub(super) async fn fire_due(&self) -> Result<(usize, Instant), Error> {
        let mut enqueued = 0;
        loop {
            let looked = self.look().await?;
            enqueued += looked.enqueued;
            if !looked.is_stale || self.is_draining() {
                return Ok((enqueued, looked.next));
            }
        }
    }

    fn is_draining(&self) -> bool {
        self.lifecycle.state() >= State::Drain
    }

    /// Makes all schedules known.
    pub(super) async fn register(&self) -> Result<(), Error> {
        self.register_those(|_| true).await
    }

    async fn register_those(&self, which: impl Fn(&Plan) -> bool) -> Result<(), Error> {
        let plans = self.plans.iter().filter(|plan| which(plan));
        let registrations: Vec<Registration> = plans.map(Plan::registration).collect();
        with_timeout(STORE_TIMEOUT, self.store.register(&registrations)).await
    }

    /// Looks once, and fires what is due. An error of one schedule does not prevent the others.
    async fn look(&self) -> Result<Looked, Error> {
        let timetable = with_timeout(STORE_TIMEOUT, self.store.timetable(&self.names)).await?;
        // Taken after the store's `now`, so that no sleep ends before its tick.
        let looked_at = Instant::now();
        let now = instant(timetable.now)?;
        let state = |plan: &Plan| -> Option<&ScheduleState> {
            let mut known = timetable.schedules.iter();
            known.find(|known| *known.name == **plan.name())
        };
        let has_not_begun =
            |plan: &Plan| state(plan).is_none_or(|known| known.since > timetable.now);
        if self.plans.iter().any(has_not_begun) {
            self.register_those(has_not_begun).await?;
        }
        let mut looked = Looked {
            enqueued: 0,
            is_stale: false,
            next: looked_at + LONGEST_SLEEP,
        };
        let mut failure = None;
        for plan in &*self.plans {
            // While Postgres does not answer, trying all schedules would outlast the budget. Another scheduler fires the rest.
            if self.is_draining() {
                break;
            }
            let due = state(plan).and_then(|known| plan.due_ticks(known, now));
            match self.fire(due).await {
                Ok(Fired::Enqueued(jobs)) => looked.enqueued += jobs,
                Ok(Fired::Stale) => looked.is_stale = true,
                Err(error) => {
                    let message = format!("the schedule `{}` could not be fired", plan.name());
                    failure = Some(error.context(message));
                }
            }
            if let Some(next) = plan.next(now) {
                let idle = Duration::try_from(next.duration_since(now)).unwrap_or_default();
                looked.next = looked.next.min(looked_at + idle.min(LONGEST_SLEEP));
            }
        }
        failure.map_or(Ok(looked), Err)
    }

    async fn fire(&self, due: Option<DueTicks>) -> Result<Fired, Error> {
        let Some(due) = due else {
            return Ok(Fired::Enqueued(0));
        };
        let queues = due.queues_due_now();
        let schedule = due.schedule.clone();
        let fired = with_timeout(STORE_TIMEOUT, self.store.fire(due)).await?;
        if let Fired::Enqueued(jobs) = fired {
            tracing::debug!(schedule, jobs, "fired");
            self.jobs.wake_queues(queues);
        }
        Ok(fired)
    }

    /// Removes old ticks.
    async fn prune(&self) -> ! {
        // Jitter: schedulers that started together do not prune together.
        let mut pause = PRUNE_EVERY.mul_f64(fastrand::f64());
        loop {
            sleep(pause).await;
            pause = PRUNE_EVERY;
            match with_timeout(STORE_TIMEOUT, self.store.prune(TICK_RETENTION, BATCH)).await {
                Ok(BATCH..) => pause = Duration::from_millis(100),
                Ok(_) => {}
                // The next round prunes them too.
                Err(error) => tracing::debug!(error = chain(&error), "old ticks were not removed"),
            }
        }
    }
}

/// Sleeps until there may be something to do.
async fn rest(next: Result<Instant, Error>, backoff: &mut RetryBackoff) {
    match next {
        Ok(next) => {
            backoff.reset();
            sleep_until(next).await;
        }
        Err(error) => backoff.pause("firing schedules", &error).await,
    }
}

/// # Errors
///
/// A clock beyond the year 9999.
pub(super) fn instant(time: SystemTime) -> Result<Timestamp, Error> {
    Timestamp::try_from(time)
        .map_err(|error| Error::internal("the clock of Postgres is wrong").with_source(error))
}
