//! Acting on jobs: `retry`, `discard`, `cancel`, `reschedule`, by ids or by filter.

use clap::Args;
use serde_json::{Map, Value, json};
use std::{
    fmt::Display,
    io::{Write, stderr},
    time::{Duration, Instant},
};
use twelve_core::{Error, Exit, Value as _};
use twelve_worker::{Act, Admin, Due, JobId};

use super::selection::Selection;
use crate::cli::output::{self, Format};

/// How often progress is printed.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Run jobs again now, with all their attempts; without --state, those that failed. One whose unique key another job holds is left alone.
#[derive(Args)]
pub(super) struct Retry {
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// Give jobs up; a running one is left alone.
#[derive(Args)]
pub(super) struct Discard {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "discarded by hand")]
    reason: String,
}

/// Cancel jobs; for a running one, request cancellation.
#[derive(Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "cancelled by hand")]
    reason: String,
}

/// Give jobs that wait another time.
#[derive(Args)]
pub(super) struct Reschedule {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    due: DueArgs,
}

// One of the two. Not a doc comment: clap would print it as the help of the command.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct DueArgs {
    /// Due after this time, such as 90s, 15m or 2h.
    #[arg(long = "in", value_name = "DURATION", value_parser = duration)]
    after: Option<Duration>,
    /// Due at this time, such as 2030-01-31T06:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text).map_err(|problem| format!("{problem}: write one such as 90s, 15m, 2h"))
}

impl Retry {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        act(jobs, &Action::Retry, &self.selection).await
    }
}

impl Discard {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        act(jobs, &Action::Discard(self.reason), &self.selection).await
    }
}

impl Cancel {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        act(jobs, &Action::Cancel(self.reason), &self.selection).await
    }
}

impl Reschedule {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let action = Action::Reschedule(self.due.to_due()?);
        act(jobs, &action, &self.selection).await
    }
}

impl DueArgs {
    fn to_due(&self) -> Result<Due, Error> {
        match self.after {
            Some(Duration::ZERO) => Ok(Due::Now),
            Some(delay) => Ok(Due::After(delay)),
            // clap demands one of the two.
            None => self.at.as_deref().unwrap_or_default().parse(),
        }
    }
}

/// What is done to the jobs.
enum Action {
    Retry,
    Discard(String),
    Cancel(String),
    Reschedule(Due),
}

impl Action {
    /// What it is called when it has been done.
    fn done(&self) -> &'static str {
        match self {
            Self::Retry => "retried",
            Self::Discard(_) => "discarded",
            Self::Cancel(_) => "cancelled",
            Self::Reschedule(_) => "rescheduled",
        }
    }

    /// Why it is not done to a job of this id.
    fn refused(&self) -> &'static str {
        match self {
            Self::Retry => {
                "it runs, is done or does not exist, or another job holds its unique key"
            }
            Self::Discard(_) | Self::Reschedule(_) => "it runs, has ended or does not exist",
            Self::Cancel(_) => "it has ended or does not exist",
        }
    }

    /// Why it is not done to a job that has matched a filter.
    fn left(&self) -> &'static str {
        match self {
            Self::Retry => "left: in another state by now, or another job holds their unique key",
            _ => "left: in another state by now",
        }
    }

    /// The same, for jobs that a filter matches.
    fn to_act(&self) -> Act {
        match self {
            Self::Retry => Act::Retry,
            Self::Discard(reason) => Act::Discard(reason.clone()),
            Self::Cancel(reason) => Act::Cancel(reason.clone()),
            Self::Reschedule(due) => Act::Reschedule(*due),
        }
    }

    /// Does it to the jobs of these ids.
    async fn on(&self, jobs: &Admin, ids: &[JobId]) -> Result<Acted, Error> {
        let mut requested = Vec::new();
        let done = match self {
            Self::Retry => jobs.retry(ids).await?,
            Self::Discard(reason) => jobs.discard(ids, reason).await?,
            Self::Reschedule(due) => jobs.reschedule(ids, *due).await?,
            Self::Cancel(reason) => {
                let cancelled = jobs.cancel(ids, reason).await?;
                requested = cancelled.requested;
                cancelled.cancelled
            }
        };
        Ok(Acted { done, requested })
    }
}

/// What has become of an action on jobs of given ids.
struct Acted {
    done: Vec<JobId>,
    /// Running jobs whose cancellation is requested.
    requested: Vec<JobId>,
}

async fn act(jobs: &Admin, action: &Action, selection: &Selection) -> Result<Exit, Error> {
    let ids = selection.ids()?;
    if ids.is_empty() {
        by_filter(jobs, action, selection).await
    } else {
        by_ids(jobs, action, &ids, &selection.format).await
    }
}

async fn by_ids(
    jobs: &Admin,
    action: &Action,
    wanted: &[JobId],
    format: &Format,
) -> Result<Exit, Error> {
    let Acted { done, requested } = action.on(jobs, wanted).await?;
    let is_refused = |id: &&JobId| !done.contains(id) && !requested.contains(id);
    let refused: Vec<_> = wanted.iter().filter(is_refused).collect();
    if format.json {
        let mut result = Map::new();
        result.insert(action.done().into(), json!(done));
        if matches!(action, Action::Cancel(_)) {
            result.insert("requested".into(), json!(requested));
        }
        result.insert("refused".into(), json!(refused));
        output::print_json("jobs", Value::Object(result))?;
    } else {
        let not_done = format!("not {}: {}", action.done(), action.refused());
        say(action.done(), &done)?;
        say("running: cancellation requested", &requested)?;
        say(&not_done, &refused)?;
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

/// Without `--yes` nothing is done, and the exit code says so: a script that forgot it must not look successful, unless there was nothing to do.
async fn by_filter(jobs: &Admin, action: &Action, selection: &Selection) -> Result<Exit, Error> {
    let (act, filter) = (action.to_act(), selection.filter.to_filter());
    let as_json = selection.format.json;
    let count = jobs.count_for(&act, &filter).await?;
    if !as_json {
        output::print(&format!("{} can be {}\n", number(count), action.done()))?;
    }
    let is_meant = count == 0 || selection.yes;
    let mut result = Map::new();
    result.insert("matched".into(), count.into());
    if is_meant {
        let began = Instant::now();
        let mut next = began + PROGRESS_EVERY;
        let end = jobs.act(&act, &filter, |so_far| {
            if Instant::now() >= next {
                next = Instant::now() + PROGRESS_EVERY;
                let far = so_far.acted + so_far.requested + so_far.left;
                // Nobody may be listening.
                let _ = writeln!(stderr(), "{far} of {count}");
            }
        });
        let end = end.await?;
        result.insert(action.done().into(), end.acted.into());
        result.insert("requested".into(), end.requested.into());
        result.insert("left".into(), end.left.into());
        if !as_json && count > 0 {
            output::print(&format!("{} {}\n", number(end.acted), action.done()))?;
            for (count, what) in [
                (end.requested, "running: cancellation requested"),
                (end.left, action.left()),
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
