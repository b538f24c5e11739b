//! Runs one process of a type, the options of a worker included: they win over the variables, and mean the same.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use twelve_core::{
    Config, Environment, Error, Exit, Faults, ProcessKind, ProcessType, Reader, telemetry::Logs,
};
use twelve_worker::Settings;

use super::invocation::Invocation;

const QUEUES: &str = "TWELVE_WORKER_QUEUES";
const CONCURRENCY: &str = "TWELVE_WORKER_CONCURRENCY";

#[derive(Args)]
struct WorkerArgs {
    #[arg(
        long,
        value_name = "QUEUES",
        help = "Only jobs on these queues, such as mail,reports (TWELVE_WORKER_QUEUES)"
    )]
    queues: Option<String>,
    #[arg(
        long,
        value_name = "N",
        help = "Jobs to run at a time (TWELVE_WORKER_CONCURRENCY)"
    )]
    concurrency: Option<String>,
}

/// A process type as a word of argv.
pub(super) fn to_clap(process: &ProcessType) -> Command {
    let about = format!("Run a process of this type ({})", process.kind().name());
    let command = Command::new(process.name().to_owned()).about(about);
    match process.kind() {
        ProcessKind::Worker => WorkerArgs::augment_args(command),
        _ => command,
    }
}

/// Runs one process of this type to its end.
pub(super) fn run(
    invocation: &Invocation,
    name: &str,
    matches: &ArgMatches,
) -> Result<Exit, Error> {
    let process = invocation.process_type(name)?;
    let environment = match process.kind() {
        ProcessKind::Worker => worker_environment(invocation, name, matches)?,
        _ => invocation.environment.clone(),
    };
    match invocation.run_in(&environment, process, Logs::Stdout)? {
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

/// The variables of a worker, with what the command line says about them.
fn worker_environment(
    invocation: &Invocation,
    name: &str,
    matches: &ArgMatches,
) -> Result<Environment, Error> {
    // clap has checked them against the same type.
    let WorkerArgs {
        queues,
        concurrency,
    } = WorkerArgs::from_arg_matches(matches)
        .map_err(|error| Error::internal("the arguments cannot be read").with_source(error))?;
    let mut environment = invocation.environment.clone();
    let mut given = Vec::new();
    for (option, variable, value) in [
        ("queues", QUEUES, queues),
        ("concurrency", CONCURRENCY, concurrency),
    ] {
        if let Some(value) = value {
            // A variable that is set to nothing counts as not set.
            if value.is_empty() {
                return Err(Error::usage(format!("--{option}: the value is missing")));
            }
            environment = environment.with(variable, value);
            given.push((option, variable));
        }
    }
    let mut reader = Reader::new(&environment);
    let settings = Settings::load(&mut reader);
    let variables = reader.into_variables();
    for (option, variable) in &given {
        let mut wrong = variables.iter().filter(|known| known.name == *variable);
        if let Some(fault) = wrong.find_map(|known| known.fault.as_ref()) {
            return Err(Error::usage(format!("--{option}: {fault}")));
        }
    }
    // A variable that is wrong is told with the others.
    if Faults::among(variables).is_none()
        && let Some(settings) = settings
        && let Some(fault) = invocation.app.misplaced_queue(name, &settings)
    {
        return Err(if given.iter().any(|(option, _)| *option == "queues") {
            Error::usage(format!("--queues: {fault}"))
        } else {
            Error::configuration(format!("{QUEUES}: {fault}"))
        });
    }
    Ok(environment)
}
