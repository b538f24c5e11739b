//! `schedules`: looks at schedules, and acts on them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use twelve_core::{Error, Exit};
use twelve_worker::{ScheduleSummary, Timestamp};

use crate::cli::{
    command::Command,
    invocation::Invocation,
    output::{self, Format},
};

/// List, run, pause and resume schedules.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Schedules {
    #[command(flatten)]
    format: Format,
    /// Without one it lists.
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// List schedules with their next and their last tick.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Enqueue a schedule's job now, by hand.
    Run(One),
    /// Fire no more ticks, on any host.
    Pause(One),
    /// Fire ticks again, from now on.
    Resume(One),
}

#[derive(Args)]
struct One {
    /// The schedule's name.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    format: Format,
}

impl Command for Schedules {
    const NAME: &'static str = "schedules";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let verb = self.verb.unwrap_or(Verb::List {
            format: self.format,
        });
        let context = invocation.context("schedules");
        invocation.block_on(async {
            let schedules = twelve_worker::Schedules::of(&context)?;
            let done = act(&schedules, verb).await;
            context.close().await;
            done.map(|()| Exit::Done)
        })
    }
}

async fn act(schedules: &twelve_worker::Schedules, verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::List { format } => list(&schedules.list().await?, &format),
        Verb::Run(one) => {
            let job = schedules.run(&one.name).await?;
            let text = format!("enqueued {job}");
            one.tell(("job", &json!(job)), &text)
        }
        Verb::Pause(one) => {
            let is_news = schedules.pause(&one.name).await?;
            let text = if is_news {
                "paused"
            } else {
                "was paused already"
            };
            one.tell(("paused", &json!(true)), text)
        }
        Verb::Resume(one) => {
            let is_news = schedules.resume(&one.name).await?;
            let text = if is_news {
                "goes on from now"
            } else {
                "was not paused"
            };
            one.tell(("paused", &json!(false)), text)
        }
    }
}

impl One {
    fn tell(&self, (member, value): (&str, &Value), text: &str) -> Result<(), Error> {
        let name = &self.name;
        if self.format.json {
            return output::print_json("schedule", json!({"name": name, member: value}));
        }
        output::print(&format!("{name}  {text}\n"))
    }
}

fn list(found: &[ScheduleSummary], format: &Format) -> Result<(), Error> {
    if format.json {
        return output::print_json("schedules", json!(found));
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let heading = ["NAME", "CRON", "ZONE", "NEXT TICK", "LAST TICK", "LAST JOB"];
    output::print_table(heading, &rows)
}

fn row(schedule: &ScheduleSummary) -> [String; 6] {
    // Ticks are whole seconds.
    let second = |at: Timestamp| format!("{at:.0}");
    let next = match schedule.next_tick {
        _ if schedule.paused => "paused".to_owned(),
        Some(next) => second(next),
        None => "never".to_owned(),
    };
    let job = schedule.last_job.map(|job| job.to_string());
    [
        schedule.name.clone(),
        schedule.cron.clone(),
        schedule.zone.clone(),
        next,
        schedule.last_tick.map(second).unwrap_or_default(),
        job.unwrap_or_default(),
    ]
}
