//! Results on standard output: aligned for people, JSON for machines.

use clap::Args;
use serde_json::{Map, Value};
use std::{
    fmt::Write as _,
    io::{ErrorKind, Write, stderr, stdout},
};

use twelve_core::Error;

/// The version of the JSON documents: it changes when a member is renamed or removed.
const VERSION: u32 = 1;

// How a result is printed. Not a doc comment: clap would print it as the help of every command that has this.
#[derive(Args)]
pub(super) struct Format {
    /// Print JSON for machines.
    #[arg(long)]
    pub(super) json: bool,
}

/// The text without control characters: what a job or an error holds must not steer the terminal.
pub(super) fn plain(text: &str) -> String {
    let plain = |character: char| match character {
        '\n' => character.to_string(),
        character if character.is_control() => character.escape_default().to_string(),
        character => character.to_string(),
    };
    text.chars().map(plain).collect()
}

/// Prints text; a reader that has left, such as `head`, is no error.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = stdout().lock();
    match stdout
        .write_all(plain(text).as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::internal("standard output cannot be written").with_source(error))
        }
        _ => Ok(()),
    }
}

/// Warns people, on standard error.
pub(super) fn warn(app: &str, text: &str) {
    // Nobody may be listening.
    let _ = writeln!(stderr(), "{}", plain(&format!("{app}: {text}")));
}

/// Prints one versioned JSON document.
pub(super) fn print_json(name: &str, value: Value) -> Result<(), Error> {
    let mut document = Map::new();
    document.insert("version".into(), VERSION.into());
    document.insert(name.into(), value);
    print(&format!("{:#}\n", Value::Object(document)))
}

/// Prints rows under a heading, in aligned columns.
pub(super) fn print_table<const N: usize>(
    heading: [&str; N],
    rows: &[[String; N]],
) -> Result<(), Error> {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(heading);
    for row in rows {
        text.push_str(&line(row.each_ref().map(String::as_str)));
    }
    print(&text)
}
