//! Looking at jobs: `list`, `show`, `why`.

use clap::{Args, value_parser};
use serde_json::json;
use std::fmt::{Display, Write};
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, JobDetails, JobSummary};

use super::selection::FilterArgs;
use crate::cli::output::{self, Format};

/// List jobs, the newest first.
#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "50", value_parser = value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

impl List {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let filter = self.filter.to_filter().limit(self.limit as usize);
        let found = jobs.list(&filter).await?;
        if self.format.json {
            output::print_json("jobs", json!(found))?;
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
}

fn row(job: &JobSummary) -> [String; 7] {
    let error = job.last_error.as_deref().unwrap_or_default();
    [
        job.id.to_string(),
        job.kind.clone(),
        job.queue.clone(),
        job.state.to_string(),
        format!("{}/{}", job.attempts, job.max_attempts),
        job.run_at.to_string(),
        // One line each: `show` has the whole text.
        error.lines().next().unwrap_or_default().to_owned(),
    ]
}

/// Show one job with its payload and every error.
#[derive(Args)]
pub(super) struct Show {
    /// The job's id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    format: Format,
}

impl Show {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let id = self.id.parse()?;
        let Some(job) = jobs.show(id).await? else {
            return Err(Error::not_found(format!("there is no job {id}")));
        };
        if self.format.json {
            output::print_json("job", json!(job))?;
        } else {
            output::print(&describe(&job))?;
        }
        Ok(Exit::Done)
    }
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
    line("priority", &job.priority);
    if !job.tags.is_empty() {
        line("tags", &job.tags.join(" "));
    }
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
    for (name, json) in [("payload", &job.payload), ("metadata", &job.metadata)] {
        if let Some(json) = json {
            line(name, json);
        }
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

/// Say why a job does not run, or what became of it.
#[derive(Args)]
pub(super) struct Why {
    /// The job's id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    format: Format,
}

impl Why {
    /// Exit code 1 tells that there is no such job.
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let why = jobs.why(self.id.parse()?).await?;
        if self.format.json {
            output::print_json("why", json!(why))?;
        } else {
            let lines = why.reasons.iter().map(|reason| format!("{reason}\n"));
            output::print(&lines.collect::<String>())?;
        }
        Ok(if why.state.is_none() {
            Exit::Failure
        } else {
            Exit::Done
        })
    }
}
