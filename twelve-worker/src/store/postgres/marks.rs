//! How far each lane has been worked off, for good.
//!
//! A claim deletes entries, and until they are vacuumed everybody who looks for the oldest walks over them.
//! A transaction that holds an old snapshot puts that off for as long as it lives.
//! So claims begin behind the mark of their lane: no entry that anybody could ever claim lies before it.
//!
//! ```text
//! lane:  ✝ ✝ ✝ ✝ ✝ ✝ ✝ ✝ ● ● ✝ ●  …
//!                      ▲ mark        ✝ deleted   ● visible
//! ```
//!
//! Two things could lie behind a mark that is too high.
//! An entry whose claim rolls back: so a mark never passes an entry that is still visible.
//! And an entry of a transaction that commits late: so a mark never passes a number that was drawn while any transaction of that time still runs.
//! A transaction draws numbers after it has its xid, so a sample of the sequence is settled once every transaction has ended whose xid is lower than one that was given out after the sample.
//! Read-only transactions have no xid: a report that runs for an hour holds no mark back.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How many samples may wait to be settled.
const MAX_SAMPLES: usize = 16;

/// How long marks are believed.
const LIFE: Duration = Duration::from_mins(1);

/// The marks of all lanes.
#[derive(Debug, Default)]
pub(super) struct Marks {
    by_lane: HashMap<(String, i16), i64>,
    /// The sequence as the last look saw it.
    last_number: Option<i64>,
    /// Numbers, each with an xid that was given out after it was drawn; the oldest first.
    samples: VecDeque<(i64, i64)>,
    settled: i64,
    /// How many looks have counted.
    looks: u64,
    /// When they were forgotten last.
    since: Option<Instant>,
}

/// What one look at the database saw, in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The last number that was drawn.
    pub(super) number: i64,
    /// All transactions before this xid have ended.
    pub(super) xmin: i64,
    /// Its own xid, if it asked for one.
    ///
    /// A snapshot's `xmax` will not do: it is one more than the last xid that has *ended*, so that a transaction which still runs may have it.
    pub(super) xid: Option<i64>,
}

impl Marks {
    /// Behind which entry of a lane a claim may begin.
    pub(super) fn of(&self, queue: &str, lane: i16) -> i64 {
        // A look-up by parts would need a key of its own; there are few lanes.
        let found = self.by_lane.iter();
        let mut found = found.filter(|((name, at), _)| name == queue && *at == lane);
        found.next().map_or(0, |(_, mark)| *mark)
    }

    /// Every lane that has a mark, as columns: queues, lanes, marks.
    pub(super) fn all(&self) -> (Vec<String>, Vec<i16>, Vec<i64>) {
        let mut all = (Vec::new(), Vec::new(), Vec::new());
        for ((queue, lane), mark) in &self.by_lane {
            all.0.push(queue.clone());
            all.1.push(*lane);
            all.2.push(*mark);
        }
        all
    }

    /// Shall the next look ask for an xid? Not when nothing was drawn since the last sample: an idle worker uses none up.
    pub(super) fn wants_xid(&self) -> bool {
        let newest = self
            .samples
            .back()
            .map_or(self.settled, |(number, _)| *number);
        self.samples.len() < MAX_SAMPLES && self.last_number.is_some_and(|number| number > newest)
    }

    /// Forgets everything once a minute: whatever a mark might have been wrong about, it is not for longer.
    pub(super) fn forget_now_and_then(&mut self) {
        if self.since.is_none_or(|since| since.elapsed() >= LIFE) {
            self.forget();
            self.since = Some(Instant::now());
        }
    }

    /// What a look must name that begins now.
    pub(super) fn begin(&self) -> u64 {
        self.looks
    }

    /// Takes a look into account; then the lanes that it saw follow by [`raise`](Self::raise).
    ///
    /// Two looks at once do not both count: what the older one saw says nothing about numbers that the younger one has settled since.
    pub(super) fn look(&mut self, began: u64, look: Look) -> bool {
        if began != self.looks {
            return false;
        }
        self.looks += 1;
        // Only numbers that an *earlier* look saw were surely drawn before this look got its xid.
        if let (Some(number), Some(xid)) = (self.last_number, look.xid) {
            self.samples.push_back((number, xid));
        }
        self.last_number = Some(look.number);
        while let Some((number, xid)) = self.samples.front().copied()
            && xid <= look.xmin
        {
            self.settled = number;
            self.samples.pop_front();
        }
        true
    }

    /// Raises a lane's mark; `oldest` is its first entry that was visible behind the mark.
    pub(super) fn raise(&mut self, queue: &str, lane: i16, oldest: Option<i64>) {
        let safe = oldest.map_or(self.settled, |oldest| self.settled.min(oldest - 1));
        let mark = self.by_lane.entry((queue.to_owned(), lane)).or_default();
        *mark = safe.max(*mark);
    }

    /// Forgets everything: after an outage it may be another server, or an older state of this one.
    pub(super) fn forget(&mut self) {
        // Looks that are under way have seen the other server.
        let (looks, since) = (self.looks + 1, self.since);
        *self = Self {
            looks,
            since,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(marks: &mut Marks, (number, xmin, xid): (i64, i64, i64), oldest: Option<i64>) -> i64 {
        let xid = Some(xid);
        assert!(marks.look(marks.begin(), Look { number, xmin, xid }));
        marks.raise("default", 2, oldest);
        marks.of("default", 2)
    }

    #[test]
    fn a_mark_rises_to_what_is_settled() {
        let mut marks = Marks::default();
        assert_eq!(look(&mut marks, (10, 100, 100), None), 0);
        assert_eq!(look(&mut marks, (20, 105, 105), None), 10);
        assert_eq!(look(&mut marks, (20, 107, 107), None), 20);
    }

    #[test]
    fn a_mark_waits_for_the_newest_transaction_of_all() {
        let mut marks = Marks::default();
        // Transaction 859 has drawn number 1, and no other has ended since.
        look(&mut marks, (1, 859, 860), None);
        assert_eq!(look(&mut marks, (1, 859, 861), None), 0);
        assert_eq!(look(&mut marks, (1, 862, 862), None), 1);
    }

    #[test]
    fn a_mark_waits_for_a_transaction_that_commits_late() {
        let mut marks = Marks::default();
        look(&mut marks, (10, 100, 102), None);
        // Transaction 101 has drawn number 7, and still runs.
        assert_eq!(look(&mut marks, (20, 101, 110), None), 0);
        assert_eq!(look(&mut marks, (30, 101, 120), Some(12)), 0);
        assert_eq!(look(&mut marks, (30, 120, 120), Some(12)), 11);
    }

    #[test]
    fn of_two_looks_at_once_one_counts() {
        let mut marks = Marks::default();
        let (older, younger) = (marks.begin(), marks.begin());
        let saw = |number, xid| Look {
            number,
            xmin: xid,
            xid: Some(xid),
        };
        assert!(marks.look(younger, saw(20, 105)));
        assert!(!marks.look(older, saw(10, 100)));
        let before = marks.begin();
        marks.forget();
        assert!(!marks.look(before, saw(30, 110)));
        assert!(marks.look(marks.begin(), saw(30, 110)));
    }

    #[test]
    fn a_mark_does_not_pass_what_is_visible() {
        let mut marks = Marks::default();
        look(&mut marks, (10, 100, 100), Some(3));
        assert_eq!(look(&mut marks, (20, 105, 105), Some(3)), 2);
        assert_eq!(look(&mut marks, (20, 106, 106), Some(9)), 8);
        marks.forget();
        assert_eq!(marks.of("default", 2), 0);
    }
}
