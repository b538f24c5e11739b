//! Which ticks ran, and how often.

use std::collections::BTreeMap;

use serde_json::Value;

/// How often each tick of one schedule ran, by its second since 1970.
#[derive(Debug, Default)]
pub(super) struct Record(BTreeMap<i64, usize>);

impl Record {
    /// From rows with a `schedule` and a `second`.
    pub(super) fn of(schedule: &str, rows: &[Value]) -> Self {
        let mut record = Self::default();
        for row in rows.iter().filter(|row| row["schedule"] == schedule) {
            let second = row["second"].as_i64().expect("a whole second");
            *record.0.entry(second).or_default() += 1;
        }
        record
    }

    pub(super) fn ticks(&self) -> Vec<i64> {
        self.0.keys().copied().collect()
    }

    pub(super) fn first(&self) -> Option<i64> {
        Some(*self.0.first_key_value()?.0)
    }

    /// Those after this moment.
    pub(super) fn after(&self, second: i64) -> usize {
        self.0.range(second + 1..).count()
    }

    /// What did not run between the first tick and this moment, though it is due every `step` seconds.
    pub(super) fn missing(&self, step: i64, until: i64) -> Vec<i64> {
        let Some(first) = self.first() else {
            return vec![until];
        };
        let step = usize::try_from(step).expect("a step is positive");
        let due = (first..=until).step_by(step);
        due.filter(|tick| !self.0.contains_key(tick)).collect()
    }

    /// What ran more than once.
    pub(super) fn twice(&self) -> Vec<i64> {
        let twice = self.0.iter().filter(|(_, count)| **count > 1);
        twice.map(|(tick, _)| *tick).collect()
    }
}

#[test]
fn a_record_sees_what_is_missing_and_what_ran_twice() {
    let row = |second| serde_json::json!({"schedule": "a", "second": second});
    let rows = [row(60), row(120), row(120), row(240)];
    let record = Record::of("a", &rows);
    assert_eq!(record.missing(60, 359), [180, 300]);
    assert_eq!(record.twice(), [120]);
    assert_eq!(record.after(120), 1);
    assert_eq!(Record::of("b", &rows).missing(60, 60), [60]);
}
