//! Orders: placed by a request, charged by a job.

mod charge;
mod expire;
mod order;
mod receipt;
mod routes;

pub use charge::{ChargeOrder, charge_order};
pub use expire::expire_unpaid;
pub use order::{Item, NewOrder, Order};
pub use receipt::Receipt;
pub use routes::routes;
