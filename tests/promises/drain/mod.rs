//! SIGTERM loses nothing and outlives no budget (item 4; `web-lifecycle.md`
//! section 2).
//!
//! The budgets here are small, so that a whole shutdown fits into a test; that
//! they are what the process keeps to is part of what is tested.

mod budget;
mod connections;
mod load;
mod signals;
mod worker;

use std::time::Duration;

/// Announce one second, finish by six: enough for what has to finish on a
/// busy machine.
const ROOMY: [(&str, &str); 2] = [("TWELVE_SHUTDOWN_TIMEOUT", "6s"), ("TWELVE_ANNOUNCE", "1s")];

/// What `ROOMY` allows, and what leaving takes on top.
const ROOMY_BOUND: Duration = Duration::from_millis(6_500);

/// No announcement and two seconds in all, for processes that cannot finish.
const TIGHT: [(&str, &str); 2] = [("TWELVE_SHUTDOWN_TIMEOUT", "2s"), ("TWELVE_ANNOUNCE", "0s")];

/// What `TIGHT` allows, and what leaving takes on top.
const TIGHT_BOUND: Duration = Duration::from_millis(2_500);
