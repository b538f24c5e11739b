//! `run TASK -- ARGUMENTS`: a one-off task in the same environment as the processes.

use clap::ArgMatches;
use std::ffi::OsString;
use twelve_core::{Error, Exit, telemetry::Logs};

use crate::cli::Cli;
use crate::task::Task;

pub(in crate::cli) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let task = find(cli, matches.get_one::<String>("task"))?;
    let words = matches.get_many::<OsString>("arguments");
    let process = task.process(words.into_iter().flatten().cloned().collect());
    cli.run(&process, Logs::Stderr)?
        .map_err(|failure| failure.into_error(format!("`{}` failed", task.name)))
}

fn find<'a>(cli: &'a Cli, name: Option<&String>) -> Result<&'a Task, Error> {
    let tasks = &cli.app.tasks;
    let known = || {
        let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
        match names.as_slice() {
            [] => "this app has no tasks".to_owned(),
            names => format!("the tasks are: {}", names.join(", ")),
        }
    };
    let Some(name) = name else {
        return Err(Error::usage(format!("a task is missing; {}", known())));
    };
    tasks
        .iter()
        .find(|task| task.name == *name)
        .ok_or_else(|| Error::usage(format!("`{name}` is not a task; {}", known())))
}
