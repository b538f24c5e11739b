//! Which handler runs which kind of job.

use futures_util::future::BoxFuture;
use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc};
use twelve_core::{Arguments, Blocking, Failure, Handler, Needs, Run, takes_two_transactions};

use super::{
    arguments::JobArguments,
    outcome::{IntoOutcome, Outcome},
    run::{Cancel, JobRun},
};
use crate::{
    job::{Job, label, policy::Policy, queues::Queues},
    schedule::{Schedule, plan::Plan, tick::Tick},
};

/// The job handlers of an app.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    jobs: Vec<Registered>,
    by_kind: HashMap<Cow<'static, str>, usize>,
    plans: Vec<Plan>,
    faults: Vec<String>,
}

/// A job handler with its types erased.
#[derive(Clone)]
pub struct Registered {
    kind: Cow<'static, str>,
    schedule: Option<Arc<str>>,
    aliases: &'static [&'static str],
    policy: Policy,
    needs: Needs,
    call: Arc<Call>,
}

type Call =
    dyn Fn(Run<JobRun>, String) -> BoxFuture<'static, Result<Outcome, NoOutcome>> + Send + Sync;

/// The error of an attempt without an outcome.
#[derive(Debug)]
pub(crate) enum NoOutcome {
    /// The payload cannot be decoded.
    Undecodable(serde_json::Error),
    /// An argument could not be made, or the handler failed.
    Failed(Failure),
}

impl Registry {
    /// Registers a job handler: an async function of the payload and up to nine extractors.
    pub fn job<A, H>(&mut self, handler: H)
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let job = Registered::new(handler);
        if job.needs.has::<Tick>() {
            let fault = format!("{job} takes `Tick`, which only the handlers of schedules have");
            self.faults.push(fault);
        }
        self.add(job);
    }

    /// Registers a schedule with its handler: an async function of up to ten extractors.
    pub fn schedule<A, H>(&mut self, schedule: Schedule, handler: H)
    where
        H: Handler<A>,
        A: Arguments<JobRun>,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let plan = match Plan::new(schedule) {
            Ok(plan) => plan,
            Err(faults) => return self.faults.extend(faults),
        };
        if self.plans.iter().any(|known| known.name() == plan.name()) {
            let fault = format!("two schedules are named `{}`", plan.name());
            return self.faults.push(fault);
        }
        self.add(Registered::scheduled(&plan, handler));
        self.plans.push(plan);
    }

    fn add(&mut self, job: Registered) {
        self.check(&job);
        let index = self.jobs.len();
        for name in job.names() {
            if let Some(known) = self.by_kind.insert(name.clone(), index) {
                let other = self.jobs.get(known).map_or(&job.kind, |known| &known.kind);
                self.faults.push(format!(
                    "the job kind `{name}` has two handlers: those of `{other}` and `{}`",
                    job.kind
                ));
            }
        }
        self.jobs.push(job);
    }

    fn check(&mut self, job: &Registered) {
        let names = job.names().map(|name| label::check(&name));
        for checked in names.chain([job.policy.check()]) {
            if let Err(problem) = checked {
                self.faults.push(format!("{job}: {problem}"));
            }
        }
        if takes_two_transactions(&job.needs) {
            let fault = format!("the handler of {job} takes two `Tx`");
            self.faults.push(fault);
        }
    }

    /// What is wrong with the registered handlers and schedules.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }

    /// The registered handlers, in the order of their registration.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.jobs.iter()
    }

    /// What the handlers of jobs on these queues need.
    #[must_use]
    pub fn needs(&self, queues: &Queues) -> Needs {
        let mut needs = Needs::default();
        for job in &self.jobs {
            if queues.takes(job.policy.queue_name()) {
                needs.extend(&job.needs);
            }
        }
        needs
    }

    /// All names of all kinds.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.by_kind.keys().map(ToString::to_string).collect();
        kinds.sort();
        kinds
    }

    /// The schedules, in the order of their registration.
    pub(crate) fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Whether there are schedules.
    #[must_use]
    pub fn has_schedules(&self) -> bool {
        !self.plans.is_empty()
    }

    pub(crate) fn find(&self, kind: &str) -> Option<&Registered> {
        self.jobs.get(*self.by_kind.get(kind)?)
    }
}

impl Registered {
    fn new<A, H>(handler: H) -> Self
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let policy = A::Payload::policy();
        let mut needs = Needs::default();
        A::needs(&mut needs);
        if policy.is_blocking() {
            needs.add::<Blocking>();
        }
        let call = move |run, payload: String| -> BoxFuture<'static, _> {
            let handler = handler.clone();
            Box::pin(async move {
                let payload = serde_json::from_str(&payload).map_err(NoOutcome::Undecodable)?;
                let arguments = A::gather(payload, &run).await.map_err(NoOutcome::failed)?;
                let output = handler.call(arguments).await;
                output.into_outcome().map_err(NoOutcome::Failed)
            })
        };
        Self {
            kind: Cow::Borrowed(A::Payload::KIND),
            schedule: None,
            aliases: A::Payload::ALIASES,
            policy,
            needs,
            call: Arc::new(call),
        }
    }

    /// The handler of a schedule. Its payload is a tick, which the run keeps for the extractor [`Tick`](crate::Tick).
    fn scheduled<A, H>(plan: &Plan, handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<JobRun>,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        let mut needs = Needs::default();
        A::needs(&mut needs);
        let schedule = Arc::clone(plan.name());
        let call = move |run: Run<JobRun>, payload: String| -> BoxFuture<'static, _> {
            let (handler, schedule) = (handler.clone(), Arc::clone(&schedule));
            Box::pin(async move {
                let tick = Tick::read(schedule, &payload).map_err(NoOutcome::Undecodable)?;
                run.kind().set_tick(tick);
                let arguments = A::gather(&run).await.map_err(NoOutcome::failed)?;
                let output = handler.call(arguments).await;
                output.into_outcome().map_err(NoOutcome::Failed)
            })
        };
        Self {
            kind: Cow::Owned(plan.kind().to_owned()),
            schedule: Some(Arc::clone(plan.name())),
            aliases: &[],
            policy: plan.policy().clone(),
            needs,
            call: Arc::new(call),
        }
    }

    /// The kind of job.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Other names of that kind.
    #[must_use]
    pub fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    /// How such jobs are run.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the handler's arguments need.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    fn names(&self) -> impl Iterator<Item = Cow<'static, str>> + use<> {
        let aliases = self.aliases.iter().copied().map(Cow::Borrowed);
        std::iter::once(self.kind.clone()).chain(aliases)
    }

    /// Whether the handler takes [`Cancel`](crate::Cancel), and so handles cancellation requests itself.
    pub(crate) fn heeds_cancel(&self) -> bool {
        self.needs.has::<Cancel>()
    }

    /// Decodes the payload, makes the arguments, runs the handler.
    pub(crate) fn call(
        &self,
        run: Run<JobRun>,
        payload: String,
    ) -> BoxFuture<'static, Result<Outcome, NoOutcome>> {
        (self.call)(run, payload)
    }
}

impl NoOutcome {
    fn failed(error: twelve_core::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// As sentences name it: the job `charge`, or the schedule `daily-sales`.
impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schedule {
            Some(name) => write!(f, "the schedule `{name}`"),
            None => write!(f, "the job `{}`", self.kind),
        }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("kind", &self.kind)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::unique::Unique, schedule::missed::Missed};
    use serde::{Deserialize, Serialize};
    use std::time::Duration;
    use twelve_core::{Argument, Db, Tx};

    #[derive(Serialize, Deserialize)]
    struct Charge;

    impl Job for Charge {
        const KIND: &'static str = "charge";
        const ALIASES: &'static [&'static str] = &["pay"];
    }

    #[derive(Serialize, Deserialize)]
    struct Pay;

    impl Job for Pay {
        const KIND: &'static str = "pay";

        fn policy() -> Policy {
            Policy::new().queue("Not A Queue")
        }
    }

    async fn charge(_job: Charge, _db: Db) {}
    async fn pay(_job: Pay, _one: Tx, _two: Tx) -> Outcome {
        Outcome::done()
    }

    #[test]
    fn a_kind_is_found_by_each_of_its_names() {
        let mut registry = Registry::default();
        registry.job(charge);
        assert!(registry.faults().is_empty());
        for name in ["charge", "pay"] {
            assert_eq!(registry.find(name).unwrap().kind(), "charge");
        }
        assert!(registry.find("refund").is_none());
    }

    #[derive(Serialize, Deserialize)]
    struct Render;

    impl Job for Render {
        const KIND: &'static str = "render";

        fn policy() -> Policy {
            Policy::new().blocking()
        }
    }

    #[test]
    fn a_kind_that_blocks_its_thread_needs_such_threads() {
        let mut registry = Registry::default();
        registry.job(charge);
        assert!(!registry.needs(&Queues::all()).has::<Blocking>());
        registry.job(async |_: Render| {});
        assert!(registry.needs(&Queues::all()).has::<Blocking>());
    }

    #[test]
    fn every_fault_of_the_wiring_is_named() {
        let mut registry = Registry::default();
        registry.job(charge);
        registry.job(pay);
        let faults = registry.faults().join("\n");
        for fault in [
            "`Not A Queue` is not a name",
            "the job `pay` takes two `Tx`",
            "the job kind `pay` has two handlers: those of `charge` and `pay`",
        ] {
            assert!(faults.contains(fault), "{faults}");
        }
    }

    async fn report(_tick: Tick, _one: Tx, _two: Tx) {}

    async fn charge_at(_job: Charge, _tick: Tick) {}

    #[test]
    fn every_fault_of_a_schedule_is_named() {
        let mut registry = Registry::default();
        registry.job(charge_at);
        let wrong = Schedule::cron("Daily", "0 25 * * *")
            .zone("Mars/Base")
            .missed(Missed::CatchUp(0))
            .jitter(Duration::from_hours(25))
            .policy(Policy::new().attempts(0));
        registry.schedule(wrong, report);
        let unique = Policy::new().unique(Unique::payload());
        registry.schedule(Schedule::cron("once", "0 6 * * *").policy(unique), report);
        registry.schedule(Schedule::cron("never", "0 0 30 2 *"), report);
        registry.schedule(Schedule::cron("a".repeat(60), "0 6 * * *"), report);
        registry.schedule(Schedule::cron("daily", "0 6 * * *"), report);
        registry.schedule(Schedule::cron("daily", "0 7 * * *"), report);
        let faults = registry.faults().join("\n");
        for fault in [
            "the job `charge` takes `Tick`, which only the handlers of schedules have",
            "the schedule `Daily`: `Daily` is not a name",
            "the schedule `Daily`: `0 25 * * *` is not a cron expression",
            "the schedule `Daily`: `Mars/Base` is not a time zone",
            "the schedule `Daily`: `CatchUp` takes a number",
            "the schedule `Daily`: the jitter is longer than a day",
            "the schedule `Daily`: `attempts` is a number",
            "the schedule `once`: its ticks are unique as they are",
            "the schedule `never`: `0 0 30 2 *` never fires",
            "`schedule.aaaa",
            "two schedules are named `daily`",
            "the handler of the schedule `daily` takes two `Tx`",
        ] {
            assert!(faults.contains(fault), "{fault}: {faults}");
        }
    }

    #[test]
    fn the_handler_of_a_schedule_is_that_of_a_job() {
        let mut registry = Registry::default();
        let policy = Policy::new().queue("reports");
        let daily = Schedule::cron("daily", "0 6 * * *").policy(policy);
        registry.schedule(daily, async |_: Tick, _: Db| {});
        assert_eq!(registry.faults(), Vec::<String>::new());
        let known = registry.find("schedule.daily").unwrap();
        assert_eq!(
            (known.policy().queue_name(), &*known.to_string()),
            ("reports", "the schedule `daily`")
        );
        assert!(registry.needs(&Queues::only(["reports"])).has::<Db>());
        assert!(!registry.needs(&Queues::only(["default"])).has::<Db>());
    }

    #[test]
    fn a_worker_needs_what_the_handlers_on_its_queues_need() {
        let mut registry = Registry::default();
        registry.job(charge);
        let needs = registry.needs(&Queues::all());
        assert_eq!(needs.iter().collect::<Vec<_>>(), [Argument::of::<Db>()]);
        assert_eq!(registry.needs(&Queues::only(["other"])).iter().count(), 0);
    }
}
