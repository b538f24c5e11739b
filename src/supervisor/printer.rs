//! The lines of all processes in one stream, each after the name of its process.

use std::{
    io::{IsTerminal, Write, stdout},
    sync::Arc,
};

use twelve_core::{Environment, telemetry::LOG_FORMAT};

/// Colours that are readable on light and dark terminals: cyan, yellow, green, magenta, blue, and their bright ones.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Prints lines; clones share the width of the column of names.
#[derive(Clone, Debug)]
pub(crate) struct Printer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    names: Vec<String>,
    width: usize,
    coloured: bool,
}

impl Printer {
    /// For the processes of these names.
    pub(crate) fn new(names: Vec<String>, environment: &Environment) -> Self {
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let coloured = stdout().is_terminal() && environment.var("NO_COLOR").is_none();
        Self(Arc::new(Inner {
            names,
            width,
            coloured,
        }))
    }

    /// The variables of children whose lines are shown on a terminal: text, with colours.
    pub(crate) fn colour(&self, environment: Environment) -> Environment {
        if !self.0.coloured || environment.var(LOG_FORMAT).is_some() {
            return environment;
        }
        environment
            .with(LOG_FORMAT, "text")
            .with("CLICOLOR_FORCE", "1")
    }

    /// Prints one line of a process, whole.
    pub(crate) fn line(&self, name: &str, line: &[u8]) {
        let text = self.render(name, line);
        let mut stdout = stdout().lock();
        // Nobody may be reading any more; the processes go on all the same.
        let _ = stdout.write_all(&text).and_then(|()| stdout.flush());
    }

    fn render(&self, name: &str, line: &[u8]) -> Vec<u8> {
        let Inner {
            names,
            width,
            coloured,
        } = &*self.0;
        let colour = names.iter().position(|known| known == name);
        let colour = colour.and_then(|index| COLOURS.get(index % COLOURS.len()));
        let mut text = match colour.filter(|_| *coloured) {
            Some(colour) => format!("\x1b[{colour}m{name:width$} |\x1b[0m "),
            None => format!("{name:width$} | "),
        }
        .into_bytes();
        text.extend_from_slice(line);
        if *coloured {
            // A line that was cut off inside a colour must not paint the rest of the terminal.
            text.extend_from_slice(b"\x1b[0m");
        }
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned_and_lines_are_left_as_they_are() {
        let names = vec!["web.1".into(), "scheduler.1".into()];
        let printer = Printer::new(names, &Environment::default().with("NO_COLOR", "1"));
        let line = printer.render("web.1", b"\xff raw");
        assert_eq!(line, b"web.1       | \xff raw\n");
        assert_eq!(printer.render("scheduler.1", b""), b"scheduler.1 | \n");
    }
}
