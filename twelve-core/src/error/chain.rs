//! An error with all its causes, as one line of text.

use sqlx::error::DatabaseError;
use std::{any::Any, error::Error};

use super::{QUERY_CANCELED, carried};

/// The error and all its sources, joined by colons: what a log line wants.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let sqlx = cause.downcast_ref::<sqlx::Error>();
        if let Some(ours) = sqlx.and_then(carried) {
            append(&mut text, &chain(ours));
            break;
        }
        if let Some(database) = sqlx.and_then(sqlx::Error::as_database_error) {
            append(&mut text, &said_by_postgres(database));
            break;
        }
        append(&mut text, &cause.to_string());
    }
    text
}

/// What a panic said, if it said something.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> Option<&str> {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// Some libraries repeat their source in their own text: once is enough.
fn append(text: &mut String, part: &str) {
    if text.ends_with(part) {
        return;
    }
    if !text.is_empty() {
        text.push_str(": ");
    }
    text.push_str(part);
}

/// Postgres' own words with the code to look up; sqlx adds a line number that is one of Postgres' source.
fn said_by_postgres(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    let hint = if code == QUERY_CANCELED {
        "; TWELVE_DATABASE_TIMEOUT says how long a statement may take"
    } else {
        ""
    };
    format!("{} (SQLSTATE {code}){hint}", error.message())
}

pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::unavailable("Postgres is unavailable")
            .with_source(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "Postgres is unavailable: connection refused");
    }
}
