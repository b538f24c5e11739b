//! Ticks in real time zones, by table and by counting every minute.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Cron, Timing};

/// In this zone, the expression's first ticks after the moment that stands before the arrow.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "UTC",
        "0 6 * * *",
        "2027-03-28T06:00+00 > 2027-03-29T06:00+00",
    ),
    (
        "UTC",
        "0 0 29 2 *",
        "2027-01-01T00:00+00 > 2028-02-29T00:00+00 2032-02-29T00:00+00",
    ),
    (
        "UTC",
        "0 0 31 12 *",
        "2027-12-31T00:00+00 > 2028-12-31T00:00+00",
    ),
    (
        "UTC",
        "30 59 23 * * *",
        "2027-01-01T23:59+00 > 2027-01-01T23:59:30+00 2027-01-02T23:59:30+00",
    ),
    (
        "Asia/Kathmandu",
        "0 6 * * *",
        "2027-01-01T00:00+05:45 > 2027-01-01T06:00+05:45 2027-01-02T06:00+05:45",
    ),
    // From two to three.
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-03-27T12:00+01 > 2027-03-28T03:00+02 2027-03-29T02:30+02",
    ),
    (
        "Europe/Berlin",
        "0 2,3 * * *",
        "2027-03-27T12:00+01 > 2027-03-28T03:00+02 2027-03-29T02:00+02",
    ),
    (
        "Europe/Berlin",
        "*/20 2 * * *",
        "2027-03-27T12:00+01 > 2027-03-28T03:00+02 2027-03-29T02:00+02",
    ),
    (
        "Europe/Berlin",
        "*/30 * * * *",
        "2027-03-28T01:15+01 > 2027-03-28T01:30+01 2027-03-28T03:00+02",
    ),
    (
        "Europe/Berlin",
        "17 * * * *",
        "2027-03-28T01:00+01 > 2027-03-28T01:17+01 2027-03-28T03:17+02",
    ),
    (
        "Europe/Berlin",
        "0 */2 * * *",
        "2027-03-28T00:00+01 > 2027-03-28T04:00+02",
    ),
    // From three back to two.
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-10-30T12:00+02 > 2027-10-31T02:30+02 2027-11-01T02:30+01",
    ),
    (
        "Europe/Berlin",
        "0 2,3 * * *",
        "2027-10-30T12:00+02 > 2027-10-31T02:00+02 2027-10-31T03:00+01",
    ),
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-10-31T02:10+01 > 2027-11-01T02:30+01",
    ),
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-10-31T02:30+02 > 2027-11-01T02:30+01",
    ),
    (
        "Europe/Berlin",
        "0 3 * * *",
        "2027-10-30T12:00+02 > 2027-10-31T03:00+01",
    ),
    (
        "Europe/Berlin",
        "0 * * * *",
        "2027-10-31T01:59+02 > 2027-10-31T02:00+02 2027-10-31T02:00+01 2027-10-31T03:00+01",
    ),
    (
        "Europe/Berlin",
        "*/30 * * * *",
        "2027-10-31T02:15+02 > 2027-10-31T02:30+02 2027-10-31T02:00+01 2027-10-31T02:30+01 2027-10-31T03:00+01",
    ),
    (
        "Europe/Berlin",
        "*/30 2 * * *",
        "2027-10-31T00:00+02 > 2027-10-31T02:00+02 2027-10-31T02:30+02 2027-10-31T02:00+01 2027-10-31T02:30+01 2027-11-01T02:00+01",
    ),
    (
        "Europe/Berlin",
        "* * * * * *",
        "2027-10-31T02:59:58+02 > 2027-10-31T02:59:59+02 2027-10-31T02:00+01",
    ),
    (
        "America/New_York",
        "30 2 * * *",
        "2027-03-13T12:00-05 > 2027-03-14T03:00-04 2027-03-15T02:30-04",
    ),
    (
        "America/New_York",
        "30 1 * * *",
        "2027-11-06T12:00-04 > 2027-11-07T01:30-04 2027-11-08T01:30-05",
    ),
    // By half an hour.
    (
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2027-10-02T12:00+10:30 > 2027-10-03T02:30+11 2027-10-04T02:15+11",
    ),
    (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2027-04-03T12:00+11 > 2027-04-04T01:45+11 2027-04-05T01:45+10:30",
    ),
    (
        "Australia/Lord_Howe",
        "*/30 * * * *",
        "2027-04-04T01:15+11 > 2027-04-04T01:30+11 2027-04-04T01:30+10:30 2027-04-04T02:00+10:30",
    ),
    // At midnight.
    (
        "America/Sao_Paulo",
        "0 0 * * *",
        "2018-11-03T12:00-03 > 2018-11-04T01:00-02 2018-11-05T00:00-02",
    ),
    (
        "America/Sao_Paulo",
        "30 23 * * *",
        "2018-02-17T12:00-02 > 2018-02-17T23:30-02 2018-02-18T23:30-03",
    ),
    (
        "America/Sao_Paulo",
        "0 0 * * *",
        "2018-02-17T12:00-02 > 2018-02-18T00:00-03",
    ),
    (
        "Africa/Cairo",
        "0 0 * * fri",
        "2024-04-25T12:00+02 > 2024-04-26T01:00+03 2024-05-03T00:00+03",
    ),
    // A whole day is missing.
    (
        "Pacific/Apia",
        "0 6 * * *",
        "2011-12-29T00:00-10 > 2011-12-29T06:00-10 2011-12-31T00:00+14 2011-12-31T06:00+14",
    ),
    (
        "Pacific/Apia",
        "0 0 30 12 *",
        "2011-12-01T00:00-10 > 2011-12-31T00:00+14 2012-12-30T00:00+14",
    ),
    (
        "Pacific/Apia",
        "0 * * * *",
        "2011-12-29T23:00-10 > 2011-12-31T00:00+14 2011-12-31T01:00+14",
    ),
];

#[test]
fn clocks_that_are_set_lose_no_time_of_the_day_and_repeat_none() {
    for (zone, expression, row) in TABLE {
        let timing = Timing::new(expression, zone).unwrap();
        let (from, expected) = row.split_once(" > ").unwrap();
        let mut at: Timestamp = from.parse().unwrap();
        for expected in expected.split(' ') {
            let expected: Timestamp = expected.parse().unwrap();
            at = timing.next(at).unwrap();
            let at = at.to_zoned(timing.zone.clone());
            assert_eq!(
                at.timestamp(),
                expected,
                "{expression} in {zone}: {row}: {at}"
            );
        }
    }
}

/// The rules once more, in the plainest words: every minute is asked whether it is a tick.
struct Minutes {
    cron: Cron,
    zone: TimeZone,
}

impl Minutes {
    fn names(&self, time: jiff::civil::DateTime) -> bool {
        self.cron.first(time, true) == Some(time)
    }

    fn is_tick(&self, at: Timestamp) -> bool {
        let minute = SignedDuration::from_mins(1);
        let time = self.zone.to_datetime(at);
        let before = self.zone.to_datetime(at - minute);
        let mut missing = std::iter::successors(Some(before + minute), |time| Some(*time + minute))
            .take_while(|missing| *missing < time);
        let has_missed = missing.any(|missing| self.names(missing));
        let is_first = || (1..24 * 60).all(|ago| self.zone.to_datetime(at - minute * ago) != time);
        has_missed && !self.cron.is_every_hour()
            || self.names(time) && (self.cron.is_frequency() || is_first())
    }
}

#[test]
fn every_minute_is_a_tick_or_none_as_the_rules_say() {
    let changes = [
        ("Europe/Berlin", "2027-03-28T01:00Z"),
        ("Europe/Berlin", "2027-10-31T01:00Z"),
        ("Australia/Lord_Howe", "2027-04-03T15:00Z"),
        ("Australia/Lord_Howe", "2027-10-02T15:30Z"),
        ("America/Sao_Paulo", "2018-02-18T02:00Z"),
        ("America/Sao_Paulo", "2018-11-04T03:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00Z"),
    ];
    let expressions = [
        "* * * * *",
        "*/7 * * * *",
        "3-59/7 * * * *",
        "17 * * * *",
        "17 */2 * * *",
        "17 0-4 * * *",
        "*/7 1,2 * * *",
        "0,15,30,45 2 * * *",
        "30 0 * * *",
        "45 1 * * *",
        "0 2 * * *",
        "59 23 * * *",
    ];
    for (zone, change) in changes {
        let change: Timestamp = change.parse().unwrap();
        let from = change - SignedDuration::from_hours(5);
        let until = change + SignedDuration::from_hours(5);
        for expression in expressions {
            let timing = Timing::new(expression, zone).unwrap();
            let minutes = Minutes {
                cron: timing.cron.clone(),
                zone: timing.zone.clone(),
            };
            let expected: Vec<_> = (1..=600)
                .map(|minute| from + SignedDuration::from_mins(minute))
                .filter(|at| minutes.is_tick(*at))
                .collect();
            let ticks = || std::iter::successors(timing.next(from), |tick| timing.next(*tick));
            let found: Vec<_> = ticks().take_while(|tick| *tick <= until).collect();
            assert_eq!(found, expected, "{expression} in {zone}");
            assert_eq!(timing.newest(from, until), found.last().copied());
        }
    }
}

#[test]
fn the_newest_of_very_many_ticks_is_found_at_once() {
    let timing = Timing::new("* * * * * *", "UTC").unwrap();
    let (after, until) = ("2000-01-01T00:00Z", "2027-01-01T00:00:00.5Z");
    let [after, until] = [after, until].map(|at| at.parse::<Timestamp>().unwrap());
    assert_eq!(
        timing.newest(after, until).unwrap().as_second(),
        until.as_second()
    );
    assert_eq!(timing.newest(until, until), None);
    let leap = Timing::new("0 0 29 2 *", "UTC").unwrap();
    let newest = leap.newest(after, until).unwrap();
    assert_eq!(newest, "2024-02-29T00:00Z".parse().unwrap());
}

#[test]
fn a_zone_that_nobody_knows_is_refused_with_the_expression() {
    assert_eq!(
        Timing::new("0 6 * * *", "europe/berlin").unwrap().zone(),
        "Europe/Berlin"
    );
    for zone in ["", "Mars/Base", "CET-1CEST", "+01:00", "Etc/Unknown"] {
        let faults = Timing::new("0 25 * * *", zone).unwrap_err();
        assert!(faults[1].contains("is not a time zone"), "{faults:?}");
    }
}
