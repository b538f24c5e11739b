//! Process types: what argv can name, and how one process of it runs.

pub mod health;
pub mod supervision;
mod variables;

use variables::Settings;
pub use variables::{ReadFor, read_for_arguments, read_variables};

use futures_util::{FutureExt, future::BoxFuture};
use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::runtime;

use crate::{
    config::Config,
    error::{Error, Exit, Failure},
    handler::{Arguments, Context, Erased, Handler, IntoEnd, Needs, UnitOfWork},
    lifecycle::{Budget, signals},
};

/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(1);

/// A name in argv, and what a process of it does.
#[derive(Clone)]
pub struct ProcessType {
    name: String,
    kind: ProcessKind,
    needs: Needs,
    /// What it reads beside what its arguments need.
    settings: Vec<Settings>,
    run: Arc<Main>,
}

type Main = dyn Fn(Context) -> BoxFuture<'static, Result<Exit, Failure>> + Send + Sync;

/// What a process type does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessKind {
    /// Serves HTTP on a port.
    Http,
    /// Runs jobs.
    Worker,
    /// Enqueues the jobs of schedules.
    Scheduler,
    /// Sends mails.
    Mailer,
    /// Runs an async function of the author's.
    Custom,
}

impl ProcessKind {
    /// The kind's name, as listings show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Mailer => "mailer",
            Self::Custom => "process",
        }
    }
}

/// The kind of run of a process of the author's.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Process;

impl UnitOfWork for Process {}

impl ProcessType {
    /// A process type whose main function is `run`; it returns when the process has drained.
    pub fn new<F, Fut>(name: impl Into<String>, kind: ProcessKind, needs: Needs, run: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Exit, Failure>> + Send + 'static,
    {
        Self {
            name: name.into(),
            kind,
            needs,
            settings: Vec::new(),
            run: Arc::new(move |context| run(context).boxed()),
        }
    }

    /// Its processes read the variables of `C` too, whatever their arguments are.
    #[must_use]
    pub fn reads<C: Config>(mut self) -> Self {
        self.settings.push(Settings::of::<C>());
        self
    }

    /// What its processes read, whatever their arguments are.
    pub fn settings(&self) -> impl Iterator<Item = Settings> {
        self.settings.iter().copied()
    }

    /// A process type of the author's: an async function of extractors.
    ///
    /// It ends when the function returns, or is dropped when the time to drain is over.
    pub fn custom<A, H>(name: impl Into<String>, handler: H) -> Self
    where
        H: Handler<A>,
        A: Arguments<Process>,
        H::Output: IntoEnd,
        H::Future: Send,
    {
        Self::of(name, Erased::new(handler), Process)
    }

    /// The same for a handler of another kind, such as a task.
    pub fn of<K>(name: impl Into<String>, handler: Erased<K>, kind: K) -> Self
    where
        K: Clone + Send + Sync + 'static,
    {
        let name = name.into();
        let label = format!("the function of `{name}`");
        let needs = handler.needs().clone();
        Self::new(name, ProcessKind::Custom, needs, move |context| {
            let lifecycle = context.lifecycle().clone();
            let running = lifecycle.tracker().begin(label.clone());
            let work = handler.call(context, kind.clone());
            async move {
                let _running = running;
                lifecycle.ready();
                tokio::select! {
                    end = work => end.map(|()| Exit::Done),
                    () = lifecycle.overdue() => Ok(Exit::Overdue),
                }
            }
        })
    }

    /// The name in argv.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> ProcessKind {
        self.kind
    }

    /// What its handlers need.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The process's main function, for tests that run it inside their own runtime.
    #[must_use]
    pub fn main(&self, context: Context) -> BoxFuture<'static, Result<Exit, Failure>> {
        (self.run)(context)
    }

    /// Runs one process of this type to its end: signals first, then the runtime, then the work.
    ///
    /// # Errors
    ///
    /// What its handler failed with; or the operating system refuses a thread, a pipe or a signal handler.
    pub fn run(&self, context: &Context, budget: Budget) -> Result<Exit, Failure> {
        let lifecycle = context.lifecycle();
        lifecycle.set_budget(match self.kind {
            ProcessKind::Http => budget,
            _ => budget.without_announce(),
        });
        let refused = |error| Error::internal("the process cannot start").with_source(error);
        signals::watch(lifecycle.clone()).map_err(refused)?;
        supervision::end_with_supervisor(context.environment()).map_err(refused)?;
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name(format!("twelve-{}", self.name))
            .build()
            .map_err(refused)?;
        let end = runtime.block_on(async {
            tokio::spawn(lifecycle.clone().beat());
            let _probes = health::listen(context);
            let work = AssertUnwindSafe(self.main(context.clone()));
            let end = work.catch_unwind().await;
            lifecycle.begin_close();
            // A connection that an abandoned handler holds does not close: the exit does not wait for it.
            let _ = tokio::time::timeout(CLOSE, context.close()).await;
            end
        });
        // Blocking calls cannot be cancelled: the process ends without them.
        runtime.shutdown_background();
        end.unwrap_or_else(|_| Err(Failure::new(format!("`{}` panicked", self.name))))
    }
}

impl fmt::Debug for ProcessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessType")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
