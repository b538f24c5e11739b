//! `schedules`: looks at schedules, and acts on them.

use clap::ArgMatches;
use serde_json::json;
use twelve_core::{Error, Exit};
use twelve_worker::{ScheduleSummary, Schedules};

use crate::cli::{Cli, output};

pub(in crate::cli) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    let (verb, matches) = matches.subcommand().unwrap_or(("list", matches));
    let context = cli.context("schedules");
    cli.block_on(async {
        let schedules = Schedules::of(&context, &cli.app.jobs)?;
        let done = act(&schedules, verb, matches).await;
        context.close().await;
        done.map(|()| Exit::Done)
    })
}

async fn act(schedules: &Schedules, verb: &str, matches: &ArgMatches) -> Result<(), Error> {
    let as_json = matches.get_flag("json");
    if verb == "list" {
        return list(&schedules.list().await?, as_json);
    }
    // clap demands it.
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    match verb {
        "run" => {
            let job = schedules.run(name).await?;
            tell(
                as_json,
                name,
                ("job", &json!(job)),
                &format!("enqueued {job}"),
            )
        }
        "pause" => {
            let is_news = schedules.pause(name).await?;
            let text = if is_news {
                "paused"
            } else {
                "was paused already"
            };
            tell(as_json, name, ("paused", &json!(true)), text)
        }
        _ => {
            let is_news = schedules.resume(name).await?;
            let text = if is_news {
                "goes on from now"
            } else {
                "was not paused"
            };
            tell(as_json, name, ("paused", &json!(false)), text)
        }
    }
}

fn list(found: &[ScheduleSummary], as_json: bool) -> Result<(), Error> {
    if as_json {
        return output::print_json("schedules", json!(found));
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let heading = ["NAME", "CRON", "ZONE", "NEXT TICK", "LAST TICK", "LAST JOB"];
    output::print_table(heading, &rows)
}

fn row(schedule: &ScheduleSummary) -> [String; 6] {
    let next = match (&schedule.next_tick, schedule.paused) {
        (_, true) => "paused",
        (Some(next), _) => next,
        (None, _) => "never",
    };
    let job = schedule.last_job.map(|job| job.to_string());
    [
        schedule.name.clone(),
        schedule.cron.clone(),
        schedule.zone.clone(),
        next.to_owned(),
        schedule.last_tick.clone().unwrap_or_default(),
        job.unwrap_or_default(),
    ]
}

fn tell(
    as_json: bool,
    name: &str,
    (member, value): (&str, &serde_json::Value),
    text: &str,
) -> Result<(), Error> {
    if as_json {
        return output::print_json("schedule", json!({"name": name, member: value}));
    }
    output::print(&format!("{name}  {text}\n"))
}
