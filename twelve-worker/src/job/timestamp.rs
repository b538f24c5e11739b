//! Timestamps in listings.

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, time::SystemTime};
use twelve_core::Error;

/// A moment by the clock of the store, to the microsecond.
///
/// It is written in RFC 3339, in UTC, with six fractional digits unless a precision is given. So all have the same length, and sort as texts too.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use twelve_worker::Timestamp;
///
/// let at: Timestamp = "2030-01-31T06:00:00+01:00".parse()?;
/// assert_eq!(at.to_string(), "2030-01-31T05:00:00.000000Z");
/// assert_eq!(format!("{at:.0}"), "2030-01-31T05:00:00Z");
/// assert!(SystemTime::from(at) > SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365));
/// # Ok::<(), twelve_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(6);
        write!(f, "{:.digits$}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = |text: &str| text.parse::<jiff::Timestamp>();
        match parsed(text) {
            Ok(moment) => Ok(Self(moment)),
            // The parser's own message does not help users.
            Err(_) if parsed(&format!("{text}Z")).is_ok() => Err(Error::usage(format!(
                "`{text}` has no zone: add a zone, such as Z"
            ))),
            Err(_) => Err(Error::usage(format!(
                "`{text}` is not a time such as 2030-01-31T06:00:00Z"
            ))),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        at.0.into()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at)
    }
}

impl From<jiff_sqlx::Timestamp> for Timestamp {
    fn from(at: jiff_sqlx::Timestamp) -> Self {
        Self(at.to_jiff())
    }
}
