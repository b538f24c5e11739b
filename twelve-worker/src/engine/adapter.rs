//! Has the store adapt to how many jobs it holds.

use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

use super::{
    Engine,
    setback::{Setback, within},
};

/// From one look to the next: a burst that comes out of nowhere is slow for no longer.
const EVERY: Duration = Duration::from_secs(2);

/// From one time that it adapted to the next look: where it cannot adapt for good, it shall not try all the time.
const REST: Duration = Duration::from_secs(30);

/// How long the store may take to adapt.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until it is dropped.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut setback = Setback::default();
    let mut pause = EVERY;
    loop {
        // Workers that started together do not look together.
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        match within(PATIENCE, engine.store.adapt()).await {
            Ok(adapted) => {
                setback.over();
                pause = if adapted { REST } else { EVERY };
                if adapted {
                    tracing::debug!(
                        "there are many more jobs than before: the store makes new plans"
                    );
                }
            }
            Err(error) => {
                setback
                    .pause("adapting to how many jobs there are", &error)
                    .await
            }
        }
    }
}
