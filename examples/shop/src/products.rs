//! What the shop sells: read by anyone.

use sqlx::FromRow;
use std::fmt;
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

/// An amount of money, as people read it: `€6.90`.
pub struct Euros(pub i64);

impl fmt::Display for Euros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(cents) = self;
        write!(f, "€{}.{:02}", cents / 100, cents % 100)
    }
}

async fn list(db: Db) -> Result<Json<Products>> {
    let products = sqlx::query_as("SELECT sku, name, price_cents FROM products ORDER BY sku")
        .fetch_all(&db)
        .await?;
    Ok(Json(Products { products }))
}
