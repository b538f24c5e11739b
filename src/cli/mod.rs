//! The command line: argv picks the process type, or a command that looks and acts.
//!
//! ```text
//! wiring (78) ─► argv: words (64) ─► variables (78) ─► process type, command or task
//! ```

mod config;
#[cfg(feature = "dev")]
mod dev;
mod export;
mod health;
mod jobs;
#[cfg(feature = "mail")]
mod mail;
mod output;
mod ps;
mod release;
mod routes;
mod run;
mod schedules;
#[cfg(feature = "dev")]
mod start;
mod words;
mod worker;

pub(crate) use words::COMMANDS;

use clap::ArgMatches;
use std::{env, io::Write, io::stderr};
use tokio::runtime;

use twelve_core::{
    Budget, Config, Context, Environment, Error, Exit, Failure, Faults, Identity, Lifecycle,
    ProcessType, Reader, chain,
    telemetry::{self, Logs},
};

use crate::App;

/// Does what argv says.
pub(crate) fn main(app: App) -> Exit {
    // First of all: two process types of one name could not even be told apart in argv.
    let faults = app.check();
    if !faults.is_empty() {
        let list = faults.iter().map(|fault| format!("\n  {fault}"));
        let message = format!("the app is wired wrongly:{}", list.collect::<String>());
        return report(&app.name, &Error::configuration(message));
    }
    let environment = Environment::of_process();
    #[cfg(feature = "mail")]
    let environment = app.with_sender(environment);
    let processes = app.process_types();
    let matches = match words::parse(&app, &processes, env::args_os()) {
        Ok(matches) => matches,
        Err(exit) => return exit,
    };
    let cli = Cli {
        app,
        processes,
        environment,
    };
    cli.dispatch(&matches)
        .unwrap_or_else(|error| report(&cli.app.name, &error))
}

/// What every command works with.
pub(crate) struct Cli {
    app: App,
    processes: Vec<ProcessType>,
    environment: Environment,
}

impl Cli {
    fn dispatch(&self, matches: &ArgMatches) -> Result<Exit, Error> {
        // clap demands a subcommand, so there always is one.
        let Some((name, matches)) = matches.subcommand() else {
            return Err(Error::usage("a process type or a command is missing"));
        };
        match name {
            "config" => config::run(self, matches),
            #[cfg(feature = "dev")]
            "dev" => dev::run(self, matches),
            "export" => export::run(self),
            "health" => health::run(self, matches),
            "jobs" => jobs::run(self, matches),
            #[cfg(feature = "mail")]
            "mail" => mail::run(self, matches),
            "ps" => ps::run(self, matches),
            "release" => release::run(self, matches),
            "routes" => routes::run(self, matches),
            "run" => run::run(self, matches),
            "schedules" => schedules::run(self, matches),
            #[cfg(feature = "dev")]
            "start" => start::run(self, matches),
            process_type => self.start(process_type, matches),
        }
    }

    /// Runs one process of this type to its end.
    fn start(&self, name: &str, matches: &ArgMatches) -> Result<Exit, Error> {
        let Some(process) = self.processes.iter().find(|process| process.name() == name) else {
            return Err(Error::usage(format!("`{name}` is not a process type")));
        };
        let environment = worker::environment(self, process, matches)?;
        match self.run_in(&environment, process, Logs::Stdout)? {
            Ok(exit) => {
                tracing::info!(process = name, code = exit.code(), "stopped");
                Ok(exit)
            }
            // Into the event stream, where whoever runs the process looks.
            Err(failure) => {
                tracing::error!(process = name, error = %failure, "the process failed");
                Ok(failure.error().map_or(Exit::Failure, Exit::from))
            }
        }
    }

    /// Runs a process to its end; the outer error is a variable that is wrong.
    fn run(&self, process: &ProcessType, logs: Logs) -> Result<Result<Exit, Failure>, Error> {
        self.run_in(&self.environment, process, logs)
    }

    /// The same with these variables.
    fn run_in(
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
    fn context(&self, name: &str) -> Context {
        self.context_in(&self.environment, name)
    }

    fn context_in(&self, environment: &Environment, name: &str) -> Context {
        Context::new(
            Identity::new(self.app.name.as_str(), name),
            environment.clone(),
            Lifecycle::default(),
            self.app.registry.clone(),
        )
    }

    /// Runs a command that needs a runtime; its logs go to standard error, for its result goes to standard output.
    fn block_on<F: Future<Output = Result<Exit, Error>>>(&self, work: F) -> Result<Exit, Error> {
        telemetry::start(Logs::Stderr, &self.environment);
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("no runtime can be started").with_source(error))?
            .block_on(work)
    }
}

/// Says what went wrong, once, to people.
fn report(app: &str, error: &Error) -> Exit {
    // Nobody may be listening; the exit code still tells.
    let text = format!("{app}: {}", chain(error));
    let _ = writeln!(stderr(), "{}", output::plain(&text));
    Exit::from(error)
}
