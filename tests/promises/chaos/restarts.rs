//! SIGTERM, as a deploy sends it.

use std::fmt;
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::ledger::Ledger;
use super::storm::{Way, until_at_work};
use crate::harness::process::at_a_moment;

/// An errand takes far less: no unfinished job has to be released.
const EXIT_BOUND: Duration = Duration::from_secs(10);

/// For what the restarts left; on a machine that does other work besides, that is a third of all.
const DONE_BOUND: Duration = Duration::from_mins(3);

/// What was seen.
pub(crate) struct Figures {
    errands: usize,
    restarts: usize,
    took: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} errands in {:.1?}, each started once, with {} workers restarted",
            self.errands, self.took, self.restarts
        )
    }
}

/// Restarts one worker after the other while errands run, and checks that no attempt was spent and nothing ran twice.
pub(crate) async fn restart_workers(
    way: Way,
    count: usize,
    average_ms: u64,
    restarts: usize,
    pause: Duration,
) -> Figures {
    let began = Instant::now();
    let errands = way.errands(count, average_ms).await;
    let mut crew = Crew::start(&errands);
    until_at_work(&errands).await;
    for _ in 0..restarts {
        at_a_moment(pause).await;
        assert_eq!(crew.restart(EXIT_BOUND).await, Some(0));
    }
    // Else the last restarts met idle workers.
    let marked = errands.marked().await.expect("Postgres is there");
    assert!(marked < count, "all errands were done too early");
    errands.until_done(count, DONE_BOUND).await;

    let ledger = Ledger::of(&errands.database).await;
    ledger.expect_one_mark_each(count);
    ledger.expect_one_start_each();
    Figures {
        errands: count,
        restarts,
        took: began.elapsed(),
    }
}
