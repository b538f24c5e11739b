//! `export procfile`: one line for each process type, so the Procfile cannot disagree with the binary.

use clap::{Args, Subcommand};
use std::env;
use twelve_core::{Error, Exit, ProcessType};

use crate::cli::{command::Command, invocation::Invocation, output};

/// Print deployment files: export procfile.
#[derive(Args)]
#[command(arg_required_else_help = false)]
pub(super) struct Export {
    #[command(subcommand)]
    file: File,
}

#[derive(Subcommand)]
enum File {
    /// One line for each process type.
    Procfile,
}

impl Command for Export {
    const NAME: &'static str = "export";

    fn run(self, invocation: &Invocation) -> Result<Exit, Error> {
        let text = match self.file {
            File::Procfile => procfile(invocation),
        };
        output::print(&text)?;
        Ok(Exit::Done)
    }
}

fn procfile(invocation: &Invocation) -> String {
    // The file names the binary as it is called here; the app's name may be another.
    let binary = env::current_exe()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .unwrap_or_else(|| invocation.app.name.clone());
    let types = invocation.process_types.iter().map(ProcessType::name);
    let lines: Vec<_> = types
        .chain(["release"])
        .map(|name| format!("{name}: {binary} {name}\n"))
        .collect();
    lines.concat()
}
