//! In a worker process: which jobs were started, when, and how often.
//!
//! The bench learns it over the worker's standard output, in lines that begin with [`MARK`].

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use std::{
    env,
    io::{Read, Write, stdin, stdout},
    process::exit,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What a line for the bench begins with; every other line is the worker's own log.
pub const MARK: &str = "bench: ";

/// How many ids there can be, and how many are awaited: variables of the worker.
pub const IDS: &str = "BENCH_IDS";
pub const AWAITED: &str = "BENCH_AWAITED";

/// With no more ids than this, every start is reported with its time.
const REPORTED: usize = 20_000;

static SEEN: OnceLock<Seen> = OnceLock::new();

struct Seen {
    /// The time of each job's first start; 0 before.
    starts: Vec<AtomicU64>,
    awaited: u64,
    started: AtomicU64,
    doubles: AtomicU64,
}

/// Nanoseconds of a clock that all processes of this machine share, and nobody sets.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Begins to count, and ends the process when the bench closes its standard input.
pub fn watch() -> Result<()> {
    let number = |name| -> Result<u64> {
        let text = env::var(name).with_context(|| format!("{name} is not set"))?;
        Ok(text.parse()?)
    };
    let ids = usize::try_from(number(IDS)?)?;
    let _ = SEEN.set(Seen {
        starts: (0..ids).map(|_| AtomicU64::new(0)).collect(),
        awaited: number(AWAITED)?,
        started: AtomicU64::new(0),
        doubles: AtomicU64::new(0),
    });
    thread::spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        report();
        exit(0);
    });
    Ok(())
}

/// Called by every handler, first of all.
pub fn start(id: u64) {
    let Some(seen) = SEEN.get() else { return };
    let slot = usize::try_from(id).ok().and_then(|id| seen.starts.get(id));
    let at = now();
    let first = slot.is_some_and(|slot| {
        slot.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    });
    if !first {
        // An id that nobody enqueued is as wrong as one that runs twice.
        seen.doubles.fetch_add(1, Ordering::Relaxed);
    } else if seen.started.fetch_add(1, Ordering::Relaxed) + 1 == seen.awaited {
        say(&format!("complete {at}"));
    }
}

/// For the raw worker, whose clock starts with its first statement.
pub fn say_first_statement() {
    say(&format!("first {}", now()));
}

fn say(line: &str) {
    let mut out = stdout().lock();
    // When nobody reads it, the bench is gone, and so is this process soon.
    let _ = writeln!(out, "{MARK}{line}").and_then(|()| out.flush());
}

fn report() {
    let Some(seen) = SEEN.get() else { return };
    let mut lines = Vec::new();
    if seen.starts.len() <= REPORTED {
        for (id, start) in seen.starts.iter().enumerate() {
            lines.push(format!(
                "{MARK}start {id} {}\n",
                start.load(Ordering::Relaxed)
            ));
        }
    }
    let started = seen.started.load(Ordering::Relaxed);
    let doubles = seen.doubles.load(Ordering::Relaxed);
    lines.push(format!("{MARK}end {started} {doubles}\n"));
    let _ = stdout().lock().write_all(lines.concat().as_bytes());
}
