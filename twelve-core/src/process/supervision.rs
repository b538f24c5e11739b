//! Being the child of a supervisor: `myapp start` or `myapp dev`.
//!
//! A supervisor can be killed before it could tell its children to stop.
//! So each child watches it, and drains when it is gone: nothing stays behind.

use rustix::{
    io::Errno,
    process::{Pid, Signal, getpid, getppid, kill_process, test_kill_process},
    stdio::dup2_stdin,
};
use std::{fs::File, io, net::TcpListener, os::fd::AsFd, thread, time::Duration};

use crate::config::Environment;

/// The supervisor's process id, which it gives to its children.
pub const SUPERVISOR: &str = "TWELVE_SUPERVISOR";

/// Tells a child that its listening socket is its standard input, as inetd does.
///
/// The supervisor keeps the socket open, so no connection is refused while one process takes over from another.
/// systemd's `LISTEN_FDS` would need the child's process id in its environment before the child exists.
pub const LISTEN: &str = "TWELVE_LISTEN";

/// The value of [`LISTEN`].
pub const STDIN: &str = "stdin";

/// How often a child looks whether its supervisor is still there.
///
/// Linux could send a signal instead, but when the *thread* that had started the child ends, and macOS cannot.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Is this process the child of a supervisor?
#[must_use]
pub fn is_supervised(environment: &Environment) -> bool {
    supervisor(environment).is_some_and(|supervisor| getppid() == Some(supervisor))
}

/// The listening socket that this process got from its supervisor, if it did.
///
/// # Errors
///
/// Standard input is no such socket.
pub fn inherited_listener(environment: &Environment) -> io::Result<Option<TcpListener>> {
    if environment.var(LISTEN).is_none_or(|from| from != STDIN) || !is_supervised(environment) {
        return Ok(None);
    }
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    // The child processes of this process must not hold the port.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(Some(listener))
}

fn supervisor(environment: &Environment) -> Option<Pid> {
    let text = environment.var(SUPERVISOR)?.to_str()?;
    Pid::from_raw(text.parse().ok()?)
}

/// Has this process drain when its supervisor is gone, as if that had sent SIGTERM.
///
/// # Errors
///
/// The operating system refuses a thread.
pub(crate) fn end_with_supervisor(environment: &Environment) -> io::Result<()> {
    let Some(supervisor) = supervisor(environment) else {
        return Ok(());
    };
    // A child of a supervised process inherits the variable, but its parent is not the supervisor.
    let orphaned = || test_kill_process(supervisor) == Err(Errno::SRCH);
    if getppid() != Some(supervisor) && !orphaned() {
        return Ok(());
    }
    thread::Builder::new()
        .name("twelve-parent".into())
        .spawn(move || {
            while getppid() == Some(supervisor) {
                thread::sleep(LOOK_EVERY);
            }
            // After a SIGTERM of the supervisor this is the second signal, which forces the exit.
            let _ = kill_process(getpid(), Signal::TERM);
        })?;
    Ok(())
}
