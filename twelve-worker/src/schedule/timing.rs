//! When ticks are: a cron expression, read on the clocks of a time zone.
//!
//! Clocks are set forward and back (daylight saving time), so a time of the day can be missing or exist twice:
//!
//! | | times of the day (`30 2 * * *`) | a frequency (`*/10 * * * *`) |
//! |---|---|---|
//! | missing | at the first moment after the gap, once | goes on after the gap; so does `*/10 2 * * *`, which names an hour, at the first moment |
//! | twice | the first time | both times |
//!
//! A frequency is, as for Vixie's cron, what begins with `*` in its seconds, minutes or hours.
//! croner is asked for times of the day only: with a zone it takes `0 2,3 * * *` for a frequency, and gives up on a gap of more than two hours.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::cron::Cron;

/// When the ticks of a schedule are.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
}

impl Timing {
    /// The ticks of this expression in this zone.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, in lower case and without a full stop.
    pub(super) fn new(expression: &str, zone: &str) -> Result<Self, Vec<String>> {
        let known = TimeZone::get(zone)
            .ok()
            .and_then(|known| Some((known.iana_name()?.to_owned(), known)));
        let no_zone =
            || format!("`{zone}` is not a time zone: write its IANA name, such as `Europe/Berlin`");
        match (Cron::parse(expression), known.ok_or_else(no_zone)) {
            (Ok(cron), Ok((zone_name, zone))) => Ok(Self {
                cron,
                zone,
                zone_name,
            }),
            (cron, zone) => Err(cron.err().into_iter().chain(zone.err()).collect()),
        }
    }

    /// The expression.
    pub(super) fn cron(&self) -> &str {
        self.cron.text()
    }

    /// The zone's IANA name.
    pub(super) fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first tick after this moment.
    ///
    /// Between two changes of the offset, local time and UTC advance together, so each such interval is searched on its own.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next();
            let time = self.cron.first(offset.to_datetime(from), inclusive)?;
            let tick = offset.to_timestamp(time).ok()?;
            match change {
                Some(change) if change.timestamp() <= tick => {
                    // The time that was found does not exist, if the clock is set to a later one.
                    let is_missing = time < change.offset().to_datetime(change.timestamp());
                    if is_missing && !self.cron.is_every_hour() {
                        return Some(change.timestamp());
                    }
                    (from, inclusive) = (change.timestamp(), true);
                }
                _ if self.cron.is_frequency() || !self.comes_again(time, offset) => {
                    return Some(tick);
                }
                _ => (from, inclusive) = (tick, false),
            }
        }
    }

    /// Whether this local time existed before, with another offset.
    fn comes_again(&self, time: DateTime, offset: Offset) -> bool {
        let offsets = self.zone.to_ambiguous_timestamp(time).offset();
        matches!(offsets, AmbiguousOffset::Fold { after, .. } if after == offset)
    }

    /// The newest tick of those after `after` and up to `until`.
    ///
    /// By bisection, since after an outage there may be very many; ticks are at whole seconds.
    pub(super) fn newest(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let next = |after| self.next(after).filter(|tick| *tick <= until);
        let mut newest = next(after)?;
        // After this second there is no tick.
        let mut end = until.as_second();
        while newest.as_second() < end {
            let middle = newest.as_second().midpoint(end);
            match Timestamp::from_second(middle).ok().and_then(next) {
                Some(tick) => newest = tick,
                None => end = middle,
            }
        }
        Some(newest)
    }
}

#[cfg(test)]
mod tests;
