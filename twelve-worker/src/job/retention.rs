//! Retention: what is kept of a job that is done.

use std::{fmt, str::FromStr};
use twelve_core::Error;

/// What is kept of a job that is done, for as long as [`Policy::keep_for`](crate::Policy::keep_for) says.
///
/// Jobs that ended in another state are always kept whole: failed ones until somebody acts on them, discarded and cancelled ones as long as done ones.
///
/// ```
/// # use std::time::Duration;
/// use twelve_worker::{Keep, Policy};
///
/// let audited = Policy::new().keep(Keep::Everything).keep_for(Duration::from_hours(7 * 24));
/// let fast = Policy::new().keep("nothing".parse().unwrap());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Keep {
    /// Nothing: the ack removes the job. This is the fastest.
    Nothing,
    /// All but the payload, the tags, the metadata and the results of steps: what it was, how often it was tried, and with what errors.
    #[default]
    Summary,
    /// All of it.
    Everything,
}

impl Keep {
    /// All choices, the least first.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Summary, Self::Everything];

    /// The choice's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Summary => "summary",
            Self::Everything => "everything",
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Keep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::usage(format!(
                "`{text}` is not what can be kept: write one of {names}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_what_it_writes() {
        for keep in Keep::ALL {
            assert_eq!(keep.to_string().parse::<Keep>().unwrap(), keep);
        }
        assert!("some".parse::<Keep>().unwrap_err().is_usage());
    }
}
