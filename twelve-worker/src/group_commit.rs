//! Group commit: items that arrive while one statement runs share the next one.
//!
//! There is no timer. When no statement runs, the first item goes at once, so an idle process adds no latency; under load the groups grow by themselves.

use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task::yield_now};

/// How many items one group has at most.
const MOST: usize = 500;

/// How long a group waits for items that are expected.
const MOMENT: Duration = Duration::from_micros(150);

/// How many items may wait. Back-pressure: beyond that, callers of [`Group::add`] wait.
const WAITING: usize = 2000;

/// The sending half.
#[derive(Debug)]
pub(crate) struct Group<T>(mpsc::Sender<T>);

/// The receiving half, which yields groups.
#[derive(Debug)]
pub(crate) struct Groups<T>(mpsc::Receiver<T>);

impl<T> Group<T> {
    pub(crate) fn new() -> (Self, Groups<T>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), Groups(receiver))
    }

    /// Adds an item; returns it when the receiving half is gone.
    pub(crate) async fn add(&self, item: T) -> Result<(), T> {
        self.0.send(item).await.map_err(|refused| refused.0)
    }
}

impl<T> Groups<T> {
    /// The items that arrived since the last group; `None` when the sending half is gone.
    pub(crate) async fn next(&mut self) -> Option<Vec<T>> {
        let mut group = Vec::new();
        (self.0.recv_many(&mut group, MOST).await > 0).then_some(group)
    }

    /// The same, but waits a moment until the group has `awaited` items.
    ///
    /// It is for callers that wait for an answer before they add again. Without the wait, a caller that was just answered would miss the next group, and groups would stay small.
    pub(crate) async fn next_of(&mut self, awaited: usize) -> Option<Vec<T>> {
        let mut group = self.next().await?;
        let began = Instant::now();
        while group.len() < awaited.min(MOST) && began.elapsed() < MOMENT {
            // A timer of the runtime has a resolution of a millisecond, which is too long.
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
