//! What was started and what was done, and what must hold of it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use crate::harness::database::Database;

/// What a dead worker's jobs may wait.
pub(super) const PATIENCE_S: f64 = 30.0;

const STARTS: &str =
    "(SELECT number, attempt, pid, extract(epoch FROM at)::float8 AS at FROM starts ORDER BY at)";

/// A worker died, or stood still for as long as a dead one is waited for.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) at: f64,
    /// The errands that it had claimed.
    pub(super) held: Vec<i32>,
}

/// From when to when Postgres was away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) began: f64,
    pub(super) ended: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Start {
    at: f64,
    attempt: i64,
}

/// All starts of each errand in their order, and how many marks it left.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    starts: BTreeMap<i32, Vec<Start>>,
    marks: BTreeMap<i32, usize>,
}

impl Ledger {
    pub(super) async fn of(database: &Database) -> Self {
        let mut ledger = Self::default();
        for row in database.rows(STARTS).await {
            let start = Start {
                at: row["at"].as_f64().expect("a time"),
                attempt: row["attempt"].as_i64().expect("a number"),
            };
            ledger.starts.entry(number(&row)).or_default().push(start);
        }
        for row in database.rows("marks").await {
            *ledger.marks.entry(number(&row)).or_default() += 1;
        }
        ledger
    }

    /// How many starts there were in all.
    pub(super) fn starts(&self) -> usize {
        self.starts.values().map(Vec::len).sum()
    }

    /// Checks that each errand from 1 to `count` left one mark.
    pub(super) fn expect_one_mark_each(&self, count: usize) {
        let errands = 1..=i32::try_from(count).expect("a count of errands");
        let marks = |errand| self.marks.get(&errand).copied().unwrap_or(0);
        let wrong: Vec<_> = errands
            .map(|errand| (errand, marks(errand)))
            .filter(|(_, marks)| *marks != 1)
            .collect();
        assert_eq!(
            wrong,
            [],
            "errands that were not done once, with their marks"
        );
        assert_eq!(
            self.marks.len(),
            count,
            "marks of errands that do not exist"
        );
    }

    /// Checks that no errand was started twice, and none at a second attempt.
    pub(super) fn expect_one_start_each(&self) {
        let first_only = |starts: &[Start]| matches!(starts, [one] if one.attempt == 1);
        let wrong: Vec<_> = self
            .starts
            .iter()
            .filter(|(_, starts)| !first_only(starts))
            .collect();
        assert!(wrong.is_empty(), "started more than once: {wrong:?}");
    }

    /// The longest that an errand of a dead worker waited for its next start; the outages of Postgres do not count, nor what was watched before them.
    pub(super) fn longest_wait(&self, deaths: &[Death], outages: &[Outage]) -> f64 {
        let waits = deaths.iter().flat_map(|death| {
            let waited = move |errand| self.wait(errand, death.at, outages);
            death.held.iter().copied().filter_map(waited)
        });
        waits.fold(0.0, f64::max)
    }

    /// Nothing for one whose commit was under way when its worker died: it is done, and was not started again.
    fn wait(&self, errand: i32, died: f64, outages: &[Outage]) -> Option<f64> {
        let starts = self.starts.get(&errand)?;
        let next = starts.iter().find(|start| start.at > died)?.at;
        Some(next - watched_from(died, next, outages))
    }
}

/// Since when workers could watch: each outage within the patience makes them begin again.
fn watched_from(died: f64, next: f64, outages: &[Outage]) -> f64 {
    outages.iter().fold(died, |from, outage| {
        let is_between = outage.ended > from && outage.began < next;
        if is_between && outage.began < from + PATIENCE_S {
            outage.ended
        } else {
            from
        }
    })
}

fn number(row: &Value) -> i32 {
    let number = row["number"].as_i64().expect("a number");
    number.try_into().expect("an errand's number")
}

pub(super) fn seconds(moment: SystemTime) -> f64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(starts: &[(i32, f64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for &(errand, at) in starts {
            let attempt = 1;
            let start = Start { at, attempt };
            ledger.starts.entry(errand).or_default().push(start);
        }
        ledger
    }

    #[test]
    fn a_wait_is_from_the_death_to_the_next_start() {
        let deaths = [Death {
            at: 10.0,
            held: vec![1, 2, 3],
        }];
        let ledger = ledger(&[(1, 9.0), (1, 31.5), (2, 9.5), (3, 50.0)]);
        assert!((ledger.longest_wait(&deaths, &[]) - 40.0).abs() < 1e-9);
        let outage = |began, ended| Outage { began, ended };
        let wait = |outages: &[_]| ledger.longest_wait(&deaths, outages);
        assert!((wait(&[outage(20.0, 22.0)]) - 28.0).abs() < 1e-9);
        assert!(
            (wait(&[outage(41.0, 42.0)]) - 40.0).abs() < 1e-9,
            "too late to count"
        );
        assert!(
            (wait(&[outage(8.0, 9.0)]) - 40.0).abs() < 1e-9,
            "over before it died"
        );
    }

    #[test]
    #[should_panic(expected = "(2, 0)")]
    fn an_errand_without_a_mark_is_seen() {
        let mut ledger = Ledger::default();
        ledger.marks.insert(1, 1);
        ledger.expect_one_mark_each(2);
    }

    #[test]
    #[should_panic(expected = "started more than once")]
    fn a_second_start_is_seen() {
        ledger(&[(1, 1.0), (1, 2.0)]).expect_one_start_each();
    }
}
