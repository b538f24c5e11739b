//! An order and its SQL.

use jiff::Timestamp;
use sqlx::{FromRow, PgExecutor};
use twelve::prelude::*;
use uuid::Uuid;

use crate::customers::Customer;

/// The most lines that one order may have.
const MOST_ITEMS: usize = 100;

/// The most pieces of one product.
const MOST_PIECES: i32 = 1_000;

/// An order as a customer sees it.
#[derive(Debug, FromRow, Serialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    #[serde(skip)]
    pub customer_id: Uuid,
    /// `pending`, `paid` or `expired`.
    pub status: String,
    /// What it costs.
    pub total_cents: i64,
    /// The payment provider's charge, once it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_id: Option<Uuid>,
    /// When it was placed.
    #[sqlx(try_from = "jiff_sqlx::Timestamp")]
    pub created_at: Timestamp,
}

/// What a customer wants.
#[derive(Debug, Deserialize)]
pub struct NewOrder {
    /// The products; one that stands twice is counted together.
    pub items: Vec<Item>,
}

/// One line of an order.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// Which product.
    pub sku: String,
    /// How many pieces.
    pub quantity: i32,
}

/// Prices come from the products, never from the customer. An unknown product makes the count differ.
const INSERT: &str = "
    WITH wanted AS (
        SELECT sku, sum(quantity)::integer AS quantity
        FROM unnest($3::text[], $4::integer[]) AS item (sku, quantity)
        GROUP BY sku
    ),
    priced AS (
        SELECT sku, quantity, price_cents FROM wanted JOIN products USING (sku)
    ),
    placed AS (
        INSERT INTO orders (id, customer_id, total_cents)
        SELECT $1, $2, sum(quantity * price_cents)
        FROM priced
        HAVING count(*) = (SELECT count(*) FROM wanted)
        RETURNING id, customer_id, status, total_cents, charge_id, created_at
    ),
    listed AS (
        INSERT INTO order_items (order_id, sku, quantity, price_cents)
        SELECT placed.id, sku, quantity, price_cents FROM priced, placed
    )
    SELECT * FROM placed";

impl Order {
    /// Places an order.
    pub async fn insert(
        db: impl PgExecutor<'_>,
        customer: Customer,
        new: &NewOrder,
    ) -> Result<Self> {
        new.check()?;
        let skus: Vec<&str> = new.items.iter().map(|item| item.sku.as_str()).collect();
        let quantities: Vec<i32> = new.items.iter().map(|item| item.quantity).collect();
        sqlx::query_as(INSERT)
            .bind(Uuid::now_v7())
            .bind(customer.id)
            .bind(skus)
            .bind(quantities)
            .fetch_optional(db)
            .await?
            .ok_or_else(|| Problem::new(422, "unknown-product", "We do not sell that").into())
    }

    /// An order, whoever placed it.
    pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, customer_id, status, total_cents, charge_id, created_at FROM orders WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(db)
        .await
    }

    /// A customer's own order.
    pub async fn find_of(
        db: impl PgExecutor<'_>,
        customer: Customer,
        id: Uuid,
    ) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, customer_id, status, total_cents, charge_id, created_at FROM orders
             WHERE id = $1 AND customer_id = $2",
        )
        .bind(id)
        .bind(customer.id)
        .fetch_optional(db)
        .await
    }

    /// A customer's orders, the newest first, older than `after`.
    pub async fn list_of(
        db: impl PgExecutor<'_>,
        customer: Customer,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, customer_id, status, total_cents, charge_id, created_at FROM orders
             WHERE customer_id = $1 AND ($2::uuid IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(customer.id)
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await
    }

    /// Marks an order paid by this charge, even one that expired meanwhile: whoever has paid gets the goods.
    pub async fn mark_paid(
        db: impl PgExecutor<'_>,
        id: Uuid,
        charge: Uuid,
    ) -> Result<Self, sqlx::Error> {
        sqlx::query_as(
            "UPDATE orders SET status = 'paid', charge_id = $2 WHERE id = $1
             RETURNING id, customer_id, status, total_cents, charge_id, created_at",
        )
        .bind(id)
        .bind(charge)
        .fetch_one(db)
        .await
    }

    /// Gives up the orders that have waited for payment for half an hour, and answers with them.
    pub async fn expire(db: impl PgExecutor<'_>) -> Result<Vec<Self>, sqlx::Error> {
        sqlx::query_as(
            "UPDATE orders SET status = 'expired'
             WHERE status = 'pending' AND created_at < now() - interval '30 minutes'
             RETURNING id, customer_id, status, total_cents, charge_id, created_at",
        )
        .fetch_all(db)
        .await
    }

    /// Was it given up because nobody paid in time?
    pub fn has_expired(&self) -> bool {
        self.status == "expired"
    }
}

impl NewOrder {
    fn check(&self) -> Result<(), Problem> {
        let lines = 1..=MOST_ITEMS;
        let pieces = 1..=MOST_PIECES;
        if !lines.contains(&self.items.len()) {
            return Err(invalid(format!("an order has 1 to {MOST_ITEMS} items")));
        }
        if !self
            .items
            .iter()
            .all(|item| pieces.contains(&item.quantity))
        {
            return Err(invalid(format!("a quantity is 1 to {MOST_PIECES}")));
        }
        Ok(())
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(422, "invalid-order", "That order makes no sense").detail(detail)
}
