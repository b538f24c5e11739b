//! The thread that receives signals and ends the process in time.
//!
//! It exists before the runtime and depends on nothing that can block: not on the runtime, not on the log.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
    low_level,
};
use std::{
    io::{self, ErrorKind, Read},
    os::unix::net::UnixStream,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::Lifecycle;
use crate::error::Exit;

/// How long the last log line may take: a full pipe must not keep the process alive.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How long after the first signal others mean the same.
///
/// `timeout` signals the process and then its group, and a wrapper forwards a signal that the terminal has sent to the whole group.
/// These come within microseconds and ask for no forced exit, which would lose the work that runs.
/// An operator who sends a second signal takes longer.
const TOGETHER: Duration = Duration::from_millis(5);

/// Starts the thread. The first SIGTERM or SIGINT begins the shutdown, a second one ends the process at once, unless it came together with the first.
///
/// # Errors
///
/// The operating system refuses a pipe, a signal handler or a thread.
pub(crate) fn watch(lifecycle: Lifecycle) -> io::Result<()> {
    let (read, write) = UnixStream::pair()?;
    let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, [SIGTERM, SIGINT])?;
    let mut signals = Signals {
        delivery,
        deaf_until: Instant::now(),
    };
    thread::Builder::new()
        .name("twelve-signals".into())
        .spawn(move || {
            // A failing pipe to ourselves leaves no way to be told to stop: better to end now, and loudly.
            if let Err(error) = run(&lifecycle, &mut signals) {
                last_words(move || tracing::error!(%error, "the signal pipe failed"));
                low_level::exit(Exit::Failure.code());
            }
        })?;
    Ok(())
}

/// The signals of this process; each also writes a byte into the pipe.
///
/// signal-hook's own iterators wait without a limit, so the wait is ours.
struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// Until then a second signal is none.
    deaf_until: Instant,
}

impl Signals {
    /// Waits for a signal, until `deadline` if there is one; `None` when that has come.
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<i32>> {
        loop {
            if let Some(signal) = self.delivery.pending().next() {
                return Ok(Some(signal));
            }
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if timeout == Some(Duration::ZERO) {
                return Ok(None);
            }
            let pipe = self.delivery.get_read_mut();
            pipe.set_read_timeout(timeout)?;
            match pipe.read(&mut [0; 1]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Waits until `deadline`; a second signal on the way ends the process.
    fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        while let Some(signal) = self.wait(Some(deadline))? {
            if Instant::now() >= self.deaf_until {
                // A forced exit does not wait for the log either.
                low_level::exit(128 + signal);
            }
        }
        Ok(())
    }
}

/// Drives the states from the first signal to the end of the budget.
fn run(lifecycle: &Lifecycle, signals: &mut Signals) -> io::Result<()> {
    let Some(signal) = signals.wait(None)? else {
        return Ok(());
    };
    let begun = Instant::now();
    signals.deaf_until = begun + TOGETHER;
    let budget = lifecycle.budget();
    lifecycle.begin_announce();
    say(move || {
        tracing::info!(signal = name(signal), budget = ?budget.total, "shutting down");
    });
    signals.wait_until(begun + budget.announce)?;
    lifecycle.begin_drain();
    signals.wait_until(begun + budget.until_overdue())?;
    let unfinished = lifecycle.tracker().running();
    // Before the end, for the process may be gone right after it.
    last_words(move || {
        for (what, age) in unfinished {
            tracing::warn!(what, ?age, "still running at the end of the drain");
        }
    });
    lifecycle.end_drain();
    signals.wait_until(begun + budget.total)?;
    let unfinished = lifecycle.tracker().running();
    last_words(move || {
        for (what, age) in unfinished {
            tracing::error!(what, ?age, "cut off: the shutdown budget is spent");
        }
        tracing::error!(budget = ?budget.total, "exiting: the shutdown budget is spent");
    });
    low_level::exit(Exit::Overdue.code())
}

/// Logs from a separate thread: standard output may be a full pipe, and this thread must go on.
fn say(log: impl FnOnce() + Send + 'static) {
    // Without a thread to spare the line is lost, never the deadline.
    let _ = thread::Builder::new().spawn(log);
}

/// Logs, but waits no longer than [`LAST_WORDS`] for it.
fn last_words(log: impl FnOnce() + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    say(move || {
        log();
        let _ = done.send(());
    });
    let _ = waiting.recv_timeout(LAST_WORDS);
}

fn name(signal: i32) -> &'static str {
    if signal == SIGTERM {
        "SIGTERM"
    } else {
        "SIGINT"
    }
}
