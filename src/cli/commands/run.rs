//! `run TASK -- ARGUMENTS`: a one-off task in the same environment as the processes.

use clap::Args;
use std::ffi::OsString;
use twelve_core::{Error, Exit, telemetry::Logs};

use crate::{
    cli::{command::Command, invocation::Invocation},
    task::Task,
};

/// Run a one-off task: run TASK -- ARGUMENTS.
#[derive(Args)]
pub(super) struct RunTask {
    #[arg(value_name = "TASK")]
    task: Option<String>,
    #[arg(value_name = "ARGUMENTS", num_args = 0.., last = true)]
    arguments: Vec<OsString>,
}

impl Command for RunTask {
    const NAME: &'static str = "run";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let task = find(&invocation.app.tasks, self.task.as_deref())?;
        let process = task.process(self.arguments);
        invocation
            .run(&process, Logs::Stderr)?
            .map_err(|failure| failure.into_error(format!("`{}` failed", task.name)))
    }
}

fn find<'a>(tasks: &'a [Task], name: Option<&str>) -> Result<&'a Task, Error> {
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
        .find(|task| task.name == name)
        .ok_or_else(|| Error::usage(format!("`{name}` is not a task; {}", known())))
}
