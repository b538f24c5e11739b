//! What customers do with forecasts.

use twelve::axum::http::header::LOCATION;
use twelve::prelude::*;
use uuid::Uuid;

use super::{Forecast, ForecastDemand, NewForecast};
use crate::customers::{Customer, by_customer};

/// The routes of forecasts.
pub fn routes() -> Router {
    // Asking twice costs a second's work, so the key is a courtesy.
    let once = Idempotency::optional(by_customer);
    Router::new()
        .route("/forecasts", post(ask.idempotent(once)))
        .route("/forecasts/{id}", get(show))
}

/// Promises a forecast: it and its job are one commit, and the answer says where it will be.
async fn ask(
    who: Customer,
    mut tx: Tx,
    jobs: Jobs,
    Json(new): Json<NewForecast>,
) -> Result<impl IntoResponse> {
    let forecast = Forecast::insert(&mut tx, who, &new).await?;
    let job = ForecastDemand {
        forecast: forecast.id,
    };
    jobs.enqueue_in(&mut tx, job).await?;
    let location = [(LOCATION, format!("/forecasts/{}", forecast.id))];
    Ok((StatusCode::ACCEPTED, location, Json(forecast)))
}

async fn show(who: Customer, db: Db, Path(id): Path<Uuid>) -> Result<Json<Forecast>> {
    let forecast = Forecast::find_of(&db, who, id).await?;
    Ok(Json(forecast.ok_or_else(Problem::not_found)?))
}
