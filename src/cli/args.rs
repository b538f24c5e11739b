//! The words that argv may hold, and the help that lists them.

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind, value_parser};
use std::{ffi::OsString, fmt::Write};

use twelve_core::{Exit, ProcessKind, ProcessType};

use crate::app::App;

/// A command of twelve's own.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    about: &'static str,
    words: fn(Command) -> Command,
}

/// The commands, in the order of the help.
pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "release",
        about: "Apply the migrations that the database lacks",
        words: |command| command.arg(flag("plan", "Print their SQL instead")),
    },
    Spec {
        name: "run",
        about: "Run a one-off task: run TASK -- ARGUMENTS",
        words: |command| {
            command.arg(Arg::new("task").value_name("TASK")).arg(
                Arg::new("arguments")
                    .value_name("ARGUMENTS")
                    .num_args(0..)
                    .last(true)
                    .value_parser(value_parser!(OsString)),
            )
        },
    },
    #[cfg(feature = "dev")]
    Spec {
        name: "start",
        about: "Run a formation of processes: start -m web=2,worker=1",
        words: formation,
    },
    #[cfg(feature = "dev")]
    Spec {
        name: "dev",
        about: "Run everything here, with private servers, anew with each build",
        words: |command| {
            formation(command)
                .arg(flag("fresh", "Begin with empty private servers"))
                .arg(
                    Arg::new("command")
                        .value_name("COMMAND")
                        .num_args(1..)
                        .trailing_var_arg(true)
                        .allow_hyphen_values(true)
                        .value_parser(value_parser!(OsString))
                        .help(
                            "Run this command in the surroundings of `dev`, such as: dev jobs list",
                        ),
                )
        },
    },
    Spec {
        name: "routes",
        about: "List the routes of every HTTP process type",
        words: |command| command.arg(json()),
    },
    Spec {
        name: "jobs",
        about: "List jobs, act on them, pause them, and say why one does not run",
        words: super::commands::jobs::words,
    },
    Spec {
        name: "ps",
        about: "List the processes that run jobs, on all hosts",
        words: |command| command.arg(json()),
    },
    #[cfg(feature = "mail")]
    Spec {
        name: "mail",
        about: "Look at the mails of this app, and send one to try the server",
        words: mail,
    },
    Spec {
        name: "schedules",
        about: "List, run, pause and resume schedules",
        words: schedules,
    },
    Spec {
        name: "config",
        about: "List every variable, its source and what is wrong with it",
        words: |command| command.arg(json()),
    },
    Spec {
        name: "health",
        about: "Ask the processes on this host how they are",
        words: health,
    },
    Spec {
        name: "export",
        about: "Print deployment files: export procfile",
        words: |command| {
            command
                .subcommand_required(true)
                .subcommand(Command::new("procfile").about("One line for each process type"))
        },
    },
];

#[cfg(feature = "dev")]
fn formation(command: Command) -> Command {
    command
        .arg(
            option(
                "formation",
                "FORMATION",
                "How many of each type: web=2,worker=1 or all=1,web=2",
            )
            .short('m')
            .action(ArgAction::Append),
        )
        .arg(
            option(
                "port",
                "PORT",
                "The base port; each type has its own, 100 above the last",
            )
            .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(flag("exit-on-crash", "End all processes when one ends"))
}

#[cfg(feature = "mail")]
fn mail(command: Command) -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .help("The mail's name; without it, all are listed")
    };
    command
        .subcommand_required(true)
        .subcommand(
            Command::new("preview")
                .about("List the registered mails, or print one with its example data")
                .arg(name())
                .arg(flag("html", "Print only its HTML").conflicts_with("text"))
                .arg(flag("text", "Print only its text"))
                .arg(flag("messages", "Print all of them as they would be sent").hide(true))
                .arg(json()),
        )
        .subcommand(
            Command::new("send-test")
                .about("Send a mail through SMTP_URL now, and tell what the server says")
                .arg(
                    Arg::new("address")
                        .value_name("ADDRESS")
                        .required(true)
                        .help("Who gets it"),
                )
                .arg(name().help("The mail that is sent; without it, a plain one"))
                .arg(json()),
        )
}

fn schedules(command: Command) -> Command {
    let one = |name: &'static str, about: &'static str| {
        let schedule = Arg::new("name").value_name("NAME").required(true);
        Command::new(name)
            .about(about)
            .arg(schedule.help("The schedule's name"))
            .arg(json())
    };
    command
        // Without a subcommand it lists.
        .args_conflicts_with_subcommands(true)
        .arg(json())
        .subcommand(
            Command::new("list")
                .about("List schedules with their next and their last tick")
                .arg(json()),
        )
        .subcommand(one("run", "Enqueue a schedule's job now, by hand"))
        .subcommand(one("pause", "Fire no more ticks, on any host"))
        .subcommand(one("resume", "Fire ticks again, from now on"))
}

fn worker(command: Command) -> Command {
    command
        .arg(option(
            "queues",
            "QUEUES",
            "Only jobs on these queues, such as mail,reports (TWELVE_WORKER_QUEUES)",
        ))
        .arg(option(
            "concurrency",
            "N",
            "Jobs to run at a time (TWELVE_WORKER_CONCURRENCY)",
        ))
}

fn health(command: Command) -> Command {
    command
        .arg(
            Arg::new("probe")
                .value_parser(["live", "ready"])
                .help("Only the exit code of this probe, without asking the backing services"),
        )
        .arg(option("type", "TYPE", "Only processes of this type"))
        .arg(json())
}

pub(super) fn json() -> Arg {
    flag("json", "Print JSON for machines")
}

pub(super) fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

pub(super) fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// Parses argv; help and mistakes are printed here, and answered with the exit code.
pub(super) fn parse(
    app: &App,
    processes: &[ProcessType],
    words: impl Iterator<Item = OsString>,
) -> Result<ArgMatches, Exit> {
    command(app, processes)
        .try_get_matches_from(words)
        .map_err(|error| {
            // Nobody may be listening; the exit code still tells.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            }
        })
}

fn command(app: &App, processes: &[ProcessType]) -> Command {
    let types = processes.iter().map(|process| {
        let about = format!("Run a process of this type ({})", process.kind().name());
        let command = Command::new(process.name().to_owned()).about(about);
        match process.kind() {
            ProcessKind::Worker => worker(command),
            _ => command,
        }
    });
    let commands = COMMANDS
        .iter()
        .map(|spec| (spec.words)(Command::new(spec.name).about(spec.about)));
    Command::new(app.name.clone())
        .override_help(help(app, processes))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(types)
        .subcommands(commands)
}

/// The help of the app: its own process types first, for they are what people look for.
fn help(app: &App, processes: &[ProcessType]) -> String {
    let names = processes
        .iter()
        .map(ProcessType::name)
        .chain(COMMANDS.iter().map(|spec| spec.name))
        .chain(app.tasks.iter().map(|task| task.name.as_str()));
    let width = names.map(str::len).max().unwrap_or_default();
    let mut help = format!("Usage: {} PROCESS-TYPE | COMMAND\n", app.name);
    // Writing to a string cannot fail.
    let _ = writeln!(help, "\nProcess types:");
    for process in processes {
        let _ = writeln!(
            help,
            "  {:width$}  {}",
            process.name(),
            process.kind().name()
        );
    }
    let _ = writeln!(help, "\nCommands:");
    for spec in COMMANDS {
        let _ = writeln!(help, "  {:width$}  {}", spec.name, spec.about);
    }
    if !app.tasks.is_empty() {
        let _ = writeln!(help, "\nTasks:");
        for task in &app.tasks {
            let _ = writeln!(
                help,
                "  {:width$}  {} run {}",
                task.name, app.name, task.name
            );
        }
    }
    let _ = write!(help, "\n`{} COMMAND --help` tells more.", app.name);
    help
}
