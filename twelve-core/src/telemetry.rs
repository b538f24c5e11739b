//! Logs: JSON for machines, readable lines on a terminal, one event stream on one file descriptor.

use std::{
    io::{self, IsTerminal},
    panic,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{self, TestWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::Environment;

/// Where the logs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Logs {
    /// To standard output: a process's logs are its event stream (factor XI).
    Stdout,
    /// To standard error: the standard output of a command is its result.
    Stderr,
    /// To the test's captured output, from the level `warn` on: a failed test shows why a request was answered 500.
    Test,
}

/// Starts logging. `RUST_LOG` filters by target and level, such as `info,my_app=debug`; the default is `info`.
pub fn start(logs: Logs, environment: &Environment) {
    let wanted = environment
        .var("RUST_LOG")
        .map(|text| text.to_string_lossy());
    let parsed = wanted.as_deref().map(str::parse::<Targets>);
    let filter = match &parsed {
        Some(Ok(filter)) => filter.clone(),
        // sqlx has a line for every notice, and in an outage a warning for every connection: ours says it once.
        _ => Targets::new()
            .with_default(match logs {
                Logs::Test => LevelFilter::WARN,
                Logs::Stdout | Logs::Stderr => LevelFilter::INFO,
            })
            .with_target("sqlx", LevelFilter::ERROR),
    };
    let started = match logs {
        Logs::Stdout => subscribe(io::stdout, io::stdout().is_terminal(), filter, environment),
        Logs::Stderr => subscribe(io::stderr, io::stderr().is_terminal(), filter, environment),
        Logs::Test => subscribe(TestWriter::new(), true, filter, environment),
    };
    // An author's own subscriber stays in charge, and a test prints its panics itself.
    if !started || logs == Logs::Test {
        return;
    }
    if let Some(Err(error)) = parsed {
        tracing::warn!(%error, "RUST_LOG is not understood; logging at level info");
    }
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic
            .payload_as_str()
            .unwrap_or("a panic without a message");
        tracing::error!(place, "panicked: {message}");
    }));
}

fn subscribe<W>(writer: W, terminal: bool, filter: Targets, environment: &Environment) -> bool
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if terminal {
        let colours = environment.var("NO_COLOR").is_none();
        layer.with_ansi(colours).with_filter(filter).boxed()
    } else {
        layer.json().flatten_event(true).with_filter(filter).boxed()
    };
    tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_ok()
}
