//! `Db` and `Tx` over connections that no longer fit their database, on a real Postgres: the test kit's.

mod database;

mod abandoned;
mod author;
mod deadlines;
mod own;
mod read_only;
mod replan;
mod schema;
mod siblings;
mod statements;
mod transactions;
mod types;
