//! The words after `jobs`.

use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};
use std::time::Duration;
use twelve_core::Value;
use twelve_worker::State;

use crate::cli::args::{flag, json, option};

pub(in crate::cli) fn words(command: Command) -> Command {
    command
        .subcommand_required(true)
        .subcommand(
            options(Command::new("list").about("List jobs, the newest first"))
                .arg(
                    option("limit", "N", "At most so many")
                        .default_value("50")
                        .value_parser(value_parser!(u32).range(1..=1000)),
                )
                .arg(json()),
        )
        .subcommand(
            Command::new("show")
                .about("Show one job with its payload and every error")
                .arg(ids().num_args(1).required(true))
                .arg(json()),
        )
        .subcommand(
            Command::new("why")
                .about("Say why a job does not run, or what became of it")
                .arg(ids().num_args(1).required(true))
                .arg(json()),
        )
        .subcommand(act(
            "retry",
            "Run jobs again now, with all their attempts; without --state, those that failed. One whose unique key another job holds is left alone",
        ))
        .subcommand(
            act("discard", "Give jobs up; a running one is left alone")
                .arg(option("reason", "TEXT", "Why").default_value("discarded by hand")),
        )
        .subcommand(
            act("cancel", "Stop jobs; of a running one, the worker is told")
                .arg(option("reason", "TEXT", "Why").default_value("cancelled by hand")),
        )
        .subcommand(
            act("reschedule", "Give jobs that wait another time")
                .arg(
                    option(
                        "in",
                        "DURATION",
                        "Due after this time, such as 90s, 15m or 2h",
                    )
                    .value_parser(|text: &str| {
                        <Duration as Value>::parse(text)
                            .map_err(|problem| format!("{problem}: write one such as 90s, 15m, 2h"))
                    }),
                )
                .arg(option(
                    "at",
                    "TIME",
                    "Due at this time, such as 2030-01-31T06:00:00Z",
                ))
                .group(ArgGroup::new("when").args(["in", "at"]).required(true)),
        )
        .subcommand(pausable(
            "pause",
            "Start no more jobs of a queue or a kind, on any host",
        ))
        .subcommand(pausable("resume", "Start jobs of a queue or a kind again"))
        .subcommand(
            Command::new("paused")
                .about("List what is paused")
                .arg(json()),
        )
}

fn ids() -> Arg {
    Arg::new("id")
        .value_name("ID")
        .num_args(1..)
        .help("The jobs' ids")
}

/// The options that filter.
fn options(command: Command) -> Command {
    command
        .arg(option("kind", "KIND", "Only jobs of this kind"))
        .arg(option("queue", "QUEUE", "Only jobs on this queue"))
        .arg(option("tag", "TAG", "Only jobs with this tag"))
        .arg(
            option("state", "STATE", "Only jobs in this state, or these")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .value_parser(State::ALL.map(State::name)),
        )
}

/// By ids, or by a filter that says something: nobody acts on all jobs by leaving words out.
fn act(name: &'static str, about: &'static str) -> Command {
    let filters = ["kind", "queue", "tag", "state"];
    let which = ArgGroup::new("which")
        .args(["id", "kind", "queue", "tag", "state"])
        .required(true)
        .multiple(true);
    options(Command::new(name).about(about))
        .arg(ids().conflicts_with_all(filters))
        .arg(flag(
            "yes",
            "Do it to all jobs that match; without it, they are only counted, and the exit code is 64 if there are any",
        ))
        .arg(json())
        .group(which)
}

fn pausable(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(option("queue", "QUEUE", "This queue"))
        .arg(option("kind", "KIND", "This kind, on whatever queue"))
        .group(ArgGroup::new("what").args(["queue", "kind"]).required(true))
        .arg(json())
}
