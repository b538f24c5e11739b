//! Waiting on a condition, with a bound.

use std::time::Duration;

/// Short enough that a measured exit is right to a few milliseconds, long
/// enough that a waiting test leaves the two cores to the processes under test.
pub(crate) const POLL: Duration = Duration::from_millis(3);

/// Asks `check` until it answers `Some`, and panics after `bound`.
pub(crate) async fn until<T>(
    what: &str,
    bound: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let asking = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let asked = tokio::time::timeout(bound, asking).await;
    asked.unwrap_or_else(|_| panic!("waited {bound:?} in vain for {what}"))
}

/// Asks `check` until it answers `true`, and panics after `bound`.
pub(crate) async fn until_true(what: &str, bound: Duration, mut check: impl AsyncFnMut() -> bool) {
    until(what, bound, async || check().await.then_some(())).await;
}
