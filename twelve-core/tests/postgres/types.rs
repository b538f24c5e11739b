//! Types that were dropped and created again under the same name, bound and read.

use crate::database::Database;

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Calm,
    Merry,
}

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "spot")]
struct Spot {
    x: i32,
    mood: Mood,
}

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'merry');
    CREATE TYPE spot AS (x int, mood mood)";

const AGAIN: &str = "
    BEGIN;
    DROP TYPE spot;
    DROP TYPE mood;
    CREATE TYPE mood AS ENUM ('merry', 'calm');
    CREATE TYPE spot AS (x int, mood mood);
    COMMIT";

const SPOT: Spot = Spot {
    x: 1,
    mood: Mood::Merry,
};

#[tokio::test]
async fn values_of_new_types_are_bound_and_read_by_statements_that_are_warm() {
    let mut database = Database::with(TYPES).await;
    let db = database.db.clone();
    let look = || async {
        let mood: Mood = sqlx::query_scalar("SELECT $1::mood")
            .bind(Mood::Calm)
            .fetch_one(&db)
            .await
            .unwrap();
        let spot: Spot = sqlx::query_scalar("SELECT $1::spot")
            .bind(SPOT)
            .fetch_one(&db)
            .await
            .unwrap();
        let moods: Vec<Mood> = sqlx::query_scalar("SELECT $1::mood[]")
            .bind(vec![Mood::Merry, Mood::Calm])
            .fetch_one(&db)
            .await
            .unwrap();
        assert_eq!(mood, Mood::Calm);
        assert_eq!(spot, SPOT);
        assert_eq!(moods, [Mood::Merry, Mood::Calm]);
    };
    look().await;
    database.operate(AGAIN).await;
    look().await;
    database.operate(AGAIN).await;
    look().await;
}

/// sqlx keeps what it knows of types beside its statements: one that is new to the connection meets the old type too.
#[tokio::test]
async fn a_statement_that_is_new_to_its_connection_finds_the_new_type() {
    let mut database = Database::with(TYPES).await;
    let db = database.db.clone();
    let warm = sqlx::query("SELECT $1::mood").bind(Mood::Calm);
    warm.execute(&db).await.unwrap();
    database.operate(AGAIN).await;
    let new = sqlx::query_scalar("SELECT $1::mood = 'merry'").bind(Mood::Merry);
    let is_merry: bool = new.fetch_one(&db).await.unwrap();
    assert!(is_merry);
}
