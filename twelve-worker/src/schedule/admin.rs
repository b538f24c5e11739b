//! Administration of schedules: list, run by hand, pause, resume.

use serde::Serialize;
use std::sync::Arc;
use twelve_core::{Context, Error, FromContext, Needs, Run, extractable};

use super::{
    plan::Plan,
    scheduler::{Scheduler, instant},
};
use crate::{
    handler::registry::Registry,
    job::{draft::Due, id::JobId, timestamp::Timestamp},
};

/// Looks at the schedules of an app, and acts on them.
///
/// A handler of any kind takes it as an argument.
///
/// ```no_run
/// # use twelve_core::Result;
/// # use twelve_worker::Schedules;
/// async fn close_the_shop(schedules: Schedules) -> Result<()> {
///     for schedule in schedules.list().await? {
///         schedules.pause(&schedule.name).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Schedules(Scheduler);

/// The schedules of an app, for whoever has its context.
struct Plans(Arc<[Plan]>);

/// A schedule in a listing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ScheduleSummary {
    /// Its name.
    pub name: String,
    /// Its cron expression.
    pub cron: String,
    /// The time zone of the expression.
    pub zone: String,
    /// When it fires next; `None` while it is paused.
    pub next_tick: Option<Timestamp>,
    /// The newest tick that was fired.
    pub last_tick: Option<Timestamp>,
    /// That tick's job, which may have been removed since.
    pub last_job: Option<JobId>,
    /// Whether it is paused.
    pub paused: bool,
}

impl Schedules {
    /// Those of this app.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] when `DATABASE_URL` is missing or wrong.
    pub fn of(context: &Context) -> Result<Self, Error> {
        let unknown = || Error::internal("nobody has said which schedules this app has");
        let plans = context.singleton::<Plans, _>(|| Err(unknown()))?;
        Scheduler::new(context, Arc::clone(&plans.0)).map(Self)
    }

    /// Says which schedules this app has: for whoever makes its contexts.
    #[doc(hidden)]
    pub fn provide(context: &Context, registry: &Registry) {
        // It cannot fail, and a second time changes nothing.
        let _ = context.singleton(|| Ok(Plans(registry.plans().into())));
    }

    /// All of them, whether or not a scheduler has ever run.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when Postgres is.
    pub async fn list(&self) -> Result<Vec<ScheduleSummary>, Error> {
        let names: Vec<_> = self.plans().map(|plan| plan.name().to_string()).collect();
        let timetable = self.0.store.timetable(&names).await?;
        let now = instant(timetable.now)?;
        let summary = |plan: &Plan| {
            let mut known = timetable.schedules.iter();
            let state = known.find(|known| *known.name == **plan.name());
            let paused = state.is_some_and(|state| state.is_paused);
            let newest = state.and_then(|state| state.newest);
            let registration = plan.registration();
            let time = |at| instant(at).map(Timestamp::from);
            Ok(ScheduleSummary {
                name: registration.name,
                cron: registration.cron,
                zone: registration.zone,
                next_tick: plan.next(now).filter(|_| !paused).map(Timestamp::from),
                last_tick: newest.map(|(at, _)| time(at)).transpose()?,
                last_job: newest.map(|(_, job)| job),
                paused,
            })
        };
        self.plans().map(summary).collect()
    }

    /// Enqueues the schedule's job now, by hand, even while it is paused.
    ///
    /// Its tick is this moment.
    /// It is not one of the schedule's own ticks: it replaces none of them, and does not count as the newest.
    ///
    /// # Errors
    ///
    /// [`Error::is_usage`] when there is no schedule of this name; [`Error::is_unavailable`] when Postgres is.
    pub async fn run(&self, name: &str) -> Result<JobId, Error> {
        let plan = self.find(name)?;
        let now = instant(self.0.store.timetable(&[]).await?.now)?;
        let mut draft = plan.draft(now);
        draft.due = Due::Now;
        let (id, queue) = (draft.id, draft.queue.clone());
        self.0.jobs.store().enqueue(vec![draft]).await?;
        self.0.jobs.wake_queues(vec![queue.into_owned()]);
        Ok(id)
    }

    /// Pauses a schedule: once this has returned, no scheduler fires it. False, when it was paused before.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub async fn pause(&self, name: &str) -> Result<bool, Error> {
        let registration = self.find(name)?.registration();
        self.0.store.pause(&registration).await
    }

    /// Resumes a paused schedule from now on: ticks during the pause never fire. False, when it was not paused.
    ///
    /// # Errors
    ///
    /// See [`run`](Self::run).
    pub async fn resume(&self, name: &str) -> Result<bool, Error> {
        self.find(name)?;
        self.0.store.resume(name).await
    }

    /// For tests: registers the schedules, as a scheduler does when it starts.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when Postgres is.
    pub async fn register(&self) -> Result<(), Error> {
        self.0.register().await
    }

    /// For tests: enqueues what is due, as a scheduler does, and returns the number of jobs.
    ///
    /// # Errors
    ///
    /// [`Error::is_unavailable`] when Postgres is.
    pub async fn run_due(&self) -> Result<usize, Error> {
        Ok(self.0.fire_due().await?.0)
    }

    fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.0.plans.iter()
    }

    fn find(&self, name: &str) -> Result<&Plan, Error> {
        let found = self.plans().find(|plan| **plan.name() == *name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.plans().map(|plan| &**plan.name()).collect();
            Error::usage(match &*names {
                [] => "this app has no schedules".to_owned(),
                names => format!(
                    "`{name}` is not a schedule; the schedules are: {}",
                    names.join(", ")
                ),
            })
        })
    }
}

impl<K: Send + Sync + 'static> FromContext<K> for Schedules {
    fn needs(needs: &mut Needs) {
        needs.add::<Self>();
    }

    async fn from_context(run: &Run<K>) -> Result<Self, Error> {
        Self::of(run.context())
    }
}

extractable!(impl for Schedules);

impl std::fmt::Debug for Schedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schedules").field(&self.0.plans).finish()
    }
}
