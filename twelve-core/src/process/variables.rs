//! The variables of twelve's own that a process type needs, derived from the arguments of its handlers.

use crate::{
    blocking::{self, Blocking},
    config::{Config, Environment, Reader, Variable},
    handler::Needs,
    services::postgres::{self, Db, Tx},
};

#[cfg(feature = "redis")]
use crate::services::redis;

/// Reads the variables of the backing services that are needed.
///
/// `also_postgres` holds the arguments of other crates that need Postgres, such as `Jobs`, which this crate does not know.
#[must_use]
pub fn service_variables(
    needs: &Needs,
    also_postgres: &Needs,
    environment: &Environment,
) -> Vec<Variable> {
    let mut reader = Reader::new(environment);
    if needs.has::<Db>() || needs.has::<Tx>() || needs.has_any_of(also_postgres) {
        let _ = postgres::Settings::load(&mut reader);
    }
    #[cfg(feature = "redis")]
    if needs.has::<redis::Redis>() {
        let _ = redis::Settings::load(&mut reader);
    }
    if needs.has::<Blocking>() {
        let _ = blocking::Settings::load(&mut reader);
    }
    reader.into_variables()
}
