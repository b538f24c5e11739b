//! Starts a process that outlives its starter.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::account::Account;
use super::error::Error;
use super::lifeline::Locked;

/// Lets the process go to init, so that it never becomes a zombie of a test that forgot about it.
///
/// A shell without job control gives background commands an empty standard input, so the lifeline takes the way over descriptor 3.
const DETACH: &str = r#"umask 077; exec 3<&0; "$@" <&3 3<&- &"#;

/// Starts `program`, which holds `lifeline` as its standard input and writes to `log`.
///
/// It gets a process group of its own, away from Ctrl-C at the terminal, and none of the caller's streams, or a test runner would wait for them to close.
/// Whether it lives, and whether it started at all, is told by the lifeline alone.
pub(super) fn launch(
    program: &Path,
    arguments: &[OsString],
    home: &Path,
    account: Option<&Account>,
    lifeline: &Locked,
    log: Option<File>,
) -> Result<(), Error> {
    let io_error = |source| Error::io("start", program, source);
    let (out, err) = match log {
        Some(log) => (Stdio::from(log.try_clone().map_err(io_error)?), log.into()),
        None => (Stdio::null(), Stdio::null()),
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", DETACH, "twelve"])
        .arg(program)
        .args(arguments)
        .current_dir(home)
        .stdin(lifeline.share()?)
        .stdout(out)
        .stderr(err)
        .process_group(0);
    clear_environment(&mut command);
    if let Some(account) = account {
        account.take_over(&mut command);
    }
    command.status().map_err(io_error)?;
    Ok(())
}

/// Clears the environment but for PATH: PG* and LC_* variables of the caller change what servers do.
pub(super) fn clear_environment(command: &mut Command) {
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    command
        .env_clear()
        .env("PATH", path)
        // On macOS, Postgres does not start without one that it knows.
        .env("LC_ALL", "C");
}
