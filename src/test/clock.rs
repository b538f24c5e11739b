//! A clock that a test can move: the one of its database.
//!
//! Every due-query, of twelve and of the app, asks Postgres for the time.
//! So a test's database has functions of its own in the place of Postgres' clock: its search path finds them first.
//! Nothing of that exists in production, and real processes that the test starts see the same clock.

/// Run once, in the template. What was created before, such as the defaults of columns, keeps the true clock.
pub(super) const INSTALL: &str = "
CREATE SCHEMA twelve_test;
CREATE TABLE twelve_test.clock (ahead interval NOT NULL);
INSERT INTO twelve_test.clock VALUES (interval '0');
CREATE FUNCTION twelve_test.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT pg_catalog.now() + ahead FROM twelve_test.clock';
CREATE FUNCTION twelve_test.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT twelve_test.now()';
CREATE FUNCTION twelve_test.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT pg_catalog.statement_timestamp() + ahead FROM twelve_test.clock';
CREATE FUNCTION twelve_test.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
    AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM twelve_test.clock';
";

/// The search path of a test's database; `public` stays where tables are created.
pub(super) const SEARCH_PATH: &str = r#""$user", public, twelve_test, pg_catalog"#;

/// Moves the clock by this many microseconds.
pub(super) const ADVANCE: &str =
    "UPDATE twelve_test.clock SET ahead = ahead + $1::bigint * interval '1 microsecond'";
