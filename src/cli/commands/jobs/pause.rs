//! Pausing queues and kinds: `pause`, `resume`, `paused`.

use clap::Args;
use serde_json::json;
use twelve_core::{Error, Exit};
use twelve_worker::{Admin, Pausable};

use crate::cli::{
    invocation::Invocation,
    output::{self, Format},
};

/// Start no more jobs of a queue or a kind, on any host.
#[derive(Args)]
pub(super) struct Pause {
    #[command(flatten)]
    pub(super) pausable: PausableArgs,
    #[command(flatten)]
    format: Format,
}

/// Start jobs of a queue or a kind again.
#[derive(Args)]
pub(super) struct Resume {
    #[command(flatten)]
    pub(super) pausable: PausableArgs,
    #[command(flatten)]
    format: Format,
}

/// List what is paused.
#[derive(Args)]
pub(super) struct Paused {
    #[command(flatten)]
    format: Format,
}

// One of the two. Not a doc comment: clap would print it as the help of both commands.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct PausableArgs {
    /// This queue.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// This kind, on whatever queue.
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<String>,
}

impl Pause {
    pub(super) async fn run(self, invocation: &Invocation, jobs: &Admin) -> Result<Exit, Error> {
        let what = self.pausable.into_pausable();
        let is_news = jobs.pause(&what).await?;
        if let Pausable::Queue(queue) = &what {
            warn_of_an_unknown_queue(invocation, jobs, queue).await?;
        }
        let text = if is_news {
            "paused"
        } else {
            "was paused already"
        };
        tell(&self.format, &what, true, text)
    }
}

impl Resume {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let what = self.pausable.into_pausable();
        let is_news = jobs.resume(&what).await?;
        let text = if is_news { "goes on" } else { "was not paused" };
        tell(&self.format, &what, false, text)
    }
}

impl Paused {
    pub(super) async fn run(self, jobs: &Admin) -> Result<Exit, Error> {
        let paused = jobs.paused().await?;
        if self.format.json {
            output::print_json("paused", json!(paused))?;
        } else {
            let row = |it: &twelve_worker::Paused| {
                let (what, name) = (it.what.what(), it.what.name());
                [what.to_owned(), name.to_owned(), it.since.to_string()]
            };
            let rows: Vec<_> = paused.iter().map(row).collect();
            output::print_table(["WHAT", "NAME", "SINCE"], &rows)?;
        }
        Ok(Exit::Done)
    }
}

impl PausableArgs {
    fn into_pausable(self) -> Pausable {
        match self.queue {
            Some(queue) => Pausable::Queue(queue),
            // clap demands one of the two.
            None => Pausable::Kind(self.kind.unwrap_or_default()),
        }
    }
}

/// Jobs may come to it yet; but often it is a slip.
async fn warn_of_an_unknown_queue(
    invocation: &Invocation,
    jobs: &Admin,
    queue: &str,
) -> Result<(), Error> {
    let mut known = invocation.app.jobs.iter();
    if known.all(|job| job.policy().queue_name() != queue) && !jobs.has_queue(queue).await? {
        let text = format!(
            "no job was ever enqueued on queue `{queue}`, and this release has no kind on it"
        );
        output::warn(&invocation.app.name, &text);
    }
    Ok(())
}

fn tell(format: &Format, what: &Pausable, is_paused: bool, text: &str) -> Result<Exit, Error> {
    if format.json {
        let result = json!({what.what(): what.name(), "paused": is_paused});
        output::print_json("pause", result)?;
    } else {
        output::print(&format!("{what}  {text}\n"))?;
    }
    Ok(Exit::Done)
}
