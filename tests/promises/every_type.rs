//! All process types of the shop at once.

use std::time::Duration;

use futures_util::StreamExt;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::http::{Request, ask};
use crate::harness::port;
use crate::harness::process::{Launch, Process};
use crate::harness::redis::Redis;
use crate::harness::shop::{COMMAND_BOUND, Customer, Server, Shop, fresh_key};
use crate::harness::smtp::SmtpServer;
use crate::harness::wait::{until, until_true};

const SOON: Duration = Duration::from_secs(40);

/// So many keep a debug build busy for seconds, and no longer.
const DAYS: u32 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_goes_through_all_process_types_and_all_drain() {
    let (redis, smtp) = (Redis::shared().await, SmtpServer::kind().await);
    let shop = Shop::released().await;
    let launch = |word| shop.launch([word]).var("REDIS_URL", &*redis.url);
    let serve = async |word| Server::start(launch(word), port::free()).await;
    let payments = serve("payments").await;
    let (web, live) = (serve("web").await, serve("live").await);
    let provider = format!("http://127.0.0.1:{}", payments.port);
    let spawn = |launch: Launch| launch.spawn();
    let workers = [
        spawn(launch("worker").var("PAYMENTS_URL", provider)),
        spawn(launch("compute")),
        spawn(launch("scheduler")),
        spawn(launch("mailer").var("SMTP_URL", smtp.url())),
    ];

    let customer = Customer::sign_up(web.port).await;
    let mut socket = watch(&live, &customer).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    until_told(&mut socket, &order, "paid").await;
    customer.until_paid(web.port, &order, SOON).await;
    let forecast = ask_for_forecast(&web, &customer).await;
    until_forecast(&web, &customer, &forecast, "done").await;
    until_true("the receipt", SOON, async || {
        let received = smtp.received();
        received.iter().any(|mail| mail.message.contains(&order))
    })
    .await;
    expect_listings(&shop).await;

    let servers = [web, live, payments].map(|server| server.process);
    let mut all: Vec<Process> = servers.into_iter().chain(workers).collect();
    for process in &all {
        process.signal(Signal::TERM);
    }
    for process in &mut all {
        let exit = process.exit_within(SOON).await;
        assert_eq!(exit.code, Some(0), "{exit:?}\n{}", process.log());
    }
    let close = until_closed(&mut socket).await;
    assert_eq!(close, Some(1001), "the socket was not closed in order");
}

/// What `jobs`, `schedules` and `health` say while everything runs.
async fn expect_listings(shop: &Shop) {
    let listed = async |words: &[&str]| {
        let launch = shop.launch(words.iter().copied());
        launch.run(COMMAND_BOUND).await.expect_code(0).expect_json()
    };
    until_true("all jobs to be listed as done", SOON, async || {
        let listed = listed(&["jobs", "list", "--json"]).await;
        ["charge_order", "forecast_demand", "mail"]
            .iter()
            .all(|kind| {
                let is_done = |job: &Value| job["kind"] == *kind && job["state"] == "done";
                listed["jobs"]
                    .as_array()
                    .is_some_and(|jobs| jobs.iter().any(is_done))
            })
    })
    .await;
    let schedules = listed(&["schedules", "--json"]).await;
    for schedule in schedules["schedules"].as_array().expect("a list") {
        assert!(schedule["next_tick"].is_string(), "{schedule}");
    }
    let health = listed(&["health", "--json"]).await.to_string();
    for process in [
        "web",
        "live",
        "payments",
        "worker",
        "compute",
        "scheduler",
        "mailer",
    ] {
        assert!(
            health.contains(&format!("\"{process}\"")),
            "no {process} in {health}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forecast_is_done_once_though_its_worker_is_killed_in_the_middle() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let customer = Customer::sign_up(web.port).await;
    let forecast = ask_for_forecast(&web, &customer).await;
    let mut compute = shop.launch(["compute"]).spawn();
    until_forecast(&web, &customer, &forecast, "running").await;
    compute.kill();
    let running = read_forecast(&web, &customer, &forecast).await;
    assert_eq!(running["status"], "running", "it was done before the kill");

    let _heir = shop.launch(["compute"]).spawn();
    let done = until_forecast(&web, &customer, &forecast, "done").await;
    assert!(done["result"]["likely"].is_i64(), "{done}");
    let list = shop.launch(["jobs", "list", "--kind", "forecast_demand", "--json"]);
    let job = until("its job to be done", SOON, async || {
        let listed = list.clone().run(COMMAND_BOUND).await.expect_code(0);
        let jobs = listed.expect_json()["jobs"].as_array().cloned()?;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        (jobs[0]["state"] == "done").then(|| jobs[0].clone())
    })
    .await;
    assert_eq!(job["attempts"], 1, "a crash is no attempt: {job}");
    assert_eq!(job["last_error"], "the worker died", "{job}");
}

async fn ask_for_forecast(web: &Server, customer: &Customer) -> String {
    let wanted = json!({"sku": "tea", "days": DAYS});
    let asked = Request::post("/forecasts", &wanted).bearer(&customer.token);
    let forecast = ask(web.port, &asked).await.expect(202).json();
    forecast["id"].as_str().expect("an id").to_owned()
}

async fn read_forecast(web: &Server, customer: &Customer, id: &str) -> Value {
    let request = customer.get(&format!("/forecasts/{id}"));
    ask(web.port, &request).await.expect(200).json()
}

async fn until_forecast(web: &Server, customer: &Customer, id: &str, status: &str) -> Value {
    until(
        &format!("the forecast to be {status}"),
        SOON * 2,
        async || {
            let forecast = read_forecast(web, customer, id).await;
            (forecast["status"] == status).then_some(forecast)
        },
    )
    .await
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn watch(live: &Server, customer: &Customer) -> Socket {
    let url = format!("ws://127.0.0.1:{}/live?token={}", live.port, customer.token);
    connect_async(url).await.expect("a WebSocket").0
}

/// Waits until `live` says so.
async fn until_told(socket: &mut Socket, order: &str, status: &str) {
    let told = async {
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message.expect("a message") else {
                continue;
            };
            let change: Value = serde_json::from_str(&text).expect("JSON");
            if change["order"] == order && change["status"] == status {
                return;
            }
        }
        panic!("the socket has ended");
    };
    let told = tokio::time::timeout(SOON, told).await;
    assert!(told.is_ok(), "nobody says that it is {status}");
}

/// The code with which the server closed the socket.
async fn until_closed(socket: &mut Socket) -> Option<u16> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(close) = message {
            return close.map(|close| close.code.into());
        }
    }
    None
}
