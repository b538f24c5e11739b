//! The builder: everything an app is stands in one expression.

use sqlx::migrate::{Migration, Migrator};
use std::sync::Arc;

use twelve_core::{
    Arguments, Building, Config, Erased, Handler, IntoEnd, IntoResource, Process, ProcessType,
    Registry, migrations::Migrations,
};
use twelve_web::Router;
use twelve_worker::{IntoOutcome, JobArguments, JobRun, Queues, Schedule};

use crate::task::{Task, TaskRun};

/// An app: its routes, jobs, tasks and process types.
///
/// `main` hands over to the command line, and argv picks what this process does.
///
/// ```
/// use twelve::prelude::*;
///
/// async fn hello() -> &'static str {
///     "hello"
/// }
///
/// fn app() -> App {
///     App::new("hello").web(Router::new().route("/", get(hello)))
/// }
///
/// assert_eq!(app().check(), Vec::<String>::new());
/// ```
#[must_use = "an app does nothing until `.main()`"]
pub struct App {
    pub(crate) name: String,
    pub(crate) registry: Registry,
    pub(crate) migrations: Option<Arc<Migrator>>,
    pub(crate) http: Vec<(String, Router)>,
    pub(crate) jobs: twelve_worker::Registry,
    pub(crate) workers: Vec<(String, Queues)>,
    pub(crate) processes: Vec<ProcessType>,
    pub(crate) tasks: Vec<Task>,
    #[cfg(feature = "mail")]
    pub(crate) mails: Vec<twelve_worker::mail::Registered>,
    #[cfg(feature = "mail")]
    pub(crate) mail_from: Option<String>,
}

impl App {
    /// An app of this name; it stands in logs, in Postgres' `application_name` and in `--help`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            registry: Registry::default(),
            migrations: None,
            http: Vec::new(),
            jobs: twelve_worker::Registry::default(),
            workers: Vec::new(),
            processes: Vec::new(),
            tasks: Vec::new(),
            #[cfg(feature = "mail")]
            mails: Vec::new(),
            #[cfg(feature = "mail")]
            mail_from: None,
        }
    }

    /// Registers a configuration, which handlers then take as [`Conf<T>`](crate::Conf).
    pub fn config<T: Config>(mut self) -> Self {
        self.registry.config::<T>();
        self
    }

    /// The app's own migrations, from `sqlx::migrate!()`; the command `release` applies them.
    ///
    /// They are compiled into the binary, and cargo does not notice a new file alone: it rebuilds when `build.rs` prints `cargo:rerun-if-changed=migrations`.
    pub fn migrations(mut self, migrations: Migrator) -> Self {
        self.migrations = Some(Arc::new(migrations));
        self
    }

    /// Registers a resource by the async function that builds it from extractors.
    ///
    /// It is built on first use, once per process, and taken as [`Res<T>`](crate::Res).
    pub fn resource<A, H, T>(mut self, build: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<Building>,
        H::Output: IntoResource<Resource = T>,
        H::Future: Send,
        T: Send + Sync + 'static,
    {
        self.registry.resource(build);
        self
    }

    /// The routes of the process type `web`.
    pub fn web(self, router: impl Into<Router>) -> Self {
        self.http("web", router)
    }

    /// Another process type that serves HTTP.
    pub fn http(mut self, name: impl Into<String>, router: impl Into<Router>) -> Self {
        self.http.push((name.into(), router.into()));
        self
    }

    /// Registers a job by its handler: an async function of the payload, then extractors.
    pub fn job<A, H>(mut self, handler: H) -> Self
    where
        H: Handler<A>,
        A: JobArguments,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        self.jobs.job(handler);
        self
    }

    /// Registers a schedule with its handler: an async function of extractors, run by workers as any job is.
    ///
    /// The process type `scheduler` enqueues it; any number of those may run.
    ///
    /// ```
    /// use twelve::prelude::*;
    ///
    /// async fn daily_sales(tick: Tick, mut tx: Tx) -> Result<()> {
    ///     sqlx::query("INSERT INTO sales_reports (up_to) VALUES (to_timestamp($1))")
    ///         .bind(tick.unix_seconds() as f64)
    ///         .execute(&mut tx)
    ///         .await?;
    ///     Ok(())
    /// }
    ///
    /// let daily = Schedule::cron("daily-sales", "0 6 * * *").zone("Europe/Berlin");
    /// let app = App::new("shop").schedule(daily, daily_sales);
    /// assert_eq!(app.check(), Vec::<String>::new());
    /// ```
    pub fn schedule<A, H>(mut self, schedule: Schedule, handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<JobRun>,
        H::Output: IntoOutcome,
        H::Future: Send,
    {
        self.jobs.schedule(schedule, handler);
        self
    }

    /// Another process type that runs jobs: those on these queues.
    ///
    /// The process type `worker` takes every queue that no other worker has claimed for itself.
    pub fn worker(mut self, name: impl Into<String>, queues: Queues) -> Self {
        self.workers.push((name.into(), queues));
        self
    }

    /// A process type of your own: any async function of extractors.
    pub fn process<A, H>(mut self, name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<Process>,
        H::Output: IntoEnd,
        H::Future: Send,
    {
        self.processes.push(ProcessType::custom(name, handler));
        self
    }

    /// A one-off admin task: `myapp run NAME -- ARGUMENTS`.
    pub fn task<A, H>(mut self, name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<TaskRun>,
        H::Output: IntoEnd,
        H::Future: Send,
    {
        self.tasks.push(Task::new(name, Erased::new(handler)));
        self
    }

    /// Applies a function to the builder: how a large app splits it over its modules.
    pub fn with(self, part: impl FnOnce(Self) -> Self) -> Self {
        part(self)
    }

    /// Twelve's own migrations and the app's.
    pub(crate) fn all_migrations(&self) -> Migrations {
        Migrations::new(own_migrations(), self.migrations.clone())
    }
}

/// The migrations of the parts of twelve that keep tables.
pub(crate) fn own_migrations() -> Vec<Migration> {
    let mut migrations = twelve_web::migrations();
    migrations.extend(twelve_worker::migrations());
    migrations
}
