//! `jobs`: looks at jobs, and acts on them.

mod act;
mod look;
mod pause;
mod words;

pub(super) use words::words;

use clap::ArgMatches;
use serde_json::Value;
use std::io::{Write, stderr};
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, Filter, JobId};

use super::{Cli, output};

pub(super) fn run(cli: &Cli, matches: &ArgMatches) -> Result<Exit, Error> {
    // clap demands a subcommand, so there always is one.
    let Some((verb, matches)) = matches.subcommand() else {
        return Err(Error::usage("say what to do with jobs"));
    };
    let context = cli.context("jobs");
    if let Some(kind) = matches.try_get_one::<String>("kind").ok().flatten() {
        warn_of_an_unknown_kind(cli, kind);
    }
    cli.block_on(async {
        let jobs = Admin::of(&context)?;
        let done = match verb {
            "list" => look::list(&jobs, matches).await,
            "show" => look::show(&jobs, matches).await,
            "why" => look::why(&jobs, matches).await,
            "pause" => pause::pause(cli, &jobs, matches).await,
            "resume" => pause::resume(&jobs, matches).await,
            "paused" => pause::paused(&jobs, matches).await,
            _ => act::run(&jobs, verb, matches).await,
        };
        context.close().await;
        done
    })
}

/// It may be a newer release's, or one that is gone; but often it is a slip.
fn warn_of_an_unknown_kind(cli: &Cli, kind: &str) {
    let mut known = cli.app.jobs.iter();
    if known.all(|job| job.kind() != kind && !job.aliases().contains(&kind)) {
        warn(
            cli,
            &format!("this release has no handler for kind `{kind}`"),
        );
    }
}

fn warn(cli: &Cli, text: &str) {
    // Nobody may be listening.
    let text = format!("{}: {text}", cli.app.name);
    let _ = writeln!(stderr(), "{}", output::plain(&text));
}

/// The jobs that the options name.
fn filter(matches: &ArgMatches) -> Result<Filter, Error> {
    let text = |name| matches.get_one::<String>(name);
    let mut filter = Filter::new();
    if let Some(kind) = text("kind") {
        filter = filter.kind(kind);
    }
    if let Some(queue) = text("queue") {
        filter = filter.queue(queue);
    }
    if let Some(tag) = text("tag") {
        filter = filter.tag(tag);
    }
    for state in matches.get_many::<String>("state").into_iter().flatten() {
        filter = filter.state(state.parse()?);
    }
    Ok(filter)
}

fn ids(matches: &ArgMatches) -> Result<Vec<JobId>, Error> {
    let ids = matches.get_many::<String>("id").into_iter().flatten();
    ids.map(|id| id.parse()).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::internal("the result is no JSON").with_source(error))
}
