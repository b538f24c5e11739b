//! What every command and every process type of one invocation work with.

use tokio::runtime;

use twelve_core::{
    Budget, Config, Context, Environment, Error, Exit, Failure, Faults, Identity, Lifecycle,
    ProcessType, Reader,
    telemetry::{self, Logs},
};
use twelve_worker::Schedules;

use crate::app::App;

/// One invocation of the binary: the app, whose wiring is right, and the environment.
pub(crate) struct Invocation {
    pub(super) app: App,
    pub(super) process_types: Vec<ProcessType>,
    pub(super) environment: Environment,
}

impl Invocation {
    pub(super) fn of(app: App) -> Self {
        let environment = Environment::of_process();
        #[cfg(feature = "mail")]
        let environment = app.with_sender(environment);
        Self {
            process_types: app.process_types(),
            app,
            environment,
        }
    }

    /// The process type of this name.
    pub(super) fn process_type(&self, name: &str) -> Result<&ProcessType, Error> {
        let mut types = self.process_types.iter();
        types
            .find(|process_type| process_type.name() == name)
            .ok_or_else(|| Error::usage(format!("`{name}` is not a process type")))
    }

    /// Runs a process to its end; the outer error is a variable that is wrong.
    pub(super) fn run(
        &self,
        process: &ProcessType,
        logs: Logs,
    ) -> Result<Result<Exit, Failure>, Error> {
        self.run_in(&self.environment, process, logs)
    }

    /// The same with these variables.
    pub(super) fn run_in(
        &self,
        environment: &Environment,
        process: &ProcessType,
        logs: Logs,
    ) -> Result<Result<Exit, Failure>, Error> {
        let name = process.name();
        telemetry::start(logs, environment);
        if let Some(faults) = Faults::among(self.app.variables(process, environment)) {
            return Err(Error::configuration(format!("`{name}` cannot start")).with_source(faults));
        }
        // The variables were checked a moment ago: there is a budget.
        let budget = Budget::load(&mut Reader::new(environment)).unwrap_or_default();
        Ok(process.run(&self.context_in(environment, name), budget))
    }

    /// A context for a process or command of this name.
    pub(super) fn context(&self, name: &str) -> Context {
        self.context_in(&self.environment, name)
    }

    /// The same with these variables.
    pub(super) fn context_in(&self, environment: &Environment, name: &str) -> Context {
        let context = Context::new(
            Identity::new(self.app.name.as_str(), name),
            environment.clone(),
            Lifecycle::default(),
            self.app.registry.clone(),
        );
        Schedules::provide(&context, &self.app.jobs);
        context
    }

    /// Runs a command that needs a runtime; its logs go to standard error, for its result goes to standard output.
    pub(super) fn block_on<F: Future<Output = Result<Exit, Error>>>(
        &self,
        work: F,
    ) -> Result<Exit, Error> {
        telemetry::start(Logs::Stderr, &self.environment);
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("no runtime can be started").with_source(error))?
            .block_on(work)
    }
}
