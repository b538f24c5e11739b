//! Who may use a key, and when (I1, I2, I8).

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use twelve_core::Exit;
use twelve_web::http;

use super::app::{App, BOUND, Plan, Then, order, read};

#[tokio::test]
async fn a_duplicate_is_told_to_wait_and_does_not_wait_itself() {
    let app = Arc::new(App::new().await);
    let waiting = Plan::then(Then::Wait);
    let first = tokio::spawn({
        let (app, waiting) = (Arc::clone(&app), waiting.clone());
        async move { app.order("k", &waiting).await }
    });
    app.until_run(1).await;
    let duplicate = app.order("k", &waiting).await.expect(409);
    assert_eq!(duplicate.kind(), "idempotency-key-in-flight");
    assert_eq!(duplicate.header("retry-after"), Some("1"));

    app.shared.gate.notify_one();
    let first = first.await.unwrap().expect(201);
    let replay = app.order("k", &waiting).await.expect(201);
    assert!(replay.is_replay());
    assert_eq!(replay.body, first.body);
    assert_eq!(app.effects().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_one_key_has_one_effect() {
    let app = Arc::new(App::new().await);
    let crowd = (0..200).map(|_| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.order("k", &Plan::default()).await })
    });
    let mut new = 0;
    for answer in futures_util::future::join_all(crowd).await {
        let answer = answer.unwrap();
        match answer.status {
            201 if answer.is_replay() => {}
            201 => new += 1,
            409 => assert_eq!(answer.kind(), "idempotency-key-in-flight"),
            // The pool has eight transactions; who waited 2 s for one is told to come back.
            503 => assert!(answer.header("retry-after").is_some()),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!((new, app.runs(), app.effects().await), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_many_keys_finds_connections() {
    let app = Arc::new(App::new().await);
    let crowd = (0..100).map(|number: u32| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.order(&number.to_string(), &Plan::default()).await })
    });
    for answer in futures_util::future::join_all(crowd).await {
        answer.unwrap().expect(201);
    }
    assert_eq!(app.effects().await, 100);
}

#[tokio::test]
async fn two_callers_may_choose_one_key() {
    let app = App::new().await;
    let ada = app
        .ask(order("ada", "k", &Plan::default()))
        .await
        .expect(201);
    let bob = app
        .ask(order("bob", "k", &Plan::default()))
        .await
        .expect(201);
    assert!(!bob.is_replay());
    assert_ne!(ada.body, bob.body);
    assert_eq!(app.effects().await, 2);
}

#[tokio::test]
async fn processes_of_one_type_share_keys_and_those_of_another_do_not() {
    let app = App::new().await;
    let ask = async |process_type: &str| {
        let context = twelve_core::Context::new(
            twelve_core::Identity::new("shop", process_type),
            app.context.environment().clone(),
            app.context.lifecycle().clone(),
            twelve_core::Registry::default(),
        );
        let service = twelve_web::service(app.router.clone(), &context).unwrap();
        let order = order("ada", "k", &Plan::default());
        read(service.respond(order).await).await.expect(201)
    };
    let first = ask("web").await;
    let replay = ask("web").await;
    assert!(replay.is_replay());
    assert_eq!(replay.body, first.body);
    let partner = ask("partners").await;
    assert!(!partner.is_replay());
    assert_ne!(partner.body, first.body);
}

#[tokio::test]
async fn an_answer_can_be_kept_for_a_year_and_no_longer() {
    let app = App::new().await;
    let mut request = order("ada", "k", &Plan::default());
    *request.uri_mut() = "/for-ever".parse().unwrap();
    app.ask(request).await.expect(202);
    let kept = "SELECT count(*) FROM twelve.idempotency_keys
        WHERE expires_at BETWEEN now() + '365 days' AND now() + '366 days'";
    assert_eq!(app.count(kept).await, 1);
}

#[tokio::test]
async fn whoever_may_not_ask_sees_no_replay_either() {
    let app = App::new().await;
    app.execute(
        "INSERT INTO twelve.idempotency_keys
         VALUES ('web/mallory', 'k', '', 200, '{}', '{}', 'secret', now(), now() + interval '1 day')",
    )
    .await;
    app.ask(order("mallory", "k", &Plan::default()))
        .await
        .expect(403);
    let mut stranger = order("ada", "k", &Plan::default());
    stranger.headers_mut().remove("customer");
    app.ask(stranger).await.expect(401);
    assert_eq!(app.runs(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_finds_its_answer_when_it_returns() {
    let app = App::new().await;
    let plan = Plan::then(Then::Wait);
    {
        let asking = app.order("k", &plan);
        tokio::select! {
            _ = asking => panic!("answered too early"),
            () = app.until_run(1) => {}
        }
    }
    // It goes on, and a drain waits for it.
    let running = app.context.lifecycle().tracker().running();
    assert_eq!(running[0].0, "POST /orders");
    app.shared.gate.notify_one();
    app.until_running(0).await;
    assert_eq!(app.effects().await, 1);
    assert!(app.order("k", &plan).await.expect(201).is_replay());
    assert_eq!(app.runs(), 1);
}

#[tokio::test]
async fn a_drain_waits_for_the_request_of_a_client_that_left() {
    let app = App::new().await;
    let port = free_port();
    let context = twelve_core::Context::new(
        app.context.identity().clone(),
        app.context
            .environment()
            .clone()
            .with("PORT", port.to_string()),
        app.context.lifecycle().clone(),
        twelve_core::Registry::default(),
    );
    let lifecycle = context.lifecycle().clone();
    let main = tokio::spawn(http("web", app.router.clone()).main(context));
    let mut client = connect(port).await;
    let body = serde_json::to_string(&Plan::then(Then::Wait)).unwrap();
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: x\r\ncustomer: ada\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    app.until_run(1).await;
    drop(client);

    lifecycle.begin_drain();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!main.is_finished(), "the process did not wait");
    app.shared.gate.notify_one();
    let exit = tokio::time::timeout(BOUND, main).await.expect("no end");
    assert_eq!(exit.unwrap().unwrap(), Exit::Done);
    assert_eq!((app.effects().await, app.records().await), (1, 1));
}

/// hyper makes room for another stream when one is reset; what it leaves behind must have a bound of its own.
#[tokio::test]
async fn requests_that_are_taken_back_leave_no_more_running_than_the_pool_has_places() {
    const POOL: usize = 4;
    let app = App::new().await;
    let port = free_port();
    let context = twelve_core::Context::new(
        app.context.identity().clone(),
        app.context
            .environment()
            .clone()
            .with("PORT", port.to_string())
            .with("TWELVE_DATABASE_POOL", POOL.to_string()),
        app.context.lifecycle().clone(),
        twelve_core::Registry::default(),
    );
    let lifecycle = context.lifecycle().clone();
    let main = tokio::spawn(http("web", app.router.clone()).main(context));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(connect(port).await))
            .await
            .unwrap();
    tokio::spawn(connection);
    for key in 0..300 {
        let mut order = order("ada", &key.to_string(), &Plan::then(Then::Wait));
        *order.uri_mut() = format!("http://x{}", order.uri()).parse().unwrap();
        let asking = sender.send_request(order);
        // Dropping it resets its stream.
        let _ = tokio::time::timeout(Duration::from_millis(1), asking).await;
    }
    // One that waits for a connection to Postgres has 2 s to get it: none may still be waiting then.
    let begun = Instant::now();
    app.until(|running| running <= POOL).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "they went on");
    assert!(app.runs() <= POOL);

    lifecycle.begin_drain();
    app.until(|running| {
        app.shared.gate.notify_one();
        running == 0
    })
    .await;
    let exit = tokio::time::timeout(BOUND, main).await.expect("no end");
    assert_eq!(exit.unwrap().unwrap(), Exit::Done);
    // Nothing half done: each that ran has its answer.
    let (runs, effects) = (app.runs(), app.effects().await);
    let runs = i64::try_from(runs).unwrap();
    assert_eq!((runs, app.records().await), (effects, effects));
}

/// Below the kernel's ephemeral range, so that no outgoing connection gets it before the server does.
fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let from = 11_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    (from..=u16::MAX).find(is_free).unwrap()
}

async fn connect(port: u16) -> TcpStream {
    let connected = async {
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, connected)
        .await
        .expect("not listening")
}

#[tokio::test]
async fn an_expired_answer_gives_way() {
    let app = App::new().await;
    let first = app.order("k", &Plan::default()).await.expect(201);
    app.execute("UPDATE twelve.idempotency_keys SET expires_at = now()")
        .await;
    let second = app.order("k", &Plan::default()).await.expect(201);
    assert!(!second.is_replay());
    assert_ne!(second.body, first.body);
    let replay = app.order("k", &Plan::default()).await.expect(201);
    assert!(replay.is_replay());
    assert_eq!(replay.body, second.body);
    assert_eq!((app.effects().await, app.records().await), (2, 1));
}

/// The lock keeps duplicates out; should it ever fail, the unique index has the last word.
#[tokio::test]
async fn a_key_that_was_answered_behind_the_lock_is_not_answered_twice() {
    let app = Arc::new(App::new().await);
    let plan = Plan::then(Then::Wait);
    let first = tokio::spawn({
        let (app, plan) = (Arc::clone(&app), plan.clone());
        async move { read(app.service().respond(order("ada", "k", &plan)).await).await }
    });
    app.until_run(1).await;
    app.execute(
        "INSERT INTO twelve.idempotency_keys
         VALUES ('web/ada', 'k', '', 200, '{}', '{}', 'other', now(), now() + interval '1 day')",
    )
    .await;
    app.shared.gate.notify_one();
    first.await.unwrap().expect(409);
    assert_eq!((app.effects().await, app.records().await), (0, 1));
}

#[tokio::test]
async fn expired_answers_are_pruned_a_batch_at_a_time() {
    let app = App::new().await;
    app.execute(
        "INSERT INTO twelve.idempotency_keys
         SELECT 'old', n::text, '', 200, '{}', '{}', '', now(), now() - interval '1 day'
         FROM generate_series(1, 1500) AS n",
    )
    .await;
    // The first stored answer prunes: a process may not live to store a hundred.
    app.order("k", &Plan::default()).await.expect(201);
    app.until_running(0).await;
    assert_eq!(app.records().await, 501);
}
