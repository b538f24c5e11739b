//! The job that computes a forecast.

use twelve::prelude::*;
use uuid::Uuid;

use super::{Demand, Forecast, demand::history};

/// Compute this forecast.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(kind = "forecast_demand", queue = "compute", timeout = "5m")]
pub struct ForecastDemand {
    /// Which one.
    pub forecast: Uuid,
}

/// Computes a forecast; its result is one commit with the job's completion.
///
/// That it runs is written through `db`, not `tx`: what `tx` writes nobody sees before the job has ended.
/// A worker that dies leaves it `running`, and the next attempt begins anew: `done` comes once.
pub async fn forecast_demand(
    job: ForecastDemand,
    db: Db,
    mut tx: Tx,
    blocking: Blocking,
) -> Result<Outcome> {
    let Some(forecast) = Forecast::begin(&db, job.forecast).await? else {
        return Ok(Outcome::discard("there is no such forecast to be made"));
    };
    let history = history(&db, &forecast.sku).await?;
    // On a thread of its own: the worker's heartbeat and its other jobs need theirs.
    let demand = blocking
        .run_cancellable(move |cancelled| Demand::simulate(&history, forecast.days, &cancelled))
        .await?;
    Forecast::finish(&mut tx, forecast.id, demand).await?;
    Ok(Outcome::done())
}
