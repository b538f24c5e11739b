//! Acting on jobs: `retry`, `discard`, `cancel`, `reschedule`, by ids or by filter.

use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::{
    fmt::Display,
    io::{Write, stderr},
    time::{Duration, Instant},
};
use twelve_core::{Error, Exit};
use twelve_worker::{Act, Admin, Cancelled, Due, JobId};

use super::{filter, ids, output};

/// How often somebody who waits is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What an act is called when it has been done, why it was not, and why not to a job that matched.
struct Words {
    done: &'static str,
    refused: &'static str,
    left: &'static str,
}

pub(super) async fn run(jobs: &Admin, verb: &str, matches: &ArgMatches) -> Result<Exit, Error> {
    let (act, words) = read(verb, matches)?;
    let ids = ids(matches)?;
    if ids.is_empty() {
        by_filter(jobs, &act, &words, matches).await
    } else {
        by_ids(jobs, &act, &words, &ids, matches).await
    }
}

fn read(verb: &str, matches: &ArgMatches) -> Result<(Act, Words), Error> {
    let reason = || {
        matches
            .get_one::<String>("reason")
            .cloned()
            .unwrap_or_default()
    };
    let (act, done, refused) = match verb {
        "retry" => (
            Act::Retry,
            "retried",
            "it runs, is done or does not exist, or another job holds its unique key",
        ),
        "discard" => (
            Act::Discard(reason()),
            "discarded",
            "it runs, has ended or does not exist",
        ),
        "cancel" => (
            Act::Cancel(reason()),
            "cancelled",
            "it has ended or does not exist",
        ),
        _ => (
            Act::Reschedule(due(matches)?),
            "rescheduled",
            "it runs, has ended or does not exist",
        ),
    };
    let left = match act {
        Act::Retry => "left: in another state by now, or another job holds their unique key",
        _ => "left: in another state by now",
    };
    Ok((
        act,
        Words {
            done,
            refused,
            left,
        },
    ))
}

/// clap demands one of the two.
fn due(matches: &ArgMatches) -> Result<Due, Error> {
    if let Some(delay) = matches.get_one::<Duration>("in") {
        return Ok(if delay.is_zero() {
            Due::Now
        } else {
            Due::After(*delay)
        });
    }
    let at = matches.get_one::<String>("at");
    at.map_or("", String::as_str).parse()
}

async fn by_ids(
    jobs: &Admin,
    act: &Act,
    words: &Words,
    wanted: &[JobId],
    matches: &ArgMatches,
) -> Result<Exit, Error> {
    let mut told = Vec::new();
    let done = match act {
        Act::Retry => jobs.retry(wanted).await?,
        Act::Discard(reason) => jobs.discard(wanted, reason).await?,
        Act::Reschedule(due) => jobs.reschedule(wanted, *due).await?,
        Act::Cancel(reason) => {
            let Cancelled {
                cancelled,
                told: running,
                ..
            } = jobs.cancel(wanted, reason).await?;
            told = running;
            cancelled
        }
        // There is no other.
        _ => Vec::new(),
    };
    let is_refused = |id: &&JobId| !done.contains(id) && !told.contains(id);
    let refused: Vec<_> = wanted.iter().filter(is_refused).collect();
    if matches.get_flag("json") {
        let mut result = Map::new();
        result.insert(words.done.into(), json!(done));
        if matches!(act, Act::Cancel(_)) {
            result.insert("told".into(), json!(told));
        }
        result.insert("refused".into(), json!(refused));
        output::print_json("jobs", Value::Object(result))?;
    } else {
        say(words.done, &done)?;
        say("runs: its worker was told to stop it", &told)?;
        say(&format!("not {}: {}", words.done, words.refused), &refused)?;
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

/// Without `--yes` nothing is done, and the exit code says so: a script that forgot it must not look well, unless there was nothing to do.
async fn by_filter(
    jobs: &Admin,
    act: &Act,
    words: &Words,
    matches: &ArgMatches,
) -> Result<Exit, Error> {
    let filter = filter(matches)?;
    let as_json = matches.get_flag("json");
    let count = jobs.count_for(act, &filter).await?;
    if !as_json {
        output::print(&format!("{} can be {}\n", number(count), words.done))?;
    }
    let is_meant = count == 0 || matches.get_flag("yes");
    let mut result = Map::new();
    result.insert("matched".into(), count.into());
    if is_meant {
        let began = Instant::now();
        let mut next = began + TELL_EVERY;
        let end = jobs.act(act, &filter, |so_far| {
            if Instant::now() >= next {
                next = Instant::now() + TELL_EVERY;
                let far = so_far.acted + so_far.told + so_far.left;
                // Nobody may be listening.
                let _ = writeln!(stderr(), "{far} of {count}");
            }
        });
        let end = end.await?;
        result.insert(words.done.into(), end.acted.into());
        result.insert("told".into(), end.told.into());
        result.insert("left".into(), end.left.into());
        if !as_json && count > 0 {
            output::print(&format!("{} {}\n", number(end.acted), words.done))?;
            for (count, what) in [
                (end.told, "being stopped by their workers"),
                (end.left, words.left),
            ] {
                if count > 0 {
                    output::print(&format!("{} {what}\n", number(count)))?;
                }
            }
        }
    }
    if as_json {
        output::print_json("jobs", Value::Object(result))?;
    }
    if is_meant {
        Ok(Exit::Done)
    } else {
        Err(Error::usage("nothing was done: add --yes to do it"))
    }
}

fn number(jobs: u64) -> String {
    match jobs {
        1 => "1 job".to_owned(),
        jobs => format!("{jobs} jobs"),
    }
}
