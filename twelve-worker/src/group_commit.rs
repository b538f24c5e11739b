//! Group commit: what comes while one statement is under way goes with the next.
//!
//! There is no timer. When nothing is under way the first item goes at once, so an idle process waits for nothing; under load the groups grow by themselves.

use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task::yield_now};

/// How many items go at a time.
const MOST: usize = 500;

/// How long a group waits for those who are awaited.
const MOMENT: Duration = Duration::from_micros(150);

/// How many items may wait; then who has more waits too.
const WAITING: usize = 2000;

/// Where items are handed in.
#[derive(Debug)]
pub(crate) struct Group<T>(mpsc::Sender<T>);

/// Where they come out, in groups.
#[derive(Debug)]
pub(crate) struct Groups<T>(mpsc::Receiver<T>);

impl<T> Group<T> {
    pub(crate) fn new() -> (Self, Groups<T>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), Groups(receiver))
    }

    /// Hands an item in; gives it back when nobody takes items any more.
    pub(crate) async fn add(&self, item: T) -> Result<(), T> {
        self.0.send(item).await.map_err(|refused| refused.0)
    }
}

impl<T> Groups<T> {
    /// What has come since the last group; `None` when nothing can come any more.
    pub(crate) async fn next(&mut self) -> Option<Vec<T>> {
        let mut group = Vec::new();
        (self.0.recv_many(&mut group, MOST).await > 0).then_some(group)
    }

    /// The same, when those who hand items in wait for an answer: so many of them are awaited, for a moment.
    ///
    /// Without it groups would be small: those whose group is answered find the next one gone.
    pub(crate) async fn next_of(&mut self, awaited: usize) -> Option<Vec<T>> {
        let mut group = self.next().await?;
        let began = Instant::now();
        while group.len() < awaited.min(MOST) && began.elapsed() < MOMENT {
            // A timer of the runtime would take a millisecond.
            yield_now().await;
            if let Ok(item) = self.0.try_recv() {
                group.push(item);
            }
        }
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_meanwhile_goes_together() {
        let (group, mut groups) = Group::new();
        group.add(1).await.unwrap();
        assert_eq!(groups.next().await, Some(vec![1]));
        for item in 2..5 {
            group.add(item).await.unwrap();
        }
        assert_eq!(groups.next().await, Some(vec![2, 3, 4]));
        drop(group);
        assert_eq!(groups.next().await, None);
    }

    #[tokio::test]
    async fn an_item_that_nobody_takes_comes_back() {
        let (group, groups) = Group::new();
        drop(groups);
        assert_eq!(group.add(7).await, Err(7));
    }
}
