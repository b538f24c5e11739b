//! How often each queue has its turn.

use std::collections::HashMap;
use twelve_core::Value;

/// The highest weight.
const MOST: u32 = 1000;

/// The weights of queues: `critical=4,reports=1`. A queue that is not named has 1.
///
/// When several queues have due jobs, a queue goes first in a share of the claims that is proportional to its weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights(HashMap<String, u32>);

impl Weights {
    /// A random draw for one queue: the queue with the highest draw goes first.
    ///
    /// Weighted random sampling by Efraimidis and Spirakis (2006): the `w`th root of a uniform random number is the highest with probability `w` divided by the sum of all weights.
    pub(crate) fn draw(&self, queue: &str) -> u64 {
        let weight = self.0.get(queue).copied().unwrap_or(1);
        let drawn = fastrand::f64().powf(1.0 / f64::from(weight));
        // The bits of non-negative floats have the same order as their values.
        drawn.to_bits()
    }
}

impl Value for Weights {
    const EXPECTED: &'static str = "queues with their weights, such as critical=4,reports=1";

    fn parse(text: &str) -> Result<Self, String> {
        let weigh = |part: &str| {
            let (queue, weight) = part.split_once('=').ok_or("a weight is missing")?;
            let weight: u32 = weight.trim().parse().map_err(|_| "a weight is no number")?;
            if !(1..=MOST).contains(&weight) {
                return Err(format!("a weight is a number from 1 to {MOST}"));
            }
            Ok((queue.trim().to_owned(), weight))
        };
        text.split(',')
            .map(weigh)
            .collect::<Result<_, String>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_and_checked() {
        assert!(Weights::parse("critical=4, reports=1").is_ok());
        for wrong in [
            "critical",
            "critical=",
            "critical=0",
            "critical=1001",
            "critical=-1",
        ] {
            assert!(Weights::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_queue_is_first_in_its_share() {
        let weights = Weights::parse("critical=3").unwrap();
        let first = (0..10_000).filter(|_| weights.draw("critical") > weights.draw("other"));
        let first = first.count();
        assert!((7000..8000).contains(&first), "{first}");
    }
}
