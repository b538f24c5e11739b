//! The lines of all processes in one stream, each after the name of its process.
//!
//! A thread of its own writes them: whoever reads may be slow or have stopped, and the supervisor must go on.

use std::{
    io::{IsTerminal, Write, stdout},
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::Duration,
};
use tokio::sync::mpsc;

use twelve_core::{Environment, telemetry::LOG_FORMAT};

/// Colours that are readable on light and dark terminals: cyan, yellow, green, magenta, blue, and their bright ones.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// How many lines wait to be written; then the processes that print wait too, as they would for the terminal itself.
const WAITING: usize = 256;

/// Prints lines; clones share the thread and the width of the column of names.
#[derive(Clone, Debug)]
pub struct Printer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    names: Vec<String>,
    width: usize,
    coloured: bool,
    lines: mpsc::Sender<Written>,
}

/// What the thread is told.
#[derive(Debug)]
enum Written {
    Line(Vec<u8>),
    /// Everything before this is written.
    Mark(std_mpsc::Sender<()>),
}

impl Printer {
    /// For the processes of these names.
    pub fn new(names: Vec<String>, environment: &Environment) -> Self {
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let coloured = stdout().is_terminal() && environment.var("NO_COLOR").is_none();
        let (lines, written) = mpsc::channel(WAITING);
        thread::spawn(move || write(written));
        Self(Arc::new(Inner {
            names,
            width,
            coloured,
            lines,
        }))
    }

    /// The variables of children whose lines are shown on a terminal: text, with colours.
    pub fn colour(&self, environment: Environment) -> Environment {
        if !self.0.coloured || environment.var(LOG_FORMAT).is_some() {
            return environment;
        }
        environment
            .with(LOG_FORMAT, "text")
            .with("CLICOLOR_FORCE", "1")
    }

    /// Prints one line of a process, whole; waits for its turn.
    pub(super) async fn line(&self, name: &str, line: &[u8]) {
        // The thread ends with the process.
        let _ = self
            .0
            .lines
            .send(Written::Line(self.render(name, line)))
            .await;
    }

    /// Says something in the name of a process, or of the supervisor itself; waits for nobody, and is lost when nobody reads.
    pub fn say(&self, name: &str, text: &str) {
        let line = self.render(name, text.as_bytes());
        let _ = self.0.lines.try_send(Written::Line(line));
    }

    /// Waits until everything is written, but no longer than this.
    pub fn finish(&self, limit: Duration) {
        let (mark, reached) = std_mpsc::channel();
        if self.0.lines.try_send(Written::Mark(mark)).is_ok() {
            let _ = reached.recv_timeout(limit);
        }
    }

    fn render(&self, name: &str, line: &[u8]) -> Vec<u8> {
        let Inner {
            names,
            width,
            coloured,
            ..
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

fn write(mut lines: mpsc::Receiver<Written>) {
    while let Some(written) = lines.blocking_recv() {
        // Nobody may be reading any more, and nobody may wait for the mark.
        match written {
            Written::Line(line) => {
                let mut stdout = stdout().lock();
                let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
            }
            Written::Mark(reached) => {
                let _ = reached.send(());
            }
        }
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
