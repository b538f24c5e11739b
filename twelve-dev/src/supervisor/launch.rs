//! How a child is started: the same binary, with the argv that it has in production.

use std::{
    io,
    net::TcpListener,
    os::fd::OwnedFd,
    path::PathBuf,
    process::{self, Stdio},
    time::Duration,
};
use tokio::process::Command;

use super::{formation::ProcessSlot, printer::Printer};
use twelve_core::{
    Environment,
    supervision::{LISTEN, STDIN, SUPERVISOR},
};

/// What all children of a supervisor share.
#[derive(Debug)]
pub struct Launch {
    /// The app's name.
    pub app: String,
    /// The binary: it is looked up at each start, so a new build is used by the next one.
    pub binary: PathBuf,
    /// The variables of every child.
    pub environment: Environment,
    /// How long a child may take from SIGTERM to its end.
    pub budget: Duration,
    /// Where their lines go.
    pub printer: Printer,
}

impl Launch {
    /// Starts the process of a slot, which inherits the listener as its standard input.
    pub(super) fn process(
        &self,
        slot: &ProcessSlot,
        listener: Option<&TcpListener>,
    ) -> io::Result<Command> {
        let mut command = self.command(&slot.process_type);
        command.env("PORT", slot.port.to_string());
        command.env("PS", &slot.name);
        if let Some(listener) = listener {
            command.env(LISTEN, STDIN);
            command.stdin(OwnedFd::from(listener.try_clone()?));
        }
        Ok(command)
    }

    /// Starts `release`.
    pub(super) fn release(&self) -> Command {
        self.command("release")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(name)
            .env_clear()
            .envs(self.environment.iter())
            .env(SUPERVISOR, process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C goes to the supervisor alone, which then tells each child once.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}
