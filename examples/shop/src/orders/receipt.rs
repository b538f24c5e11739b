//! The mail that a customer gets for a paid order.

use sqlx::FromRow;
use twelve::prelude::*;
use uuid::Uuid;

use crate::products::Euros;

/// A receipt: `templates/receipt.html` and `templates/receipt.txt`.
#[derive(Mail)]
#[mail(
    subject = "Your receipt: {{ total }}",
    html = "receipt.html",
    text = "receipt.txt"
)]
pub struct Receipt {
    #[mail(to)]
    customer: String,
    order: Uuid,
    lines: Vec<Line>,
    total: Euros,
}

#[derive(FromRow)]
struct Line {
    quantity: i32,
    name: String,
    price_cents: i64,
}

impl Line {
    fn total(&self) -> Euros {
        Euros(self.price_cents * i64::from(self.quantity))
    }
}

impl Receipt {
    /// The receipt for this order.
    pub async fn of(db: &Db, order: Uuid) -> Result<Self, sqlx::Error> {
        let customer = sqlx::query_scalar(
            "SELECT email FROM customers WHERE id = (SELECT customer_id FROM orders WHERE id = $1)",
        );
        let lines = sqlx::query_as(
            "SELECT quantity, name, item.price_cents FROM order_items item JOIN products USING (sku)
             WHERE order_id = $1 ORDER BY name",
        );
        let lines: Vec<Line> = lines.bind(order).fetch_all(db).await?;
        let total = lines.iter().map(|line| line.total().0).sum();
        Ok(Self {
            customer: customer.bind(order).fetch_one(db).await?,
            order,
            lines,
            total: Euros(total),
        })
    }
}

impl Preview for Receipt {
    fn preview() -> Self {
        let line = |quantity, name: &str, price_cents| Line {
            quantity,
            name: name.to_owned(),
            price_cents,
        };
        Self {
            customer: "ada@example.com".to_owned(),
            order: Uuid::nil(),
            lines: vec![
                line(2, "Green tea, 100 g", 690),
                line(1, "Stoneware cup", 1450),
            ],
            total: Euros(2830),
        }
    }
}
