//! Variables: every fault named, no secret shown.

use super::{PASSWORD, run};
use crate::harness::binaries;
use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::process::Launch;
use crate::harness::shop::{COMMAND_BOUND, NO_REDIS, PAYMENTS_KEY, Server, Shop};

#[tokio::test]
async fn bad_values_of_variables_are_78_and_named() {
    let bad = [
        ("web", "TWELVE_SHUTDOWN_TIMEOUT", "soon"),
        ("web", "TWELVE_ANNOUNCE", "-1s"),
        ("web", "PORT", "65536"),
        ("web", "DATABASE_URL", "mysql://localhost/shop"),
        ("web", "REDIS_URL", "http://localhost:6379"),
        ("web", "REDIS_URL", "redis://localhost/3?db=4"),
        ("web", "REDIS_URL", "redis://localhost?database=4"),
        ("web", "TWELVE_POLL_ONLY", "maybe"),
        ("scheduler", "TWELVE_POLL_ONLY", "maybe"),
        ("web", "LIVE_URL", "localhost:5200"),
        ("web", "LIVE_URL", "http://localhost:5200/live"),
        ("worker", "PAYMENTS_URL", "not a url"),
        ("compute", "TWELVE_BLOCKING_THREADS", "0"),
        ("worker", "TWELVE_WORKER_WEIGHTS", "often"),
        ("mailer", "TWELVE_WORKER_WEIGHTS", "often"),
        ("mailer", "TWELVE_MAILER_CONCURRENCY", "0"),
        ("payments", "PAYMENTS_FAIL_RATE", "often"),
        ("payments", "PAYMENTS_LATENCY_MS", "-1"),
    ];
    for (process_type, name, value) in bad {
        let launch = Launch::new(binaries::shop())
            .args([process_type])
            .var("DATABASE_URL", "postgres://localhost/shop")
            .var("PAYMENTS_KEY", PAYMENTS_KEY)
            .var("PAYMENTS_URL", "http://127.0.0.1:9")
            .var("REDIS_URL", NO_REDIS)
            .var("PORT", "0")
            .var(name, value);
        launch
            .run(COMMAND_BOUND)
            .await
            .expect_code(78)
            .expect_in_stderr(name);
    }
}

#[tokio::test]
async fn what_publishes_needs_redis_and_nothing_else_does() {
    for (process_type, needs_redis) in [("web", true), ("worker", true), ("payments", false)] {
        let launch = Launch::new(binaries::shop())
            .args([process_type])
            .var("DATABASE_URL", "not a url")
            .var("PAYMENTS_KEY", PAYMENTS_KEY)
            .var("PAYMENTS_URL", "http://127.0.0.1:9");
        let ended = launch.run(COMMAND_BOUND).await.expect_code(78);
        assert_eq!(
            ended.printed().contains("REDIS_URL"),
            needs_redis,
            "{process_type}: {}",
            ended.printed()
        );
    }
}

#[tokio::test]
async fn config_shows_what_is_set_and_never_a_secret() {
    for ended in [run(["config"]).await, run(["config", "--json"]).await] {
        let ended = ended.expect_code(0);
        let printed = ended.printed();
        for name in ["DATABASE_URL", "PAYMENTS_KEY", "PAYMENTS_URL", "PORT"] {
            assert!(printed.contains(name), "{name} is missing:\n{printed}");
        }
        assert!(printed.contains("http://127.0.0.1:9"), "{printed}");
        assert_no_secret(&printed);
    }
    run(["config", "--json"]).await.expect_json();
}

#[tokio::test]
async fn no_fault_prints_a_secret() {
    let url = format!("postgres://shop:{PASSWORD}@localhost:not-a-port/shop");
    for word in ["web", "worker", "payments", "release", "config"] {
        let launch = Launch::new(binaries::shop())
            .args([word])
            .var("DATABASE_URL", &*url)
            .var("PAYMENTS_KEY", PAYMENTS_KEY)
            .var("PAYMENTS_URL", format!("htp//shop:{PASSWORD}@payments"));
        let ended = launch.run(COMMAND_BOUND).await;
        let printed = ended.printed();
        assert_no_secret(&printed);
        assert!(printed.contains("DATABASE_URL"), "{printed}");
        if word != "config" {
            ended.expect_code(78);
        }
    }
}

#[tokio::test]
async fn a_secret_may_come_from_a_file() {
    let shop = Shop::released().await;
    let file = std::env::temp_dir().join(format!("promises-payments-key-{:x}", fastrand::u64(..)));
    std::fs::write(&file, format!("{PAYMENTS_KEY}\n")).expect("write the secret");
    let launch = Launch::new(binaries::shop())
        .args(["payments"])
        .var("DATABASE_URL", &*shop.database.url)
        .var("PAYMENTS_KEY_FILE", file.display().to_string());
    let payments = Server::start(launch, port::free()).await;
    let listing = Request::get("/charges?order=00000000-0000-4000-8000-000000000000");
    ask(payments.port, &listing.clone().bearer(PAYMENTS_KEY))
        .await
        .expect(200);
    ask(payments.port, &listing.bearer("wrong"))
        .await
        .expect(401);
    let _ = std::fs::remove_file(file);
}

fn assert_no_secret(printed: &str) {
    for secret in [PASSWORD, PAYMENTS_KEY] {
        assert!(
            !printed.contains(secret),
            "a secret was printed:\n{printed}"
        );
    }
}
