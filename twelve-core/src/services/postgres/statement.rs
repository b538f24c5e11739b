//! A statement that can be run a second time.

use sqlx::{
    Either, Execute, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement},
};

use super::fault::Fault;
use crate::error::Error;

/// One part of the answer to a statement.
pub(super) type Step = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

/// The parts of a query of sqlx's, to run it again: the query itself gives its arguments away only once.
#[derive(Clone)]
pub(super) struct Statement {
    sql: SqlStr,
    /// `None` for a statement that is sent as text, without being prepared.
    arguments: Option<PgArguments>,
    is_persistent: bool,
}

impl Statement {
    /// # Errors
    ///
    /// An argument cannot be encoded; nothing was sent.
    pub(super) fn of<'q, E: Execute<'q, Postgres>>(mut query: E) -> Result<Self, sqlx::Error> {
        Ok(Self {
            arguments: query.take_arguments().map_err(sqlx::Error::Encode)?,
            is_persistent: query.persistent(),
            sql: query.sql(),
        })
    }
}

impl Statement {
    /// Is it sent as a text, which may hold several statements?
    pub(super) fn is_text(&self) -> bool {
        self.arguments.is_none()
    }

    /// Can it commit on its own, before its end?
    fn may_commit(&self) -> bool {
        self.begins_with(&["CALL", "DO"])
    }

    /// Why it does not stand for itself: on a connection that goes back to the pool it would be the next one's.
    pub(super) fn belongs_to_a_connection(&self) -> Option<Error> {
        let sentence = if self.begins_with(&["BEGIN", "START"]) && !self.may_leave_open() {
            "BEGIN on `&Db` would begin a transaction for whoever has its connection next: take `Tx`, or `db.begin()`"
        } else if self.begins_with(&["LISTEN"]) {
            "LISTEN on `&Db` would be heard by nobody: take sqlx's `PgListener`, with `db.options()`"
        } else {
            return None;
        };
        Some(Error::internal(sentence))
    }

    fn begins_with(&self, words: &[&str]) -> bool {
        let text = after_comments(self.sql.as_str());
        let end = text.find(|c: char| !c.is_ascii_alphabetic());
        let first = &text[..end.unwrap_or(text.len())];
        words.iter().any(|word| word.eq_ignore_ascii_case(first))
    }

    /// Can it leave a transaction open? A single BEGIN is refused already.
    pub(super) fn may_leave_open(&self) -> bool {
        self.is_text() && self.has_several()
    }

    /// Can it set a savepoint?
    pub(super) fn may_save(&self) -> bool {
        self.begins_with(&["SAVEPOINT"]) || self.may_leave_open()
    }

    /// Does something follow after a semicolon?
    fn has_several(&self) -> bool {
        let text = self.sql.as_str().trim_end();
        text.trim_end_matches(';').contains(';')
    }

    /// May it be run once more after it has failed like this? It was never begun.
    ///
    /// A text may hold several statements, of which the first have been committed.
    pub(super) fn is_repeatable_after(&self, error: &sqlx::Error) -> bool {
        match Fault::of(error) {
            _ if self.may_commit() => false,
            Fault::LostBefore => true,
            Fault::Outdated => !self.is_text(),
            _ => false,
        }
    }
}

/// The text from its first word on; a comment that holds another one counts as a word.
fn after_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.split_once('\n')
        } else if rest.starts_with("/*") {
            rest.split_once("*/")
        } else {
            None
        };
        match after {
            Some((_, after)) => rest = after.trim_start(),
            None => return rest,
        }
    }
}

impl Execute<'static, Postgres> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    /// The columns as another connection has learned them: they may have changed since, so each connection asks for itself.
    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.is_persistent
    }
}
