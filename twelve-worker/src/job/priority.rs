//! Which of two waiting jobs runs first.

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};
use twelve_core::Error;

/// How urgent a job is among the waiting jobs of its queue.
///
/// It is said for a kind, by `#[job(priority = "high")]` or [`Policy::priority`](crate::Policy::priority), and for one job by [`Job::priority`](crate::Job::priority).
/// Jobs of low priority do not starve: one claim in eight takes the oldest jobs first.
///
/// ```
/// use twelve_worker::Priority;
///
/// assert_eq!("high".parse::<Priority>().unwrap(), Priority::High);
/// assert_eq!(Priority::default().to_string(), "normal");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Priority {
    /// Before the others.
    High,
    /// As most jobs.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The priority's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The number that stores write, the lowest for the most urgent. It never changes.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// The priority of a number. An unknown number, of a newer release, is [`Normal`](Self::Normal).
    #[must_use]
    pub const fn of_number(number: i16) -> Self {
        match number {
            1 => Self::High,
            3 => Self::Low,
            _ => Self::Normal,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Priority {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::usage(format!("`{text}` is not a priority: write one of {names}"))
        })
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_reads_what_it_writes() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().parse::<Priority>().unwrap(), priority);
            assert_eq!(Priority::of_number(priority.number()), priority);
        }
        assert!("urgent".parse::<Priority>().unwrap_err().is_usage());
        assert_eq!(Priority::of_number(9), Priority::Normal);
    }

    #[test]
    fn the_numbers_in_the_stores_never_change() {
        assert_eq!(Priority::ALL.map(Priority::number), [1, 2, 3]);
    }
}
