//! `Tick`: the instant for which a schedule's handler runs.

use jiff::Timestamp;
use serde::Deserialize;
use std::{fmt, sync::Arc, time::SystemTime};

/// The instant for which the handler of a schedule runs: that of the tick, however late the job is.
///
/// It is the same in every attempt, so what is computed from it is too.
/// Its text is in RFC 3339, in UTC: `2026-11-21T06:00:00Z`.
///
/// ```
/// # use twelve_worker::{Schedule, Tick};
/// async fn daily_sales(tick: Tick) {
///     println!("the sales of the day before {tick}");
/// }
/// # let mut registry = twelve_worker::Registry::default();
/// registry.schedule(Schedule::cron("daily-sales", "0 6 * * *"), daily_sales);
/// # assert!(registry.faults().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    schedule: Arc<str>,
    at: Timestamp,
}

impl Tick {
    /// The tick that is the payload of a schedule's job.
    pub(crate) fn read(schedule: Arc<str>, payload: &str) -> Result<Self, serde_json::Error> {
        let Payload { at } = serde_json::from_str(payload)?;
        let at = at.parse().map_err(serde::de::Error::custom)?;
        Ok(Self { schedule, at })
    }

    /// The instant: a whole second; of a schedule that was run by hand, the moment of that.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at.into()
    }

    /// The instant, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.at.as_second()
    }

    /// The schedule's name.
    #[must_use]
    pub fn schedule(&self) -> &str {
        &self.schedule
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

/// The payload of a schedule's job.
#[derive(Deserialize)]
struct Payload {
    at: String,
}

/// What [`Tick::read`] reads.
pub(super) fn payload(at: Timestamp) -> String {
    // A time in RFC 3339 has nothing that JSON escapes.
    format!(r#"{{"at":"{at}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_reads_what_a_payload_says() {
        let at: Timestamp = "2026-11-21T06:00:00.123456Z".parse().unwrap();
        let tick = Tick::read("daily".into(), &payload(at)).unwrap();
        assert_eq!(tick.to_string(), "2026-11-21T06:00:00.123456Z");
        assert_eq!(tick.at(), SystemTime::from(at));
        assert_eq!(
            (tick.unix_seconds(), tick.schedule()),
            (1_795_240_800, "daily")
        );
        for wrong in ["{}", r#"{"at":"yesterday"}"#, "[]"] {
            assert!(Tick::read("daily".into(), wrong).is_err(), "{wrong}");
        }
    }
}
