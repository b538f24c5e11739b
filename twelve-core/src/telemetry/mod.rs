//! Logs: JSON for machines, readable lines on a terminal, one event stream on one file descriptor.

mod fields;

use std::{
    ffi::OsStr,
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

use self::fields::Fields;
use crate::config::{Environment, Value};

/// The variable that says how a line looks: a [`LogFormat`].
pub const LOG_FORMAT: &str = "TWELVE_LOG_FORMAT";

/// How a line looks; text on a terminal and JSON elsewhere, unless `TWELVE_LOG_FORMAT` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Value for LogFormat {
    const EXPECTED: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json".into()),
        }
    }
}

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
        Logs::Stdout => {
            let format = Format::of(environment, io::stdout().is_terminal());
            subscribe(io::stdout, format, filter)
        }
        Logs::Stderr => {
            let format = Format::of(environment, io::stderr().is_terminal());
            subscribe(io::stderr, format, filter)
        }
        Logs::Test => subscribe(TestWriter::new(), Format::Text { colours: false }, filter),
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

/// How a line looks, colours included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text { colours: bool },
}

impl Format {
    /// `CLICOLOR_FORCE` asks for colours where there is no terminal: a supervisor shows its children's lines on its own.
    fn of(environment: &Environment, terminal: bool) -> Self {
        let wanted = environment.var(LOG_FORMAT).and_then(OsStr::to_str);
        // A wrong value is reported with the other variables.
        match wanted.and_then(|text| LogFormat::parse(text).ok()) {
            Some(LogFormat::Json) => return Self::Json,
            None if !terminal => return Self::Json,
            _ => {}
        }
        let forced = environment
            .var("CLICOLOR_FORCE")
            .is_some_and(|value| value != "0");
        let colours = environment.var("NO_COLOR").is_none() && (terminal || forced);
        Self::Text { colours }
    }
}

fn subscribe<W>(writer: W, format: Format, filter: Targets) -> bool
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry()
        .with(layer(writer, format).with_filter(filter))
        .try_init()
        .is_ok()
}

fn layer<W>(writer: W, format: Format) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer();
    match format {
        Format::Text { colours } => layer
            .with_writer(writer)
            .with_ansi(colours)
            .fmt_fields(Fields)
            .boxed(),
        Format::Json => layer.with_writer(writer).json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn lines_are_text_on_a_terminal_and_json_elsewhere_unless_somebody_says_otherwise() {
        let of = |variables: &[(&str, &str)], terminal| {
            let environment = variables.iter().copied().collect();
            Format::of(&environment, terminal)
        };
        let text = |colours| Format::Text { colours };
        assert_eq!(of(&[], true), text(true));
        assert_eq!(of(&[], false), Format::Json);
        assert_eq!(of(&[("NO_COLOR", "1")], true), text(false));
        assert_eq!(of(&[(LOG_FORMAT, "json")], true), Format::Json);
        assert_eq!(of(&[(LOG_FORMAT, "text")], false), text(false));
        let forced = [(LOG_FORMAT, "text"), ("CLICOLOR_FORCE", "1")];
        assert_eq!(of(&forced, false), text(true));
    }

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_of_text_whatever_it_says() {
        let written = Written::default();
        let writer = written.clone();
        let layer = layer(move || writer.clone(), Format::Text { colours: true });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let said = "no\r\nsuch\ttable\0\u{1b}[2J\u{85}\u{9b}2J";
            let _span = tracing::error_span!("job", kind = %said).entered();
            tracing::error!(error = %said, "panicked: {said}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let escaped = text.matches(r"no\r\nsuch\ttable\u{0}").count();
        assert_eq!(escaped, 3, "{text}");
        assert!(text.contains("\u{1b}["), "it has its colours: {text}");
        assert!(!text.contains("\u{1b}[2J"), "{text}");
        assert!(!text.contains(['\u{85}', '\u{9b}']), "{text}");
    }

    /// As tracing-log adds them, once any crate turns on that feature of tracing-subscriber's.
    #[test]
    fn the_fields_of_a_bridge_from_log_are_left_out() {
        let written = Written::default();
        let writer = written.clone();
        let layer = layer(move || writer.clone(), Format::Text { colours: false });
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(log.target = "hyper", log.line = 7, login = "ada", "said");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with("said login=\"ada\"\n"), "{text}");
    }
}
