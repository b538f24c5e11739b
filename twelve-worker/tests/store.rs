//! The store on a real Postgres that `DATABASE_URL` names.

use twelve_worker::store::conformance::{Fixture, check};

#[test]
fn the_postgres_store_conforms() {
    check(Fixture::postgres);
}
