//! An app whose schema changes while it runs, for the tests of rolling releases: its handlers read whole rows, and types of its own.

use futures_util::TryStreamExt;
use sqlx::{
    PgExecutor, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use twelve::prelude::*;

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Calm,
    Merry,
    /// Only the next release's schema has it.
    Grumpy,
}

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "spot")]
struct Spot {
    x: i32,
    y: i32,
}

/// What a handler looks at.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// Whole rows of a table that gets another column.
    Things,
    /// Values of types that are dropped and created again, bound and read.
    Feelings,
}

impl What {
    fn query(self) -> Query<'static, Postgres, PgArguments> {
        match self {
            Self::Things => sqlx::query("SELECT * FROM things ORDER BY id"),
            Self::Feelings => sqlx::query("SELECT * FROM feelings WHERE mood = $1 AND spot = $2")
                .bind(Mood::Calm)
                .bind(Spot { x: 1, y: 2 }),
        }
    }

    /// Fails unless the row is what the first migration wrote.
    fn check(self, row: &PgRow) -> Result<()> {
        let is_right = match self {
            Self::Things => row.try_get::<String, _>("name")?.starts_with("thing "),
            Self::Feelings => {
                row.try_get::<Mood, _>("mood")? == Mood::Calm
                    && row.try_get::<Spot, _>("spot")? == Spot { x: 1, y: 2 }
            }
        };
        is_right
            .then_some(())
            .ok_or_else(|| Failure::new("the row has other values"))
    }

    async fn look(self, executor: impl PgExecutor<'_>) -> Result<()> {
        self.check(&self.query().fetch_one(executor).await?)
    }
}

/// How a handler without a transaction looks.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    One,
    All,
    Stream,
}

async fn autocommit(db: Db, Path((what, how)): Path<(What, How)>) -> Result<()> {
    match how {
        How::One => what.look(&db).await,
        How::All => {
            let rows = what.query().fetch_all(&db).await?;
            rows.iter().try_for_each(|row| what.check(row))
        }
        How::Stream => {
            let mut rows = what.query().fetch(&db);
            while let Some(row) = rows.try_next().await? {
                what.check(&row)?;
            }
            Ok(())
        }
    }
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

async fn first(
    mut tx: Tx,
    Path(what): Path<What>,
    Json(Named { name }): Json<Named>,
) -> Result<StatusCode> {
    what.look(&mut tx).await?;
    add_effect(&mut tx, &name).await?;
    Ok(StatusCode::CREATED)
}

async fn later(
    mut tx: Tx,
    Path(what): Path<What>,
    Json(Named { name }): Json<Named>,
) -> Result<StatusCode> {
    add_effect(&mut tx, &name).await?;
    what.look(&mut tx).await?;
    Ok(StatusCode::CREATED)
}

async fn add_effect(tx: &mut Tx, name: &str) -> Result<()> {
    sqlx::query("INSERT INTO effects (name) VALUES ($1)")
        .bind(name)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes what only the next release's schema takes.
async fn grumble(mut tx: Tx) -> Result<StatusCode> {
    sqlx::query("INSERT INTO feelings (mood, spot) VALUES ($1, $2)")
        .bind(Mood::Grumpy)
        .bind(Spot { x: 0, y: 0 })
        .execute(&mut tx)
        .await?;
    Ok(StatusCode::CREATED)
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "look", attempts = 3, backoff = "50ms")]
struct Look {
    what: What,
    name: String,
}

async fn enqueue(
    jobs: Jobs,
    Path(what): Path<What>,
    Json(Named { name }): Json<Named>,
) -> Result<StatusCode> {
    jobs.enqueue(Look { what, name }).await?;
    Ok(StatusCode::CREATED)
}

/// Looks when its transaction has written already.
async fn look(Look { what, name }: Look, attempt: Attempt, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO completed (name, attempt) VALUES ($1, $2)")
        .bind(name)
        .bind(i64::from(attempt.number()))
        .execute(&mut tx)
        .await?;
    what.look(&mut tx).await
}

async fn everyone() -> &'static str {
    "everyone"
}

fn main() -> ExitCode {
    let later = later.idempotent(Idempotency::required(everyone));
    let routes = Router::new()
        .route("/{what}/autocommit/{how}", get(autocommit))
        .route("/{what}/first", post(first))
        .route("/{what}/later", post(later))
        .route("/{what}/job", post(enqueue))
        .route("/grumble", post(grumble));
    App::new("evolving")
        .migrations(sqlx::migrate!("tests/apps/evolving"))
        .web(routes)
        .job(look)
        .main()
}
