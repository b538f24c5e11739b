//! What a command is: its name in argv, its arguments, and what it does.

use clap::ArgMatches;
use twelve_core::{Error, Exit};

use super::invocation::Invocation;

/// A command: a struct of its arguments, whose documentation is its help.
pub(super) trait Command: clap::Args {
    /// Its name in argv.
    const NAME: &'static str;

    /// Does what it is for, and answers with the exit code.
    fn run(self, invocation: &Invocation) -> Result<Exit, Error>;
}

/// A command with its type erased, for the list of all commands.
pub(crate) struct AnyCommand {
    pub(crate) name: &'static str,
    augment: fn(clap::Command) -> clap::Command,
    run: fn(&Invocation, &ArgMatches) -> Result<Exit, Error>,
}

impl AnyCommand {
    pub(super) const fn of<C: Command>() -> Self {
        Self {
            name: C::NAME,
            augment: C::augment_args,
            run: run::<C>,
        }
    }

    /// Its name, help and arguments, for clap.
    pub(super) fn to_clap(&self) -> clap::Command {
        (self.augment)(clap::Command::new(self.name))
    }

    pub(super) fn run(&self, invocation: &Invocation, matches: &ArgMatches) -> Result<Exit, Error> {
        (self.run)(invocation, matches)
    }
}

fn run<C: Command>(invocation: &Invocation, matches: &ArgMatches) -> Result<Exit, Error> {
    // clap has checked them against the same type.
    let arguments = C::from_arg_matches(matches)
        .map_err(|error| Error::internal("the arguments cannot be read").with_source(error))?;
    arguments.run(invocation)
}
