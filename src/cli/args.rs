//! Parses argv, and prints the help of the app.

use clap::{ArgMatches, Command, error::ErrorKind};
use std::{ffi::OsString, fmt::Write};

use twelve_core::Exit;

use super::{command::AnyCommand, commands::COMMANDS, invocation::Invocation, process};

/// Parses argv; help and mistakes are printed here, and answered with the exit code.
pub(super) fn parse(
    invocation: &Invocation,
    argv: impl Iterator<Item = OsString>,
) -> Result<ArgMatches, Exit> {
    command(invocation)
        .try_get_matches_from(argv)
        .map_err(|error| {
            // Nobody may be listening; the exit code still tells.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            }
        })
}

fn command(invocation: &Invocation) -> Command {
    let types = invocation.process_types.iter().map(process::to_clap);
    let commands: Vec<_> = COMMANDS.iter().map(AnyCommand::to_clap).collect();
    Command::new(invocation.app.name.clone())
        .override_help(help(invocation, &commands))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(types)
        .subcommands(commands)
}

/// The help of the app: its own process types first, for they are what people look for.
fn help(invocation: &Invocation, commands: &[Command]) -> String {
    let app = &invocation.app.name;
    let types = invocation.process_types.iter();
    let types = types.map(|process| (process.name(), process.kind().name().to_owned()));
    let commands = commands.iter().map(|command| {
        let about = command.get_about().map(ToString::to_string);
        (command.get_name(), about.unwrap_or_default())
    });
    let tasks = invocation.app.tasks.iter();
    let tasks = tasks.map(|task| (task.name.as_str(), format!("{app} run {}", task.name)));
    let sections: [(&str, Vec<(&str, String)>); 3] = [
        ("Process types", types.collect()),
        ("Commands", commands.collect()),
        ("Tasks", tasks.collect()),
    ];
    let names = sections.iter().flat_map(|(_, lines)| lines);
    let width = names.map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut help = format!("Usage: {app} PROCESS-TYPE | COMMAND\n");
    for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(help, "\n{title}:");
        for (name, about) in lines {
            let _ = writeln!(help, "  {name:width$}  {about}");
        }
    }
    let _ = write!(help, "\n`{app} COMMAND --help` tells more.");
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::App;

    #[test]
    fn every_command_is_well_formed_and_has_a_line_in_the_help() {
        let invocation = Invocation::of(App::new("test"));
        command(&invocation).debug_assert();
        for command in COMMANDS.iter().map(AnyCommand::to_clap) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
