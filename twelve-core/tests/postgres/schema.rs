//! The private servers are there for the app: its tables are its own.

use crate::database::Database;

#[tokio::test]
async fn a_table_of_an_app_may_have_the_name_of_one_of_ours() {
    let setup = "CREATE SCHEMA IF NOT EXISTS twelve; CREATE TABLE jobs (id int)";
    let mut database = Database::with(setup).await;
    assert_eq!(database.number("SELECT count(*) FROM public.jobs").await, 0);
}
