//! The process type that fires ticks.

use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use twelve_core::{Context, Error, Exit, Lifecycle, Needs, ProcessKind, ProcessType, chain};

use jiff::Timestamp;

use super::Plan;
use crate::{
    Jobs, Registry,
    engine::{PATIENCE, Setback, within},
    store::{Calendar, Fired, Firing, Registration, Standing},
};

/// The longest sleep: a pause that has ended, a clock that was set or a schedule that has vanished is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// How long a tick is kept: as far as the clock can be set back without a tick firing again.
const KEEP: Duration = Duration::from_hours(30 * 24);

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
                () = scheduler.run(context.lifecycle()) => Ok(Exit::Done),
                () = scheduler.prune() => Err(Error::internal("the pruning of ticks has ended").into()),
            }
        }
    })
}

/// Fires what is due.
pub(super) struct Scheduler {
    pub(super) plans: Arc<[Plan]>,
    names: Vec<String>,
    pub(super) calendar: Calendar,
    pub(super) jobs: Jobs,
}

/// What one look came to.
pub(super) struct Looked {
    /// Jobs that were enqueued.
    pub(super) enqueued: usize,
    /// How long there is nothing to do, as far as is known: no time at all, when another scheduler was faster.
    pub(super) idle: Duration,
}

impl Scheduler {
    pub(super) fn new(context: &Context, plans: Arc<[Plan]>) -> Result<Self, Error> {
        let jobs = Jobs::of(context)?;
        Ok(Self {
            names: plans.iter().map(|plan| plan.name().to_string()).collect(),
            calendar: Calendar::new(context.db()?, Arc::clone(jobs.store())),
            plans,
            jobs,
        })
    }

    /// Fires until the process drains. What is being fired then is finished: only a sleep is cut short.
    async fn run(&self, lifecycle: &Lifecycle) {
        let mut setback = Setback::default();
        let mut is_registered = false;
        loop {
            let idle = self.round(&mut is_registered).await;
            tokio::select! {
                biased;
                () = lifecycle.draining() => return,
                () = rest(idle, &mut setback) => {}
            }
        }
    }

    async fn round(&self, is_registered: &mut bool) -> Result<Duration, Error> {
        // Only at the start: while an old release and a new one run side by side, they must not change it to and fro.
        if !*is_registered {
            self.register().await?;
            *is_registered = true;
        }
        Ok(self.look().await?.idle)
    }

    /// Makes all schedules known.
    pub(super) async fn register(&self) -> Result<(), Error> {
        self.register_those(|_| true).await
    }

    async fn register_those(&self, which: impl Fn(&Plan) -> bool) -> Result<(), Error> {
        let plans = self.plans.iter().filter(|plan| which(plan));
        let registrations: Vec<Registration> = plans.map(Plan::registration).collect();
        within(PATIENCE, self.calendar.register(&registrations)).await
    }

    /// Looks what is due, and fires it. A schedule that cannot be fired keeps no other from it.
    pub(super) async fn look(&self) -> Result<Looked, Error> {
        let timetable = within(PATIENCE, self.calendar.timetable(&self.names)).await?;
        let now = instant(timetable.now)?;
        let standing = |plan: &Plan| -> Option<&Standing> {
            let mut known = timetable.schedules.iter();
            known.find(|known| *known.name == **plan.name())
        };
        let has_not_begun =
            |plan: &Plan| standing(plan).is_none_or(|known| known.since > timetable.now);
        if self.plans.iter().any(has_not_begun) {
            self.register_those(has_not_begun).await?;
        }
        let mut looked = Looked {
            enqueued: 0,
            idle: LONGEST_SLEEP,
        };
        let mut failure = None;
        for plan in &*self.plans {
            let firing = standing(plan).and_then(|known| plan.firing(known, now));
            match self.fire(firing).await {
                Ok(Fired::Enqueued(jobs)) => looked.enqueued += jobs,
                Ok(Fired::Stale) => looked.idle = Duration::ZERO,
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => {
                    let message = format!("the schedule `{}` could not be fired", plan.name());
                    failure = Some(error.in_the_way_of(message));
                }
            }
            if let Some(next) = plan.next(now) {
                let idle = Duration::try_from(next.duration_since(now)).unwrap_or_default();
                looked.idle = looked.idle.min(idle);
            }
        }
        failure.map_or(Ok(looked), Err)
    }

    async fn fire(&self, firing: Option<Firing>) -> Result<Fired, Error> {
        let Some(firing) = firing else {
            return Ok(Fired::Enqueued(0));
        };
        let queues = firing.queues_due_now();
        let schedule = firing.schedule.clone();
        let fired = within(PATIENCE, self.calendar.fire(firing)).await?;
        if let Fired::Enqueued(jobs) = fired {
            tracing::info!(schedule, jobs, "fired");
            self.jobs.wake_queues(queues);
        }
        Ok(fired)
    }

    /// Removes old ticks, for ever.
    async fn prune(&self) {
        // Schedulers that started together do not clean up together.
        let mut pause = PRUNE_EVERY.mul_f64(fastrand::f64());
        loop {
            sleep(pause).await;
            pause = PRUNE_EVERY;
            match within(PATIENCE, self.calendar.prune(KEEP, BATCH)).await {
                Ok(BATCH..) => pause = Duration::from_millis(100),
                Ok(_) => {}
                // The next round finds them too.
                Err(error) => tracing::debug!(error = chain(&error), "old ticks were not removed"),
            }
        }
    }
}

/// Sleeps until there may be something to do.
async fn rest(idle: Result<Duration, Error>, setback: &mut Setback) {
    match idle {
        Ok(idle) => {
            setback.over();
            sleep(idle).await;
        }
        Err(error) => setback.pause("firing schedules", &error).await,
    }
}

/// # Errors
///
/// A clock beyond the year 9999.
pub(super) fn instant(time: std::time::SystemTime) -> Result<Timestamp, Error> {
    Timestamp::try_from(time)
        .map_err(|error| Error::internal("the clock of Postgres is wrong").because(error))
}
