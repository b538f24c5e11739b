//! `jobs`: looks at jobs, and acts on them.

mod act;
mod look;
mod pause;
mod selection;

use clap::{Args, Subcommand};
use twelve_core::{Error, Exit};
use twelve_worker::Admin;

use self::{
    act::{Cancel, Discard, Reschedule, Retry},
    look::{List, Show, Why},
    pause::{Pause, Paused, Resume},
};
use crate::cli::{command::Command, invocation::Invocation, output};

/// List jobs, act on them, pause them, and say why one does not run.
#[derive(Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Jobs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    List(List),
    Show(Show),
    Why(Why),
    Retry(Retry),
    Discard(Discard),
    Cancel(Cancel),
    Reschedule(Reschedule),
    Pause(Pause),
    Resume(Resume),
    Paused(Paused),
}

impl Command for Jobs {
    const NAME: &'static str = "jobs";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let context = invocation.context("jobs");
        if let Some(kind) = self.verb.kind() {
            warn_of_an_unknown_kind(invocation, kind);
        }
        invocation.block_on(async {
            let jobs = Admin::of(&context)?;
            let done = match self.verb {
                Verb::List(list) => list.run(&jobs).await,
                Verb::Show(show) => show.run(&jobs).await,
                Verb::Why(why) => why.run(&jobs).await,
                Verb::Retry(retry) => retry.run(&jobs).await,
                Verb::Discard(discard) => discard.run(&jobs).await,
                Verb::Cancel(cancel) => cancel.run(&jobs).await,
                Verb::Reschedule(reschedule) => reschedule.run(&jobs).await,
                Verb::Pause(pause) => pause.run(invocation, &jobs).await,
                Verb::Resume(resume) => resume.run(&jobs).await,
                Verb::Paused(paused) => paused.run(&jobs).await,
            };
            context.close().await;
            done
        })
    }
}

impl Verb {
    /// The kind that it names.
    fn kind(&self) -> Option<&str> {
        match self {
            Self::List(List { filter, .. }) => filter.kind.as_deref(),
            Self::Retry(Retry { selection })
            | Self::Discard(Discard { selection, .. })
            | Self::Cancel(Cancel { selection, .. })
            | Self::Reschedule(Reschedule { selection, .. }) => selection.filter.kind.as_deref(),
            Self::Pause(Pause { pausable, .. }) | Self::Resume(Resume { pausable, .. }) => {
                pausable.kind.as_deref()
            }
            Self::Show(_) | Self::Why(_) | Self::Paused(_) => None,
        }
    }
}

/// It may be a newer release's, or one that is gone; but often it is a slip.
fn warn_of_an_unknown_kind(invocation: &Invocation, kind: &str) {
    let mut known = invocation.app.jobs.iter();
    if known.all(|job| job.kind() != kind && !job.aliases().contains(&kind)) {
        let text = format!("this release has no handler for kind `{kind}`");
        output::warn(&invocation.app.name, &text);
    }
}
