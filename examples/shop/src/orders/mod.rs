//! Orders: placed by a request, charged by a job.

mod charge;
mod order;
mod routes;

pub use charge::{ChargeOrder, charge_order};
pub use order::{Item, NewOrder, Order};
pub use routes::routes;
