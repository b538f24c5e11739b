//! Which queues a worker takes jobs from.

use std::fmt;
use twelve_core::Value;

use super::label;

/// The queues of one worker process type.
///
/// ```
/// # use twelve_worker::Queues;
/// let compute = Queues::only(["reports", "thumbnails"]);
/// assert!(compute.takes("reports"));
///
/// let rest = Queues::all_except(["reports", "thumbnails"]);
/// assert!(!rest.takes("reports") && rest.takes("default"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queues(Choice);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Only(Vec<String>),
    AllExcept(Vec<String>),
}

impl Queues {
    /// These queues and no others. Other workers that name no queues leave them alone.
    pub fn only<Q: Into<String>>(queues: impl IntoIterator<Item = Q>) -> Self {
        Self(Choice::Only(collect(queues)))
    }

    /// Every queue.
    #[must_use]
    pub fn all() -> Self {
        Self(Choice::AllExcept(Vec::new()))
    }

    /// Every queue but these, such as those that other workers have claimed for themselves.
    pub fn all_except<Q: Into<String>>(queues: impl IntoIterator<Item = Q>) -> Self {
        Self(Choice::AllExcept(collect(queues)))
    }

    /// Does the worker take jobs of this queue?
    #[must_use]
    pub fn takes(&self, queue: &str) -> bool {
        match &self.0 {
            Choice::Only(only) => only.iter().any(|known| known == queue),
            Choice::AllExcept(others) => others.iter().all(|known| known != queue),
        }
    }

    /// The queues that are named; `None` when all others are taken.
    #[must_use]
    pub fn named(&self) -> Option<&[String]> {
        match &self.0 {
            Choice::Only(only) => Some(only),
            Choice::AllExcept(_) => None,
        }
    }

    /// The names: of the queues that are taken, or of those that are excluded.
    pub(crate) fn names(&self) -> &[String] {
        match &self.0 {
            Choice::Only(names) | Choice::AllExcept(names) => names,
        }
    }

    /// The queues that are excluded, when all others are taken.
    pub(crate) fn excluded(&self) -> &[String] {
        match &self.0 {
            Choice::Only(_) => &[],
            Choice::AllExcept(others) => others,
        }
    }
}

/// Queues as a variable names them: `mail,reports`.
#[derive(Clone, Debug)]
pub(crate) struct QueueNames(Vec<String>);

impl QueueNames {
    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Value for QueueNames {
    const EXPECTED: &'static str = "the names of queues, such as mail,reports";

    fn parse(text: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let name = name.trim();
            label::check(name).map(|()| name.to_owned())
        };
        text.split(',')
            .map(name)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn collect<Q: Into<String>>(queues: impl IntoIterator<Item = Q>) -> Vec<String> {
    let mut queues: Vec<_> = queues.into_iter().map(Into::into).collect();
    queues.sort();
    queues.dedup();
    queues
}

/// As listings show it: `compute, mail`, `all` or `all but compute`.
impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Only(only) => f.write_str(&only.join(", ")),
            Choice::AllExcept(others) if others.is_empty() => f.write_str("all"),
            Choice::AllExcept(others) => write!(f, "all but {}", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_named_queues_leaves_those_of_others_alone() {
        let (compute, rest) = (Queues::only(["compute"]), Queues::all_except(["compute"]));
        for (queue, by_compute) in [("compute", true), ("default", false)] {
            assert_eq!(compute.takes(queue), by_compute);
            assert_eq!(rest.takes(queue), !by_compute);
        }
    }

    #[test]
    fn queues_are_shown_in_words() {
        assert_eq!(Queues::only(["b", "a", "b"]).to_string(), "a, b");
        assert_eq!(Queues::all().to_string(), "all");
        assert_eq!(Queues::all_except(["a"]).to_string(), "all but a");
    }
}
