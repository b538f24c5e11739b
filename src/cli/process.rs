//! The options of a worker: they win over the variables, and mean the same.

use clap::ArgMatches;
use twelve_core::{Config, Environment, Error, Faults, ProcessKind, ProcessType, Reader};
use twelve_worker::Settings;

use super::Cli;

const QUEUES: &str = "TWELVE_WORKER_QUEUES";
const CONCURRENCY: &str = "TWELVE_WORKER_CONCURRENCY";

/// The variables of a process, with what the command line says about them.
pub(super) fn environment(
    cli: &Cli,
    process: &ProcessType,
    matches: &ArgMatches,
) -> Result<Environment, Error> {
    let mut environment = cli.environment.clone();
    if process.kind() != ProcessKind::Worker {
        return Ok(environment);
    }
    let mut said = Vec::new();
    for (option, variable) in [("queues", QUEUES), ("concurrency", CONCURRENCY)] {
        if let Some(value) = matches.get_one::<String>(option) {
            // A variable that is set to nothing counts as not set.
            if value.is_empty() {
                return Err(Error::usage(format!("--{option}: the value is missing")));
            }
            environment = environment.with(variable, value);
            said.push((option, variable));
        }
    }
    let mut reader = Reader::new(&environment);
    let settings = Settings::load(&mut reader);
    let variables = reader.into_variables();
    for (option, variable) in &said {
        let mut wrong = variables.iter().filter(|known| known.name == *variable);
        if let Some(fault) = wrong.find_map(|known| known.fault.as_ref()) {
            return Err(Error::usage(format!("--{option}: {fault}")));
        }
    }
    // A variable that is wrong is told with the others.
    if Faults::among(variables).is_none()
        && let Some(settings) = settings
        && let Some(fault) = cli.app.misplaced_queue(process.name(), &settings)
    {
        return Err(if said.iter().any(|(option, _)| *option == "queues") {
            Error::usage(format!("--queues: {fault}"))
        } else {
            Error::configuration(format!("{QUEUES}: {fault}"))
        });
    }
    Ok(environment)
}
