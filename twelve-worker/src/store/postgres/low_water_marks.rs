//! The low-water mark of each lane: claims start above it, and so skip dead tuples.
//!
//! A claim deletes tickets. Until vacuum removes these dead tuples, every search for the oldest ticket has to walk over them.
//! A transaction with an old snapshot delays vacuum for as long as it runs.
//! So a claim starts above the mark of its lane: no ticket at or below the mark can ever be claimed.
//!
//! ```text
//! lane:  ✝ ✝ ✝ ✝ ✝ ✝ ✝ ✝ ● ● ✝ ●  …
//!                      ▲ mark        ✝ deleted   ● visible
//! ```
//!
//! A mark that is too high would lose jobs. Two rules prevent that:
//!
//! - A claim may roll back, so a mark never passes a ticket that is still visible.
//! - A producer may commit late, so a mark never passes a sequence number while a transaction runs that may have drawn it.
//!
//! How a number becomes *settled*: a transaction has its xid before it draws a number.
//! Take a sample of the sequence, then any xid that is given out later. Once all transactions below that xid have ended, every number up to the sample is committed or gone.
//! Read-only transactions have no xid, so a long report delays no mark.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// How many samples may wait to be settled.
const MAX_SAMPLES: usize = 16;

/// How long marks are kept; then they are computed anew.
const LIFE: Duration = Duration::from_mins(1);

/// The low-water marks of all lanes.
#[derive(Debug, Default)]
pub(super) struct LowWaterMarks {
    by_lane: HashMap<(String, i16), i64>,
    /// The sequence as the last look saw it.
    last_number: Option<i64>,
    /// Numbers, each with an xid that was given out after it was drawn; the oldest first.
    samples: VecDeque<(i64, i64)>,
    settled: i64,
    /// How many looks were taken into account.
    looks: u64,
    /// When the marks were last forgotten.
    since: Option<Instant>,
}

/// What one look at the database saw, in one snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The last number that was drawn.
    pub(super) number: i64,
    /// All transactions with a lower xid have ended.
    pub(super) xmin: i64,
    /// Its own xid, if it asked for one.
    ///
    /// The snapshot's `xmax` is no substitute: it is one above the last xid that has *ended*, so a running transaction may have it.
    pub(super) xid: Option<i64>,
}

impl LowWaterMarks {
    /// The mark of a lane: a claim starts above it.
    pub(super) fn of(&self, queue: &str, lane: i16) -> i64 {
        // The lanes are few, and a look-up in the map would allocate a key.
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

    /// Whether the next look asks for an xid. If no number was drawn since the last sample it does not, so an idle worker uses up no xids.
    pub(super) fn wants_xid(&self) -> bool {
        let newest = self
            .samples
            .back()
            .map_or(self.settled, |(number, _)| *number);
        self.samples.len() < MAX_SAMPLES && self.last_number.is_some_and(|number| number > newest)
    }

    /// Forgets everything once a minute, so that a wrong mark cannot hide a job for longer.
    pub(super) fn forget_now_and_then(&mut self) {
        if self.since.is_none_or(|since| since.elapsed() >= LIFE) {
            self.forget();
            self.since = Some(Instant::now());
        }
    }

    /// The number that a look which begins now passes to [`look`](Self::look).
    pub(super) fn begin(&self) -> u64 {
        self.looks
    }

    /// Takes a look into account, and tells whether it did; the caller then [raises](Self::raise) the marks of the lanes that it saw.
    ///
    /// Of two concurrent looks only one counts: the older snapshot says nothing about numbers that the younger one has settled.
    pub(super) fn look(&mut self, began: u64, look: Look) -> bool {
        if began != self.looks {
            return false;
        }
        self.looks += 1;
        // Numbers of an *earlier* look were certainly drawn before this look got its xid; its own numbers may not have been.
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

    /// Raises a lane's mark; `oldest` is the lane's first visible ticket above it.
    pub(super) fn raise(&mut self, queue: &str, lane: i16, oldest: Option<i64>) {
        let safe = oldest.map_or(self.settled, |oldest| self.settled.min(oldest - 1));
        let mark = self.by_lane.entry((queue.to_owned(), lane)).or_default();
        *mark = safe.max(*mark);
    }

    /// Forgets everything. After an outage the server may be another one, or an older state of this one.
    pub(super) fn forget(&mut self) {
        // Looks that are under way saw the other server, and must not count.
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

    fn look(
        marks: &mut LowWaterMarks,
        (number, xmin, xid): (i64, i64, i64),
        oldest: Option<i64>,
    ) -> i64 {
        let xid = Some(xid);
        assert!(marks.look(marks.begin(), Look { number, xmin, xid }));
        marks.raise("default", 2, oldest);
        marks.of("default", 2)
    }

    #[test]
    fn a_mark_rises_to_what_is_settled() {
        let mut marks = LowWaterMarks::default();
        assert_eq!(look(&mut marks, (10, 100, 100), None), 0);
        assert_eq!(look(&mut marks, (20, 105, 105), None), 10);
        assert_eq!(look(&mut marks, (20, 107, 107), None), 20);
    }

    #[test]
    fn a_mark_waits_for_the_newest_transaction_of_all() {
        let mut marks = LowWaterMarks::default();
        // Transaction 859 has drawn number 1, and no other has ended since.
        look(&mut marks, (1, 859, 860), None);
        assert_eq!(look(&mut marks, (1, 859, 861), None), 0);
        assert_eq!(look(&mut marks, (1, 862, 862), None), 1);
    }

    #[test]
    fn a_mark_waits_for_a_transaction_that_commits_late() {
        let mut marks = LowWaterMarks::default();
        look(&mut marks, (10, 100, 102), None);
        // Transaction 101 has drawn number 7, and still runs.
        assert_eq!(look(&mut marks, (20, 101, 110), None), 0);
        assert_eq!(look(&mut marks, (30, 101, 120), Some(12)), 0);
        assert_eq!(look(&mut marks, (30, 120, 120), Some(12)), 11);
    }

    #[test]
    fn of_two_looks_at_once_one_counts() {
        let mut marks = LowWaterMarks::default();
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
        let mut marks = LowWaterMarks::default();
        look(&mut marks, (10, 100, 100), Some(3));
        assert_eq!(look(&mut marks, (20, 105, 105), Some(3)), 2);
        assert_eq!(look(&mut marks, (20, 106, 106), Some(9)), 8);
        marks.forget();
        assert_eq!(marks.of("default", 2), 0);
    }
}
