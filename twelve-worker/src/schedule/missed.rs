//! Missed ticks: those that were due while no scheduler ran.

use jiff::{SignedDuration, Timestamp};

use super::timing::Timing;

/// The most ticks to catch up with: they are enqueued in one transaction.
const MAX_CAUGHT_UP: u32 = 1000;

/// How late a tick may be without counting as missed: a scheduler may be starting, or waiting for Postgres.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What happens to ticks that were missed, since no scheduler ran.
///
/// Ticks during a pause, before a schedule was first seen, or before its expression or zone was changed never fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// Missed ticks are skipped: the newest fires only if it has been due for less than 60 s.
    Skip,
    /// Only the newest fires, in place of all.
    #[default]
    Once,
    /// This many of the newest fire, the earliest first: 1 to 1000, which the wiring check enforces.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Which minutes of an hour fire at `now` when the ticks of every ten minutes since `after` are due.
    fn chosen(missed: Missed, after: &str, now: &str) -> Vec<String> {
        let timing = Timing::new("*/10 * * * *", "UTC").unwrap();
        let moment = |time: &str| format!("2027-01-01T{time}Z").parse().unwrap();
        let ticks = missed.choose(&timing, moment(after), moment(now));
        let text = |tick: &Timestamp| tick.strftime("%H:%M").to_string();
        ticks.iter().map(text).collect()
    }

    #[test]
    fn a_policy_chooses_among_the_ticks_that_are_due() {
        for (missed, after, now, expected) in [
            (Missed::Once, "10:00:00", "10:09:59", vec![]),
            (Missed::Once, "10:00:00", "10:10:00", vec!["10:10"]),
            (Missed::Once, "10:00:00", "11:05:00", vec!["11:00"]),
            (Missed::Skip, "10:00:00", "10:10:59", vec!["10:10"]),
            (Missed::Skip, "10:00:00", "10:11:00", vec![]),
            (Missed::Skip, "10:00:00", "11:00:30", vec!["11:00"]),
            (
                Missed::CatchUp(3),
                "10:05:00",
                "10:25:00",
                vec!["10:10", "10:20"],
            ),
            (
                Missed::CatchUp(3),
                "10:00:00",
                "11:05:00",
                vec!["10:40", "10:50", "11:00"],
            ),
        ] {
            assert_eq!(chosen(missed, after, now), expected, "{missed:?} at {now}");
        }
    }

    #[test]
    fn what_cannot_be_caught_up_with_is_refused() {
        assert!(Missed::CatchUp(0).check().is_err());
        assert!(Missed::CatchUp(1001).check().is_err());
        assert_eq!(Missed::CatchUp(1000).check(), Ok(()));
    }
}
