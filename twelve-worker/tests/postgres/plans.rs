//! No statement that runs all the time reads a whole table of jobs, however many there are, and whatever Postgres knows of that.

use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use twelve_core::Db;
use twelve_worker::store::{
    Working,
    postgres::{HOT, PostgresStore},
};

use crate::database::fresh_database;

/// The tables that grow with the jobs.
const LARGE: [&str; 7] = [
    "jobs",
    "ready",
    "scheduled",
    "finished",
    "unique_keys",
    "job_errors",
    "job_steps",
];

/// Sorts of what one statement moves: they are as long as a batch.
const SORTED: [&str; 6] = [
    "lease.job",
    "due.run_at",
    "due_1.run_at",
    "back.place",
    "rescued.id",
    "rescued_1.id",
];

/// A million jobs wait, 200,000 are scheduled, as many are kept; 2,000 of those that wait are claimed.
///
/// Autovacuum would sooner or later mend what is to be seen here.
const FILL: &str = "
INSERT INTO twelve.queues VALUES ('default'), ('mail');
INSERT INTO twelve.workers (id, process_type, host, pid, concurrency, only_named, queues, kinds, beat)
VALUES (pg_temp.id(9, 1), 'worker', 'h', 1, 8, false, '{}', '{noop}', 1);
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority)
    SELECT pg_temp.id(0, n), 'noop', 'default', '{}', 20, 20, 2 FROM generate_series(0, 999999) AS n
    RETURNING id
)
INSERT INTO twelve.ready (queue, lane, job, epoch) SELECT 'default', 2, id, 0 FROM job;
WITH job AS (
    INSERT INTO twelve.jobs (id, kind, queue, payload, max_attempts, attempts_granted, priority, run_at)
    SELECT pg_temp.id(1, n), 'noop', 'default', '{}', 20, 20, 2, now() + n * interval '1 s' FROM generate_series(0, 199999) AS n
    RETURNING id, run_at
)
INSERT INTO twelve.scheduled (run_at, job, epoch) SELECT run_at, id, 0 FROM job;
INSERT INTO twelve.finished (id, epoch, created_at, finished_at, expires_at, attempts, max_attempts, attempts_granted,
    crashes, priority, suspect, state, kind, queue)
SELECT pg_temp.id(2, n), 0, now(), now(), now() + n * interval '1 s', 1, 20, 20, 0, 2, false, 'done', 'noop', 'default'
FROM generate_series(0, 199999) AS n;
INSERT INTO twelve.unique_keys
SELECT pg_temp.id(5, n), pg_temp.id(0, n), false, now() + n * interval '1 s' FROM generate_series(0, 99999) AS n;
INSERT INTO twelve.job_errors (job_id, attempt, cause, message)
SELECT pg_temp.id(0, n), 1, 'failed', 'm' FROM generate_series(0, 99999) AS n;
INSERT INTO twelve.job_steps (job_id, name, result)
SELECT pg_temp.id(0, n), 's', '1' FROM generate_series(0, 99999) AS n;
INSERT INTO twelve.claims (worker, id, jobs, epochs, alone)
SELECT pg_temp.id(9, 1), pg_temp.id(7, n), pg_temp.ids(0, n * 100, 100), array_fill(0::bigint, ARRAY[100]), false
FROM generate_series(0, 19) AS n;";

/// Ids in order, as version 7 makes them; the first number tells the lines apart.
const IDS: &str = "
CREATE FUNCTION pg_temp.id(series int, number int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$SELECT ('01900000-0000-7000-8' || series || '00-' || lpad(to_hex(number), 12, '0'))::uuid$$;
CREATE FUNCTION pg_temp.ids(series int, first int, count int) RETURNS uuid[] LANGUAGE sql IMMUTABLE
    AS $$SELECT array_agg(pg_temp.id(series, number)) FROM generate_series(first, first + count - 1) AS number$$;";

/// What a statement is executed with: batches are as long as they are when a worker is busy.
fn arguments(name: &str) -> &'static str {
    match name {
        "enqueue" => "(pg_temp.id(6, 1), 'noop', 'default', '{}', 20, 2, NULL, NULL, NULL, NULL)",
        "schedule" => {
            "(pg_temp.id(6, 1), 'noop', 'default', '{}', 20, 2, NULL, NULL, NULL, NULL, NULL, 5)"
        }
        "enqueue_many" => {
            "(pg_temp.ids(6, 1, 200), array_fill('{}'::text, ARRAY[200]), 'noop', 'default', 20, 2)"
        }
        "take" | "pass_on" => "(pg_temp.id(5, 3), pg_temp.id(6, 2), false, NULL)",
        "replace" => {
            "(pg_temp.id(0, 3), pg_temp.id(5, 3), 'default', '{}', 20, 2, NULL, NULL, true, NULL, 0)"
        }
        "survey" => "('{}', false, '{0,1,2,3,9}', '{default}', '{2}', '{5}', true)",
        "promote" | "prune" => "(1000)",
        "claim" => {
            "(pg_temp.id(9, 1), pg_temp.id(7, 99), '{default,default,default,default}', '{0,1,2,3}', '{0,0,5,0}', 100, false)"
        }
        "claim_and_park" => {
            "(pg_temp.id(9, 1), pg_temp.id(7, 99), '{default,default,default,default}', '{0,1,2,3}', '{0,0,5,0}', 100, false, '{other}')"
        }
        "holder" => "(pg_temp.id(5, 3))",
        "started" => "('{}', '{}')",
        "claims_of" => "(pg_temp.id(9, 1))",
        "done_bare" => "(pg_temp.ids(0, 0, 200), 0, pg_temp.id(9, 1), pg_temp.ids(7, 0, 2))",
        "done" => {
            "(pg_temp.ids(0, 0, 50), 0, pg_temp.id(9, 1), pg_temp.ids(7, 0, 2), 1000000, 'summary')"
        }
        "forget" => "(pg_temp.id(9, 1), pg_temp.ids(7, 0, 2))",
        "again" => "(pg_temp.id(0, 3), 0, pg_temp.id(9, 1), 1, 1000, 'failed', 'm')",
        "end" => "(pg_temp.id(0, 3), 0, pg_temp.id(9, 1), 'failed', 1, 'failed', 'm', 1000)",
        "release" => "(pg_temp.ids(0, 0, 200), array_fill(0::bigint, ARRAY[200]))",
        "release_claim" => "(pg_temp.id(9, 1), pg_temp.id(7, 1))",
        "rescue" => "(pg_temp.id(9, 2), 3)",
        "rescue_orphans" => "(NULL, 3)",
        "quarantine" => "(pg_temp.ids(0, 0, 3))",
        "beat" => "(pg_temp.id(9, 1), false)",
        "cancellations" => "(pg_temp.ids(0, 0, 20))",
        "observe" | "forget_cancellations" => "",
        "step" => "(pg_temp.id(0, 3), 's')",
        "record" => "(pg_temp.id(0, 3), 0, 's', '{}')",
        other => panic!("what are the arguments of {other}?"),
    }
}

#[tokio::test]
async fn no_hot_statement_reads_a_whole_table_of_a_million_jobs() {
    let database = fresh_database().await;
    let mut connection = database.connect().await.unwrap();
    // Not the clock that tests can move.
    run(&mut connection, "SET search_path = public").await;
    for table in LARGE {
        let alone = format!("ALTER TABLE twelve.{table} SET (autovacuum_enabled = false)");
        run(&mut connection, &alone).await;
    }
    run(&mut connection, IDS).await;
    // Plans of a time when there were no jobs, and Postgres knew that well.
    run(&mut connection, "ANALYZE").await;
    for (name, statement) in HOT {
        run(
            &mut connection,
            &format!("PREPARE \"{name}\" AS {statement}"),
        )
        .await;
    }
    run(&mut connection, "SET plan_cache_mode = force_generic_plan").await;
    bad_plans(&mut connection).await;
    let mut filling = connection.begin().await.unwrap();
    run(&mut filling, FILL).await;
    let outdated = bad_plans(&mut filling).await;
    assert!(!outdated.is_empty(), "the control: a scan would be seen");
    // The worst moment: the tables are large, and Postgres sees no row of them.
    let store = PostgresStore::new(Db::new(database, 1));
    assert!(store.refresh_statistics().await.unwrap());
    assert!(!store.refresh_statistics().await.unwrap(), "once is enough");
    filling.commit().await.unwrap();
    for statistics in ["SELECT", "ANALYZE"] {
        run(&mut connection, statistics).await;
        for plans in ["force_generic_plan", "force_custom_plan"] {
            run(&mut connection, &format!("SET plan_cache_mode = {plans}")).await;
            assert_eq!(
                bad_plans(&mut connection).await,
                [""; 0],
                "{statistics}, {plans}"
            );
        }
    }
}

/// Every step of a plan that could read a table from end to end.
async fn bad_plans(connection: &mut PgConnection) -> Vec<String> {
    let mut bad = Vec::new();
    for (name, _) in HOT {
        let explain = format!(
            "EXPLAIN (FORMAT JSON) EXECUTE \"{name}\"{}",
            arguments(name)
        );
        let mut transaction = connection.begin().await.unwrap();
        let plan: Value = sqlx::raw_sql(AssertSqlSafe(explain))
            .fetch_one(&mut *transaction)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .get(0);
        transaction.rollback().await.unwrap();
        find_bad(name, &plan, &mut bad);
    }
    bad
}

fn find_bad(name: &str, part: &Value, bad: &mut Vec<String>) {
    match part {
        Value::Array(parts) => parts.iter().for_each(|part| find_bad(name, part, bad)),
        Value::Object(fields) => {
            let field = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
            let (step, table) = (field("Node Type"), field("Relation Name"));
            let is_large = LARGE.contains(&table);
            // The next one due: the first entry of the index, and no further.
            let is_first = name == "survey" && table == "scheduled";
            let keys = fields.get("Sort Key").and_then(Value::as_array);
            let is_short = |key: &Value| key.as_str().is_some_and(|key| SORTED.contains(&key));
            let is_bad = match step {
                "Seq Scan" => is_large,
                "Index Scan" | "Index Only Scan" => {
                    is_large && field("Index Cond").is_empty() && !is_first
                }
                "Sort" | "Incremental Sort" => !keys.is_some_and(|keys| keys.iter().all(is_short)),
                _ => false,
            };
            if is_bad {
                bad.push(format!("{name}: {step} {table}"));
            }
            fields.values().for_each(|part| find_bad(name, part, bad));
        }
        _ => {}
    }
}

async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
}
