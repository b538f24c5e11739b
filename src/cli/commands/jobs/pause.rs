//! Pausing queues and kinds: `pause`, `resume`, `paused`.

use clap::ArgMatches;
use serde_json::json;
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, Pausable, Paused};

use super::{Cli, output, to_json, warn};

pub(super) async fn pause(cli: &Cli, jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let what = what(matches);
    let is_news = jobs.pause(&what).await?;
    if let Pausable::Queue(queue) = &what {
        warn_of_an_unknown_queue(cli, jobs, queue).await?;
    }
    tell(
        matches,
        &what,
        true,
        if is_news {
            "paused"
        } else {
            "was paused already"
        },
    )
}

pub(super) async fn resume(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let what = what(matches);
    let is_news = jobs.resume(&what).await?;
    tell(
        matches,
        &what,
        false,
        if is_news { "goes on" } else { "was not paused" },
    )
}

pub(super) async fn paused(jobs: &Admin, matches: &ArgMatches) -> Result<Exit, Error> {
    let paused = jobs.paused().await?;
    if matches.get_flag("json") {
        output::print_json("paused", to_json(&paused)?)?;
    } else {
        let row = |it: &Paused| {
            let (what, name) = (it.what.what(), it.what.name());
            [what.to_owned(), name.to_owned(), it.since.clone()]
        };
        let rows: Vec<_> = paused.iter().map(row).collect();
        output::print_table(["WHAT", "NAME", "SINCE"], &rows)?;
    }
    Ok(Exit::Done)
}

/// Jobs may come to it yet; but often it is a slip.
async fn warn_of_an_unknown_queue(cli: &Cli, jobs: &Admin, queue: &str) -> Result<(), Error> {
    let mut known = cli.app.jobs.iter();
    if known.all(|job| job.policy().queue_name() != queue) && !jobs.has_queue(queue).await? {
        warn(
            cli,
            &format!(
                "no job was ever enqueued on queue `{queue}`, and this release has no kind on it"
            ),
        );
    }
    Ok(())
}

/// clap demands one of the two.
fn what(matches: &ArgMatches) -> Pausable {
    let text = |name| matches.get_one::<String>(name).cloned();
    match text("queue") {
        Some(queue) => Pausable::Queue(queue),
        None => Pausable::Kind(text("kind").unwrap_or_default()),
    }
}

fn tell(matches: &ArgMatches, what: &Pausable, is_paused: bool, text: &str) -> Result<Exit, Error> {
    if matches.get_flag("json") {
        let result = json!({what.what(): what.name(), "paused": is_paused});
        output::print_json("pause", result)?;
    } else {
        output::print(&format!("{what}  {text}\n"))?;
    }
    Ok(Exit::Done)
}
