//! `TestApp`: what a test talks to.

use std::{io, path::Path, sync::Arc, time::Duration};

use twelve_core::{Context, Db, Environment, Error, Identity, Lifecycle};
#[cfg(feature = "mail")]
use twelve_worker::mail;
use twelve_worker::{Admin, Drained, Filter, Job, JobId, Jobs, Queues, Schedules, State};

#[cfg(feature = "redis")]
use super::redis::with_own_redis;
use super::{
    clock,
    database::TestDatabase,
    process::TestProcess,
    request::TestRequest,
    servers::{postgres_url, servers},
};
use crate::app::App;

/// The app under test: in this process, with a database of its own.
///
/// ```no_run
/// # use twelve::{prelude::*, test::TestApp};
/// # fn app() -> App { App::new("hello") }
/// # async fn a_test(app: TestApp) {
/// app.get("/orders").bearer("token").await.assert_status(200);
/// app.drain_jobs().await;
/// # }
/// ```
pub struct TestApp {
    make: fn() -> App,
    app: App,
    environment: Environment,
    context: Context,
    database: TestDatabase,
}

impl TestApp {
    pub(super) async fn start(make: fn() -> App) -> Result<Self, Error> {
        let environment = servers().await?;
        let app = make();
        let database =
            TestDatabase::create(&postgres_url(&environment)?, &app.all_migrations()).await?;
        let environment = environment.with("DATABASE_URL", database.url());
        // Where the author names the server by a file, that would now be a second URL.
        let environment = environment.with("DATABASE_URL_FILE", "");
        #[cfg(feature = "redis")]
        let environment = with_own_redis(environment).await?;
        #[cfg(feature = "mail")]
        let environment = with_sender(&app, environment);
        let app = Self::assemble(make, environment, database);
        if app.app.jobs.has_schedules() {
            app.schedules().register().await?;
        }
        Ok(app)
    }

    fn assemble(make: fn() -> App, environment: Environment, database: TestDatabase) -> Self {
        let app = make();
        let faults = app.check();
        assert!(faults.is_empty(), "the app is wired wrongly: {faults:#?}");
        let context = Context::new(
            Identity::new(app.name.as_str(), "test"),
            environment.clone(),
            Lifecycle::default(),
            app.registry.clone(),
        );
        Schedules::provide(&context, &app.jobs);
        context.lifecycle().ready();
        Self {
            make,
            app,
            environment,
            context,
            database,
        }
    }

    pub(super) fn database(&self) -> TestDatabase {
        self.database.clone()
    }

    /// The same app with one variable more; nothing that was built before is kept.
    #[must_use]
    pub fn with_var(self, name: &str, value: impl AsRef<str>) -> Self {
        let environment = self.environment.with(name, value.as_ref());
        Self::assemble(self.make, environment, self.database)
    }

    /// The variables of the app, those of its services included: what a real process of it is given.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What the app's handlers share.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The test's own database.
    ///
    /// # Panics
    ///
    /// Never: the kit itself has set `DATABASE_URL`.
    #[must_use]
    pub fn db(&self) -> Db {
        self.context.db().expect("the kit sets DATABASE_URL")
    }

    /// The app's jobs, to enqueue some.
    ///
    /// # Panics
    ///
    /// Never: the kit itself has set `DATABASE_URL`.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::of(&self.context).expect("the kit sets DATABASE_URL")
    }

    /// A request to the process type `web`.
    pub fn request(&self, method: &str, path: &str) -> TestRequest {
        self.request_to("web", method, path)
    }

    /// A request to another HTTP process type.
    ///
    /// # Panics
    ///
    /// The app has no HTTP process type of this name.
    #[track_caller]
    pub fn request_to(&self, process_type: &str, method: &str, path: &str) -> TestRequest {
        let found = self.app.http.iter().find(|(name, _)| name == process_type);
        let Some((_, router)) = found else {
            panic!("`{process_type}` is no HTTP process type of this app");
        };
        let service = twelve_web::service(router.clone(), &self.context);
        TestRequest::new(service.expect("the routes were checked"), method, path)
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> TestRequest {
        self.request("GET", path)
    }

    /// `POST path`.
    pub fn post(&self, path: &str) -> TestRequest {
        self.request("POST", path)
    }

    /// `PUT path`.
    pub fn put(&self, path: &str) -> TestRequest {
        self.request("PUT", path)
    }

    /// `PATCH path`.
    pub fn patch(&self, path: &str) -> TestRequest {
        self.request("PATCH", path)
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> TestRequest {
        self.request("DELETE", path)
    }

    /// Runs every job that is due, those that they enqueue included, until none is left.
    ///
    /// Mails stay in their queue, for there is no server to send them through: [`mails`](Self::mails) has them.
    /// A job that fails is no panic but a number in the answer: `app.drain_jobs().await.expect_done()` panics then.
    ///
    /// # Panics
    ///
    /// Postgres cannot be reached.
    pub async fn drain_jobs(&self) -> Drained {
        let registry = Arc::new(self.app.jobs.clone());
        #[cfg(feature = "mail")]
        let queues = Queues::all_except(self.app.mail_queue());
        #[cfg(not(feature = "mail"))]
        let queues = Queues::all();
        twelve_worker::drain(&self.context, &registry, queues)
            .await
            .expect("jobs can be drained")
    }

    /// Enqueues a schedule's job by hand, as `schedules run NAME` does; [`drain_jobs`](Self::drain_jobs) then runs it.
    ///
    /// # Panics
    ///
    /// The app has no schedule of this name, or Postgres cannot be reached.
    pub async fn run_schedule(&self, name: &str) -> JobId {
        let enqueued = self.schedules().run(name).await;
        enqueued.unwrap_or_else(|error| panic!("`{name}` cannot be run: {error:?}"))
    }

    /// Enqueues the jobs of every tick that is due, as the process type `scheduler` does, and tells how many those were.
    ///
    /// What was due before the test began is not.
    ///
    /// # Panics
    ///
    /// Postgres cannot be reached.
    pub async fn run_schedules(&self) -> usize {
        let enqueued = self.schedules().run_due().await;
        enqueued.expect("schedules can be run")
    }

    fn schedules(&self) -> Schedules {
        Schedules::of(&self.context).expect("the kit sets DATABASE_URL")
    }

    /// The payloads of the jobs of this kind that wait, in the order of their enqueueing.
    ///
    /// # Panics
    ///
    /// Postgres cannot be reached, or a payload cannot be decoded.
    pub async fn enqueued<J: Job>(&self) -> Vec<J> {
        let jobs = Admin::of(&self.context).expect("the kit sets DATABASE_URL");
        let mut payloads = Vec::new();
        for state in [State::Waiting, State::Scheduled] {
            let filter = Filter::new().kind(J::KIND).state(state).limit(usize::MAX);
            for job in jobs.list(&filter).await.expect("jobs can be listed") {
                let job = jobs.show(job.id).await.expect("a job can be shown");
                // It may have been claimed by a process of the test's in the meantime.
                payloads.extend(job.and_then(|job| Some((job.summary.id, job.payload?))));
            }
        }
        payloads.sort_by_key(|(id, _)| *id);
        let decode =
            |(_, payload)| serde_json::from_value(payload).expect("a payload of this kind");
        payloads.into_iter().map(decode).collect()
    }

    /// Checks how many jobs of this kind wait.
    ///
    /// # Panics
    ///
    /// It is another number.
    pub async fn assert_enqueued<J: Job>(&self, count: usize) {
        let enqueued = self.enqueued::<J>().await.len();
        assert_eq!(enqueued, count, "jobs of kind `{}` that wait", J::KIND);
    }

    /// Moves the clock of the test's database forward: what is due by then is due now.
    ///
    /// It is the clock of everything that asks Postgres for the time by `now()`: jobs, schedules, idempotency keys, and the app's own statements.
    /// `CURRENT_TIMESTAMP`, the defaults of columns and the clock of Rust are not moved.
    ///
    /// # Panics
    ///
    /// Postgres cannot be reached.
    pub async fn advance(&self, time: Duration) {
        sqlx::query(clock::ADVANCE)
            .bind(i64::try_from(time.as_micros()).expect("no more than 292,000 years"))
            .execute(&self.db())
            .await
            .expect("the clock can be moved");
    }

    /// Starts a real process of the app: `app.spawn(env!("CARGO_BIN_EXE_shop"), &["worker"])`.
    ///
    /// It gets the app's variables and a free `PORT`.
    ///
    /// # Errors
    ///
    /// The binary cannot be started.
    pub fn spawn(&self, binary: impl AsRef<Path>, arguments: &[&str]) -> io::Result<TestProcess> {
        TestProcess::spawn(
            binary.as_ref(),
            arguments,
            &self.app.name,
            &self.environment,
        )
    }
}

/// Who sends a test's mails, unless the author's environment says otherwise.
#[cfg(feature = "mail")]
fn with_sender(app: &App, environment: Environment) -> Environment {
    if app.mail_from.is_some() || environment.is_set(mail::FROM) {
        return app.with_sender(environment);
    }
    environment.with(mail::FROM, "Test <test@example.org>")
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    async fn report(tick: Tick, jobs: Jobs) {
        let _ = (tick, jobs);
    }

    fn app() -> App {
        App::new("kit").schedule(Schedule::cron("hourly", "0 * * * *"), report)
    }

    #[twelve::test(app)]
    async fn a_schedule_runs_when_the_test_says_so(app: twelve::test::TestApp) {
        assert_eq!(app.run_schedules().await, 0);
        app.run_schedule("hourly").await;
        assert_eq!(app.drain_jobs().await.expect_done().done, 1);
        sqlx::query("UPDATE twelve.schedules SET since = since - interval '90 minutes'")
            .execute(&app.db())
            .await
            .unwrap();
        assert_eq!(app.run_schedules().await, 1);
        assert_eq!(app.run_schedules().await, 0);
        assert_eq!(app.drain_jobs().await.done, 1);
    }
}
