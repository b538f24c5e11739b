//! An app whose jobs are what no worker wants, for the tests of bad input: they abort, block, hoard, or cannot be read.

use std::{hint::black_box, path::PathBuf, thread, time::Duration};

use twelve::{clap, prelude::*};

/// What any worker can run.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "note")]
struct Note {}

async fn note(_: Note, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO notes DEFAULT VALUES")
        .execute(&mut tx)
        .await?;
    Ok(())
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "parcel")]
struct Parcel {
    text: String,
}

/// Writes down what has arrived; Postgres' text would not take a NUL.
async fn parcel(Parcel { text }: Parcel, mut tx: Tx) -> Result<()> {
    sqlx::query("INSERT INTO parcels (content) VALUES ($1)")
        .bind(text.into_bytes())
        .execute(&mut tx)
        .await?;
    Ok(())
}

/// What the handler here takes.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "order", attempts = 3, backoff = "50ms")]
struct Order {
    number: u32,
}

async fn order(_: Order) {}

/// What a newer release enqueues.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "order", attempts = 3, backoff = "50ms")]
struct NewerOrder {
    numbers: Vec<String>,
}

/// A kind without a handler.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "stranger")]
struct Stranger {}

#[derive(Config)]
struct Blocked {
    /// The file whose existence lets those go on that block their threads.
    #[config(env = "BLOCKED_UNTIL", default = "unblocked")]
    until: PathBuf,
}

/// In a queue of its own, so that a worker without it is never blocked.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "block", queue = "blocks", timeout = "5m")]
struct Block {}

async fn block(_: Block, blocked: Conf<Blocked>, db: Db) -> Result<()> {
    note_start("block", &db).await?;
    while !blocked.until.exists() {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "collapse")]
struct Collapse {}

/// Its destructor panics: for the standard library, a panic while panicking ends the process.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!thread::panicking(), "broken while falling");
    }
}

async fn collapse(_: Collapse, db: Db) -> Result<()> {
    note_start("collapse", &db).await?;
    let _fragile = Fragile;
    panic!("falling");
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "hoard")]
struct Hoard {}

/// More than the limit under which the test runs this: the allocator ends the process.
async fn hoard(_: Hoard, db: Db) -> Result<()> {
    note_start("hoard", &db).await?;
    black_box(Vec::<u8>::with_capacity(1 << 36));
    Ok(())
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "wait")]
struct Wait {}

/// Held at its first attempt until somebody opens the gate, which is a row.
async fn wait(_: Wait, db: Db) -> Result<()> {
    note_start("wait", &db).await?;
    let is_open = "SELECT EXISTS (SELECT FROM gate)";
    while !sqlx::query_scalar::<_, bool>(is_open)
        .fetch_one(&db)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn note_start(what: &'static str, db: &Db) -> Result<()> {
    sqlx::query("INSERT INTO starts (what, pid) VALUES ($1, $2)")
        .bind(what)
        .bind(i64::from(std::process::id()))
        .execute(db)
        .await?;
    Ok(())
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    Note,
    LargeParcel,
    NulParcel,
    Order,
    NewerOrder,
    Stranger,
    Block,
    Collapse,
    Hoard,
    Wait,
}

/// `misdeeds run enqueue -- note collapse note`
#[derive(clap::Args)]
struct Enqueue {
    what: Vec<What>,
}

async fn enqueue(Args(Enqueue { what }): Args<Enqueue>, jobs: Jobs) -> Result<()> {
    for what in what {
        let text = |text: &str, times| Parcel {
            text: text.repeat(times),
        };
        let done = match what {
            What::Note => jobs.enqueue(Note {}).await.map(drop),
            What::LargeParcel => jobs.enqueue(text("ä", 1 << 19)).await.map(drop),
            What::NulParcel => jobs.enqueue(text("a\0b", 1)).await.map(drop),
            What::Order => jobs.enqueue(Order { number: 1 }).await.map(drop),
            What::NewerOrder => {
                let numbers = vec!["one".to_owned()];
                jobs.enqueue(NewerOrder { numbers }).await.map(drop)
            }
            What::Stranger => jobs.enqueue(Stranger {}).await.map(drop),
            What::Block => jobs.enqueue(Block {}).await.map(drop),
            What::Collapse => jobs.enqueue(Collapse {}).await.map(drop),
            What::Hoard => jobs.enqueue(Hoard {}).await.map(drop),
            What::Wait => jobs.enqueue(Wait {}).await.map(drop),
        };
        done?;
    }
    Ok(())
}

fn main() -> ExitCode {
    App::new("misdeeds")
        .migrations(sqlx::migrate!("tests/apps/misdeeds"))
        .job(note)
        .job(parcel)
        .job(order)
        .config::<Blocked>()
        .job(block)
        .job(collapse)
        .job(hoard)
        .job(wait)
        .task("enqueue", enqueue)
        .main()
}
