//! A cron expression, and the times of the day that it means.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, date};

/// A cron expression, without a time zone.
#[derive(Clone, Debug)]
pub(super) struct Cron {
    pattern: croner::Cron,
    text: String,
    every_hour: bool,
    has_wildcard: bool,
}

impl Cron {
    /// Reads five fields, or six with the seconds first.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let fields: Vec<_> = expression.split_whitespace().collect();
        let (times, days) = match *fields {
            [minute, hour, day, _, weekday] => ([minute, hour].to_vec(), [day, weekday]),
            [second, minute, hour, day, _, weekday] => {
                ([second, minute, hour].to_vec(), [day, weekday])
            }
            _ => {
                return Err(format!(
                    "`{expression}` has {} fields: write five (minute, hour, day, month, weekday), or six with seconds first",
                    fields.len()
                ));
            }
        };
        let text = fields.join(" ");
        let is_empty = |field: &&str| field.split(',').any(str::is_empty);
        if let Some(field) = fields.iter().find(|field| is_empty(field)) {
            // croner skips it, and a field without any element would never match.
            return Err(format!(
                "`{text}` is not a cron expression: `{field}` has an empty element"
            ));
        }
        let pattern = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            // With two restricted days Vixie's cron takes either, but with a `*/2` both: croner knows only the plain `*`.
            .dom_and_dow(days.iter().any(|day| is_wildcard(day)))
            .build()
            .parse(&text)
            .map_err(|error| {
                let error = error.to_string();
                format!(
                    "`{text}` is not a cron expression: {}",
                    error.trim_end_matches('.')
                )
            })?;
        let cron = Self {
            every_hour: times.last().is_some_and(|hour| is_wildcard(hour)),
            has_wildcard: times.iter().any(|field| is_wildcard(field)),
            pattern,
            text,
        };
        match cron.first(date(2000, 1, 1).at(0, 0, 0, 0), true) {
            Some(_) => Ok(cron),
            None => Err(format!("`{}` never fires", cron.text)),
        }
    }

    /// The first time of its kind at or after this one, or only after it.
    pub(super) fn first(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        self.pattern.find_next_occurrence(&from, inclusive).ok()
    }

    /// Does it name no hours: is it meant to go on as real time does?
    pub(super) fn is_every_hour(&self) -> bool {
        self.every_hour
    }

    /// Is it a frequency rather than times of the day: one of its seconds, minutes and hours begins with `*`?
    pub(super) fn is_frequency(&self) -> bool {
        self.has_wildcard
    }

    /// The expression, with single spaces.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// As Vixie's cron has it: `*/10` too.
fn is_wildcard(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first `N` times from the beginning of 2027 on, a Friday.
    fn times<const N: usize>(expression: &str) -> [String; N] {
        let cron = Cron::parse(expression).unwrap();
        let mut from = date(2027, 1, 1).at(0, 0, 0, 0);
        std::array::from_fn(|n| {
            from = cron.first(from, n == 0).unwrap();
            from.strftime("%m-%d %H:%M:%S").to_string()
        })
    }

    #[test]
    fn five_fields_are_minutes_and_six_are_seconds() {
        assert_eq!(times("30 6 * * *"), ["01-01 06:30:00", "01-02 06:30:00"]);
        assert_eq!(
            times("  5,10  * * * * * "),
            ["01-01 00:00:05", "01-01 00:00:10"]
        );
        assert_eq!(
            times("0 9 * jan mon-tue"),
            ["01-04 09:00:00", "01-05 09:00:00"]
        );
        assert_eq!(times("0 0 * * 7"), ["01-03 00:00:00"]);
    }

    #[test]
    fn a_leap_day_comes_in_leap_years() {
        assert_eq!(times("0 0 29 2 *"), ["02-29 00:00:00"]);
        let cron = Cron::parse("0 0 29 2 *").unwrap();
        let next = cron.first(date(2096, 3, 1).at(0, 0, 0, 0), true);
        assert_eq!(next, Some(date(2104, 2, 29).at(0, 0, 0, 0)));
    }

    #[test]
    fn of_two_restricted_days_either_will_do_but_a_wildcard_restricts_none() {
        assert_eq!(
            times("0 0 13 * fri"),
            [
                "01-01 00:00:00",
                "01-08 00:00:00",
                "01-13 00:00:00",
                "01-15 00:00:00"
            ]
        );
        // Odd days that are Mondays.
        assert_eq!(
            times("0 0 */2 * mon"),
            ["01-11 00:00:00", "01-25 00:00:00", "02-01 00:00:00"]
        );
        // A 13th that is a Sunday or a Friday.
        assert_eq!(times("0 0 13 * */5"), ["06-13 00:00:00", "08-13 00:00:00"]);
    }

    #[test]
    fn what_is_no_expression_or_never_fires_is_refused() {
        for (expression, problem) in [
            ("", "0 fields"),
            ("@daily", "1 fields"),
            ("* * * *", "4 fields"),
            ("* * * * * * 2027", "7 fields"),
            ("60 * * * *", "is not a cron expression"),
            ("* 24 * * *", "is not a cron expression"),
            ("0 6 * * mo", "is not a cron expression"),
            ("*/0 * * * *", "is not a cron expression"),
            ("5-1 * * * *", "is not a cron expression"),
            ("é * * * *", "is not a cron expression"),
            ("0 0 30 2 *", "never fires"),
            ("0 0 31 2,4 *", "never fires"),
            (", * * * *", "empty element"),
            ("0 0 1,,3 * *", "empty element"),
        ] {
            let refused = Cron::parse(expression).unwrap_err();
            assert!(refused.contains(problem), "{expression}: {refused}");
            assert!(!refused.ends_with('.'), "{refused}");
        }
    }
}
