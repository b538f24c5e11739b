//! What the shop sells: read by anyone.

use sqlx::FromRow;
use twelve::prelude::*;

/// The routes of products.
pub fn routes() -> Router {
    Router::new().route("/products", get(list))
}

#[derive(FromRow, Serialize)]
struct Product {
    sku: String,
    name: String,
    price_cents: i64,
}

#[derive(Serialize)]
struct Products {
    products: Vec<Product>,
}

async fn list(db: Db) -> Result<Json<Products>> {
    let products = sqlx::query_as("SELECT sku, name, price_cents FROM products ORDER BY sku")
        .fetch_all(&db)
        .await?;
    Ok(Json(Products { products }))
}
