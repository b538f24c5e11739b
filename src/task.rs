//! One-off admin tasks: the same code, config and services as the long-running processes (factor XII).

use clap::{Command, error::ErrorKind};
use std::{ffi::OsString, ops::Deref};

use twelve_core::{Erased, Error, FromContext, ProcessType, Run, UnitOfWork};

/// A task: its name in argv, and its handler.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) handler: Erased<TaskRun>,
}

impl Task {
    /// A process that runs the task with these arguments.
    pub(crate) fn process(&self, arguments: Vec<OsString>) -> ProcessType {
        let name = self.name.clone();
        let run = TaskRun {
            name: name.clone(),
            arguments,
        };
        ProcessType::of(name, self.handler.clone(), run)
    }

    pub(crate) fn new(name: impl Into<String>, handler: Erased<TaskRun>) -> Self {
        Self {
            name: name.into(),
            handler,
        }
    }
}

/// The kind of run of a task: what stood behind `--`.
#[derive(Clone, Debug)]
pub struct TaskRun {
    name: String,
    arguments: Vec<OsString>,
}

impl UnitOfWork for TaskRun {}

/// The arguments of a task, parsed by clap.
///
/// ```
/// use twelve::{Args, clap};
///
/// #[derive(clap::Args)]
/// struct AddCustomer {
///     /// Where receipts go.
///     email: String,
/// }
///
/// async fn add_customer(Args(new): Args<AddCustomer>) {
///     println!("{}", new.email);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Args<T>(pub T);

impl<T> Deref for Args<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: clap::Args + Send + 'static> FromContext<TaskRun> for Args<T> {
    async fn from_context(run: &Run<TaskRun>) -> Result<Self, Error> {
        let TaskRun { name, arguments } = run.kind();
        let words = std::iter::once(OsString::from(name)).chain(arguments.iter().cloned());
        let command = Command::new(name.clone()).bin_name(format!("run {name} --"));
        T::augment_args(command)
            .try_get_matches_from(words)
            .and_then(|matches| T::from_arg_matches(&matches))
            .map(Self)
            .map_err(|error| match error.kind() {
                // Asked for, so no mistake; but there is nothing left to run either.
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
                _ => Error::usage(sentence(&error)),
            })
    }
}

/// clap's words without its own `error: `: ours comes before them already.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.trim_end().to_owned()
}
