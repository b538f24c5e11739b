//! `export procfile`: one line for each process type, so the Procfile cannot disagree with the binary.

use std::env;
use twelve_core::{Error, Exit, ProcessType};

use crate::cli::{Cli, output};

pub(in crate::cli) fn run(cli: &Cli) -> Result<Exit, Error> {
    // The file names the binary as it is called here; the app's name may be another.
    let binary = env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .unwrap_or_else(|| cli.app.name.clone());
    let types = cli.processes.iter().map(ProcessType::name);
    let lines = types
        .chain(["release"])
        .map(|name| format!("{name}: {binary} {name}\n"));
    output::print(&lines.collect::<String>())?;
    Ok(Exit::Done)
}
