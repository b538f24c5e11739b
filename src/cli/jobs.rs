//! `jobs`: looks at jobs, and acts on them.

use clap::ArgMatches;
use serde_json::{Value, json};
use std::fmt::{Display, Write};
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, Filter, JobDetails, JobId, JobSummary};

use super::{Cli, output};

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    // clap demands a subcommand, so there always is one.
    let Some((verb, matches)) = matches.subcommand() else {
        return Err(Error::usage("say what to do with jobs"));
    };
    let context = cli.context("jobs");
    cli.block_on(async {
        let jobs = Admin::of(&context)?;
        let done = match verb {
            "list" => list(&jobs, matches).await,
            "show" => show(&jobs, matches).await,
            "retry" => retry(&jobs, matches).await,
            _ => discard(&jobs, matches).await,
        };
        context.close().await;
        done
    })
}

async fn list(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let text = |name| matches.get_one::<String>(name);
    let mut filter = Filter::new();
    if let Some(kind) = text("kind") {
        filter = filter.kind(kind);
    }
    if let Some(queue) = text("queue") {
        filter = filter.queue(queue);
    }
    if let Some(state) = text("state") {
        filter = filter.state(state.parse()?);
    }
    if let Some(limit) = matches.get_one::<u32>("limit") {
        filter = filter.limit(*limit as usize);
    }
    let found = jobs.list(&filter).await?;
    if matches.get_flag("json") {
        output::print_json("jobs", to_json(&found)?)?;
    } else {
        let rows: Vec<_> = found.iter().map(row).collect();
        let heading = [
            "ID",
            "KIND",
            "QUEUE",
            "STATE",
            "ATTEMPTS",
            "RUN AT",
            "LAST ERROR",
        ];
        output::print_table(heading, &rows)?;
    }
    Ok(Exit::Done)
}

fn row(job: &JobSummary) -> [String; 7] {
    let error = job.last_error.as_deref().unwrap_or_default();
    [
        job.id.to_string(),
        job.kind.clone(),
        job.queue.clone(),
        job.state.to_string(),
        format!("{}/{}", job.attempts, job.max_attempts),
        job.run_at.clone(),
        // One line each: `show` has the whole text.
        error.lines().next().unwrap_or_default().to_owned(),
    ]
}

async fn show(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    for id in ids(matches)? {
        let Some(job) = jobs.show(id).await? else {
            return Err(Error::internal(format!("there is no job {id}")));
        };
        if matches.get_flag("json") {
            output::print_json("job", to_json(&job)?)?;
        } else {
            output::print(&describe(&job))?;
        }
    }
    Ok(Exit::Done)
}

fn describe(job: &JobDetails) -> String {
    let summary = &job.summary;
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:10}  {value}");
    };
    line("id", &summary.id);
    line("kind", &summary.kind);
    line("queue", &summary.queue);
    line("state", &summary.state);
    line(
        "attempts",
        &format!("{}/{}", summary.attempts, summary.max_attempts),
    );
    line("crashes", &summary.crashes);
    line("created", &summary.created_at);
    line("run at", &summary.run_at);
    for (name, at) in [
        ("claimed", &summary.claimed_at),
        ("finished", &summary.finished_at),
    ] {
        if let Some(at) = at {
            line(name, at);
        }
    }
    if let Some(payload) = &job.payload {
        line("payload", payload);
    }
    for step in &job.steps {
        line("step done", step);
    }
    for error in &job.errors {
        let what = format!(
            "{} attempt {} {} (×{}): {}",
            error.at, error.attempt, error.cause, error.times, error.message
        );
        line("error", &what);
    }
    text
}

async fn retry(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let wanted = ids(matches)?;
    let retried = jobs.retry(&wanted).await?;
    let not_retried = "not retried: it runs, is done or does not exist";
    tell(matches, &wanted, &retried, "retried", not_retried)
}

async fn discard(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let wanted = ids(matches)?;
    let reason = matches
        .get_one::<String>("reason")
        .map_or("", String::as_str);
    let discarded = jobs.discard(&wanted, reason).await?;
    let not_discarded = "not discarded: it runs, has ended or does not exist";
    tell(matches, &wanted, &discarded, "discarded", not_discarded)
}

/// Tells what was done, and what was not; that the exit code tells too.
fn tell(
    matches: &ArgMatches,
    wanted: &[JobId],
    done: &[JobId],
    what: &'static str,
    what_not: &str,
) -> Result<Exit, Error> {
    let refused: Vec<_> = wanted.iter().filter(|id| !done.contains(id)).collect();
    if matches.get_flag("json") {
        output::print_json("jobs", json!({what: done, "refused": refused}))?;
    } else {
        say(what, done)?;
        say(what_not, &refused)?;
    }
    Ok(if refused.is_empty() {
        Exit::Done
    } else {
        Exit::Failure
    })
}

fn say(what: &str, ids: &[impl Display]) -> Result<(), Error> {
    let lines = ids.iter().map(|id| format!("{id}  {what}\n"));
    output::print(&lines.collect::<String>())
}

fn ids(matches: &ArgMatches) -> Result<Vec<JobId>, Error> {
    let ids = matches.get_many::<String>("id").into_iter().flatten();
    ids.map(|id| id.parse()).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::internal("the result is no JSON").because(error))
}
