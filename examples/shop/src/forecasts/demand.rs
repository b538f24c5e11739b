//! What a product's past says about its future.

use sqlx::PgExecutor;
use twelve::{Cancelled, prelude::*};

/// How many futures are drawn: a second's work for a year of days.
const FUTURES: usize = 2_000_000;

/// The same input gives the same forecast.
const SEED: u64 = 12;

/// How many days of the past count.
const PAST: i32 = 90;

/// Pieces of each day that were ordered, the days without an order included.
const HISTORY: &str = "
    SELECT coalesce(sum(quantity), 0)::bigint
    FROM generate_series(0, $2 - 1) AS ago
    LEFT JOIN (
        SELECT created_at::date AS day, quantity
        FROM order_items JOIN orders ON orders.id = order_id
        WHERE sku = $1 AND status <> 'expired'
    ) AS sold ON day = current_date - ago
    GROUP BY ago ORDER BY ago";

/// How many pieces will be wanted, all days together.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Fewer in one of ten futures.
    pub low: i64,
    /// Fewer in half of them.
    pub likely: i64,
    /// More in one of ten.
    pub high: i64,
}

/// How many pieces of a product were ordered on each of the last days.
pub(super) async fn history(db: impl PgExecutor<'_>, sku: &str) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(HISTORY)
        .bind(sku)
        .bind(PAST)
        .fetch_all(db)
        .await
}

impl Demand {
    /// Draws the coming days at random from those of the past, again and again; it takes a core while it does.
    pub(super) fn simulate(history: &[i64], days: i32, cancelled: &Cancelled) -> Self {
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut day = || random.choice(history).copied().unwrap_or_default();
        let mut totals: Vec<i64> = (0..FUTURES)
            .take_while(|_| !cancelled.is_set())
            .map(|_| (0..days).map(|_| day()).sum())
            .collect();
        totals.sort_unstable();
        let at = |percent| totals.get(totals.len() * percent / 100).copied();
        let [low, likely, high] = [10, 50, 90].map(|percent| at(percent).unwrap_or_default());
        Self { low, likely, high }
    }
}
