//! What customers do with orders.

use twelve::axum::http::header::LOCATION;
use twelve::prelude::*;
use uuid::Uuid;

use super::{ChargeOrder, NewOrder, Order};
use crate::{
    customers::{Customer, by_customer},
    live,
};

/// How many orders a page has, and how many it may have.
const PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

/// The routes of orders.
pub fn routes() -> Router {
    let once = Idempotency::required(by_customer);
    Router::new()
        .route("/orders", get(list).post(place.idempotent(once)))
        .route("/orders/{id}", get(show))
}

/// Places an order: the order, the job that charges it and the answer to the key are one commit.
async fn place(
    who: Customer,
    mut tx: Tx,
    jobs: Jobs,
    redis: Redis,
    Json(new): Json<NewOrder>,
) -> Result<impl IntoResponse> {
    let order = Order::insert(&mut tx, who, &new).await?;
    jobs.enqueue_in(&mut tx, ChargeOrder { order: order.id })
        .await?;
    live::publish(&mut tx, redis, &order)?;
    let location = [(LOCATION, format!("/orders/{}", order.id))];
    Ok((StatusCode::CREATED, location, Json(order)))
}

async fn show(who: Customer, db: Db, Path(id): Path<Uuid>) -> Result<Json<Order>> {
    let order = Order::find_of(&db, who, id).await?;
    Ok(Json(order.ok_or_else(Problem::not_found)?))
}

#[derive(Deserialize)]
struct Page {
    after: Option<Uuid>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Orders {
    orders: Vec<Order>,
    next: Option<Uuid>,
}

async fn list(who: Customer, db: Db, Query(page): Query<Page>) -> Result<Json<Orders>> {
    let limit = page.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    // One more than asked for tells whether there is a next page.
    let mut orders = Order::list_of(&db, who, page.after, i64::from(limit) + 1).await?;
    let asked = usize::try_from(limit)?;
    let more = orders.len() > asked;
    orders.truncate(asked);
    let next = orders.last().filter(|_| more).map(|last| last.id);
    Ok(Json(Orders { orders, next }))
}
