//! The command line: argv picks a process type to run, or a command.
//!
//! ```text
//! wiring (78) ─► argv (64) ─► process: variables (78) ─► one process of a type
//!                        └──► commands: one file each
//! ```

mod args;
mod process;

mod command;
pub(crate) mod commands;
mod invocation;
mod output;
#[cfg(feature = "dev")]
mod supervision;

use clap::ArgMatches;
use std::{
    env,
    io::{Write, stderr},
    process::ExitCode,
};
use twelve_core::{Error, Exit, chain};

use self::{commands::COMMANDS, invocation::Invocation};
use crate::app::App;

impl App {
    /// Does what the command line says, and answers with the exit code.
    #[must_use = "return it from `main`"]
    pub fn main(self) -> ExitCode {
        main(self).into()
    }
}

fn main(app: App) -> Exit {
    // First of all: two process types of one name could not even be told apart in argv.
    let faults = app.check();
    if !faults.is_empty() {
        let list = faults.iter().map(|fault| format!("\n  {fault}"));
        let message = format!("the app is wired wrongly:{}", list.collect::<String>());
        return report(&app.name, &Error::configuration(message));
    }
    let invocation = Invocation::of(app);
    let matches = match args::parse(&invocation, env::args_os()) {
        Ok(matches) => matches,
        Err(exit) => return exit,
    };
    dispatch(&invocation, &matches).unwrap_or_else(|error| report(&invocation.app.name, &error))
}

fn dispatch(invocation: &Invocation, matches: &ArgMatches) -> Result<Exit, Error> {
    // clap demands a subcommand, so there always is one.
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Error::usage("a process type or a command is missing"));
    };
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => command.run(invocation, matches),
        None => process::run(invocation, name, matches),
    }
}

/// Says what went wrong, once, to people.
fn report(app: &str, error: &Error) -> Exit {
    // Nobody may be listening; the exit code still tells.
    let text = format!("{app}: {}", chain(error));
    let _ = writeln!(stderr(), "{}", output::plain(&text));
    Exit::from(error)
}
