//! What becomes of ticks that no scheduler was there for.

use jiff::{SignedDuration, Timestamp};

use super::timing::Timing;

/// The most ticks that can be caught up with: they are enqueued in one transaction.
const MAX_CAUGHT_UP: u32 = 1000;

/// How late a tick may be and still not count as missed: a scheduler may be starting, or waiting for Postgres.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What becomes of ticks that are due together because no scheduler was there in time.
///
/// Ticks during a pause, before a schedule was first seen, or before its expression or zone was changed are never made up for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// They are skipped: only the newest fires, and only when it has been due for less than 60 s.
    Skip,
    /// The newest fires, for all of them.
    #[default]
    Once,
    /// So many of the newest fire, in their order: 1 to 1000, as the boot checks.
    CatchUp(u32),
}

impl Missed {
    /// Which ticks after `after` fire at the moment `now`, in their order.
    pub(super) fn choose(
        self,
        timing: &Timing,
        after: Timestamp,
        now: Timestamp,
    ) -> Vec<Timestamp> {
        let most = match self {
            Self::Skip | Self::Once => 1,
            Self::CatchUp(most) => most as usize,
        };
        let before = |tick: &Timestamp| {
            let second_before = tick.checked_sub(SignedDuration::from_secs(1)).ok()?;
            timing.newest(after, second_before)
        };
        let newest = timing
            .newest(after, now)
            .filter(|tick| self != Self::Skip || now.duration_since(*tick) < GRACE);
        let mut chosen: Vec<_> = std::iter::successors(newest, before).take(most).collect();
        chosen.reverse();
        chosen
    }

    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(super) fn check(self) -> Result<(), String> {
        match self {
            Self::CatchUp(most) if !(1..=MAX_CAUGHT_UP).contains(&most) => Err(format!(
                "`CatchUp` takes a number from 1 to {MAX_CAUGHT_UP}"
            )),
            _ => Ok(()),
        }
    }
}
