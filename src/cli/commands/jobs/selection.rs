//! Which jobs: by their ids, or by a filter.

use clap::{
    ArgGroup, Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use twelve_core::Error;
use twelve_worker::{Filter, JobId, State};

use crate::cli::output::Format;

// The options that filter. Not a doc comment: clap would print it as the help of every command that has them.
#[derive(Args)]
pub(super) struct FilterArgs {
    /// Only jobs of this kind.
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<String>,
    /// Only jobs on this queue.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Only jobs with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only jobs in this state, or these.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state())]
    state: Vec<State>,
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::name)).try_map(|name| name.parse::<State>())
}

impl FilterArgs {
    pub(super) fn to_filter(&self) -> Filter {
        let mut filter = Filter::new();
        if let Some(kind) = &self.kind {
            filter = filter.kind(kind);
        }
        if let Some(queue) = &self.queue {
            filter = filter.queue(queue);
        }
        if let Some(tag) = &self.tag {
            filter = filter.tag(tag);
        }
        self.state
            .iter()
            .fold(filter, |filter, state| filter.state(*state))
    }
}

// The jobs that a command acts on: by ids, or by a filter that says something, so that nobody acts on all jobs by leaving options out.
#[derive(Args)]
#[command(group = ArgGroup::new("which")
    .args(["ids", "kind", "queue", "tag", "state"])
    .required(true)
    .multiple(true))]
pub(super) struct Selection {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// The jobs' ids.
    #[arg(
        value_name = "ID",
        num_args = 1..,
        conflicts_with_all = ["kind", "queue", "tag", "state"]
    )]
    ids: Vec<String>,
    /// Do it to all jobs that match; without it, they are only counted, and the exit code is 64 if there are any.
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) format: Format,
}

impl Selection {
    pub(super) fn ids(&self) -> Result<Vec<JobId>, Error> {
        self.ids.iter().map(|id| id.parse()).collect()
    }
}
