//! The thread that receives signals and ends the process in time.
//!
//! It exists before the runtime and depends on nothing that can block: not on the runtime, not on the log.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::{self, pipe},
};
use std::{
    io::{self, ErrorKind, Read},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::Lifecycle;
use crate::Exit;

/// How long the last words may take: a log that nobody reads must not keep the process alive.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Starts the thread. The first SIGTERM or SIGINT begins the shutdown, a second one ends the process at once.
///
/// # Errors
///
/// The operating system refuses a pipe, a signal handler or a thread.
pub(crate) fn watch(lifecycle: Lifecycle) -> io::Result<()> {
    let (reader, writer) = UnixStream::pair()?;
    let received = Arc::new(AtomicUsize::new(0));
    for signal in [SIGTERM, SIGINT] {
        // Actions run in the order of their registration: the number is there when the byte arrives.
        let number = usize::try_from(signal).unwrap_or_default();
        flag::register_usize(signal, Arc::clone(&received), number)?;
        pipe::register(signal, writer.try_clone()?)?;
    }
    thread::Builder::new()
        .name("twelve-signals".into())
        .spawn(move || {
            let mut signals = Signals { reader, received };
            // A failing pipe to ourselves leaves no way to be told to stop: better to end now, and loudly.
            if let Err(error) = run(&lifecycle, &mut signals) {
                last_words(move || tracing::error!(%error, "the signal pipe failed"));
                low_level::exit(Exit::Failure.code());
            }
        })?;
    Ok(())
}

struct Signals {
    reader: UnixStream,
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Waits for a signal, until `deadline` if there is one; `None` when that has come.
    fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Option<usize>> {
        loop {
            let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if timeout == Some(Duration::ZERO) {
                return Ok(None);
            }
            self.reader.set_read_timeout(timeout)?;
            match self.reader.read(&mut [0; 1]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(Some(self.received.load(Ordering::Acquire))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `deadline`; a second signal on the way ends the process.
    fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        match self.wait(Some(deadline))? {
            None => Ok(()),
            Some(signal) => force(signal),
        }
    }
}

/// Drives the states from the first signal to the end of the budget.
fn run(lifecycle: &Lifecycle, signals: &mut Signals) -> io::Result<()> {
    let Some(signal) = signals.wait(None)? else {
        return Ok(());
    };
    let begun = Instant::now();
    let budget = lifecycle.budget();
    lifecycle.begin_announce();
    say(move || {
        tracing::info!(signal = name(signal), budget = ?budget.total, "shutting down");
    });
    signals.wait_until(begun + budget.announce)?;
    lifecycle.begin_drain();
    signals.wait_until(begun + budget.until_overdue())?;
    let unfinished = lifecycle.tracker().running();
    lifecycle.end_drain();
    say(move || {
        for (what, age) in unfinished {
            tracing::warn!(what, ?age, "still running at the end of the drain");
        }
    });
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

/// A second signal: somebody is in a hurry, so not even the log is waited for.
fn force(signal: usize) -> ! {
    low_level::exit(128 + i32::try_from(signal).unwrap_or_default())
}

/// Logs from a thread of its own: standard output may be a pipe that nobody reads, and this thread must go on.
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

fn name(signal: usize) -> &'static str {
    match i32::try_from(signal) {
        Ok(SIGTERM) => "SIGTERM",
        Ok(SIGINT) => "SIGINT",
        _ => "a signal",
    }
}
