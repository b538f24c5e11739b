//! Forecasts: asked for by a request, computed by a worker of its own (`shop compute`).
//!
//! ```text
//! POST /forecasts ─► forecast + job, one commit ─► compute ─► running ─► result, one commit with the job's end
//! ```

mod demand;
mod forecast;
mod job;
mod routes;

pub use demand::Demand;
pub use forecast::{Forecast, NewForecast};
pub use job::{ForecastDemand, forecast_demand};
pub use routes::routes;

use twelve::prelude::*;

/// Registers the job, and a worker type that takes nothing else: a computation keeps no order waiting.
pub fn register(app: App) -> App {
    app.job(forecast_demand)
        .worker("compute", Queues::only(["compute"]))
}
