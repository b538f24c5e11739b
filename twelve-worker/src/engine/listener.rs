//! Turns wake-ups into hints for the claimer.

use std::sync::Arc;

use super::Engine;
use crate::store::model::Wake;

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let store = Arc::clone(&engine.store);
    let woken = move |wake: Wake<'_>| match wake {
        Wake::Control => engine.hint.give_control(),
        wake if is_for(&engine, wake) => engine.hint.give(),
        _ => {}
    };
    store.listen(Box::new(woken)).await;
}

fn is_for(engine: &Engine, wake: Wake<'_>) -> bool {
    match wake {
        Wake::Queue(queue) => queue.is_empty() || engine.queues.takes(queue),
        Wake::Any | Wake::Control => true,
    }
}
