//! The suite that every store must pass.

use twelve_worker::store::conformance::{Fixture, check};

use crate::database::fresh_database;

#[test]
fn the_postgres_store_conforms() {
    check(fixture);
}

async fn fixture() -> Fixture {
    Fixture::postgres(fresh_database().await).await
}
