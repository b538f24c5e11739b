//! The shop, one process at a time, and what a customer does with it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::binaries;
use super::database::Database;
use super::gate::Gate;
use super::http::{Answer, Request, ask, send};
use super::port;
use super::process::{Finished, Launch, Process};
use super::wait::{until, until_true};

/// The secret that worker and provider share, recognisable in any output.
pub(crate) const PAYMENTS_KEY: &str = "promises-payments-key-4711";

/// Nobody listens there: orders are placed and paid without Redis too.
pub(crate) const NO_REDIS: &str = "redis://127.0.0.1:9";

/// A cold debug build on a busy machine; the promise itself (10 s) is measured
/// elsewhere.
const READY_BOUND: Duration = Duration::from_secs(20);

/// How long a one-off command may take.
pub(crate) const COMMAND_BOUND: Duration = Duration::from_secs(30);

/// A released shop: a database with the schema, and no process yet.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) database: Database,
    state: StateDirectory,
}

/// Where an app's processes can be probed; one for each test, or `shop
/// health` would see the processes of others.
#[derive(Debug)]
pub(crate) struct StateDirectory(PathBuf);

/// A process that listens.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

/// The payment provider behind a gate; workers are pointed at the gate.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) server: Server,
    pub(crate) gate: Gate,
}

impl Shop {
    /// A fresh database on which `shop release` has run.
    pub(crate) async fn released() -> Self {
        Self::released_on(Database::create().await).await
    }

    pub(crate) async fn released_on(database: Database) -> Self {
        let shop = Self::unreleased(database);
        shop.release().await.expect_code(0);
        shop
    }

    /// A shop on a database that is still empty.
    pub(crate) fn unreleased(database: Database) -> Self {
        Self {
            database,
            state: StateDirectory::new(),
        }
    }

    pub(crate) async fn release(&self) -> Finished {
        self.launch(["release"]).run(COMMAND_BOUND).await
    }

    /// The shop's command line with the variables that every process type of
    /// it gets from its host.
    pub(crate) fn launch<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Launch {
        Launch::new(binaries::shop())
            .args(arguments)
            .var("DATABASE_URL", &*self.database.url)
            .var("PAYMENTS_KEY", PAYMENTS_KEY)
            .var("TWELVE_STATE_DIR", self.state.path())
            .var("REDIS_URL", NO_REDIS)
            .var("REPORTS_TO", "reports@example.com")
            // Nobody listens there; `worker` gets the provider's.
            .var("PAYMENTS_URL", "http://127.0.0.1:9")
    }

    pub(crate) async fn web(&self, variables: &[(&str, &str)]) -> Server {
        Server::start(self.launch(["web"]).vars(variables), port::free()).await
    }

    /// The provider, with a gate before it.
    pub(crate) async fn payments(&self, variables: &[(&str, &str)]) -> Provider {
        let server = Server::start(self.launch(["payments"]).vars(variables), port::free()).await;
        let gate = Gate::before(server.port).await;
        Provider { server, gate }
    }

    /// A worker that pays through `gate`; it may not be ready yet.
    pub(crate) fn worker(&self, gate: &Gate, variables: &[(&str, &str)]) -> Process {
        let provider = format!("http://127.0.0.1:{}", gate.port);
        self.launch(["worker"])
            .var("PAYMENTS_URL", provider)
            .vars(variables)
            .spawn()
    }

    /// The order that each stored charge is for.
    pub(crate) async fn charged_orders(&self) -> Vec<String> {
        let charges = self.database.rows("payments.charges").await;
        let order_of = |charge: &Value| {
            let order = charge.get("order_id").or_else(|| charge.get("order"));
            let order = order.unwrap_or_else(|| panic!("no order in {charge}"));
            order.as_str().expect("an order is a string").to_owned()
        };
        charges.iter().map(order_of).collect()
    }
}

impl StateDirectory {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("promises-{:08x}", fastrand::u32(..))))
    }

    /// The value of `TWELVE_STATE_DIR`.
    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Starts an HTTP process type on `port` and waits until it is ready.
    pub(crate) async fn start(launch: Launch, port: u16) -> Self {
        let mut server = Self::start_unready(launch, port);
        let ready = Request::get("/ready");
        until_true("/ready to answer 200", READY_BOUND, async || {
            server.process.expect_running();
            send(port, &ready)
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await;
        server
    }

    pub(crate) fn start_unready(launch: Launch, port: u16) -> Self {
        Self {
            process: launch.var("PORT", port.to_string()).spawn(),
            port,
        }
    }

    /// Waits until `/ready` says 503: the process has seen its signal.
    pub(crate) async fn until_announced(&self) {
        until_true("/ready to answer 503", Duration::from_secs(2), async || {
            send(self.port, &Request::get("/ready"))
                .await
                .is_ok_and(|answer| answer.status == 503)
        })
        .await;
    }

    /// Waits until nobody listens any more: the announcement is over.
    pub(crate) async fn until_refusing(&self, bound: Duration) {
        until_true("connections to be refused", bound, async || {
            send(self.port, &Request::get("/health")).await.is_err()
        })
        .await;
    }
}

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) token: String,
}

impl Customer {
    pub(crate) async fn sign_up(port: u16) -> Self {
        let email = format!("{:08x}@example.com", fastrand::u32(..));
        let answer = ask(
            port,
            &Request::post("/customers", &json!({ "email": email })),
        )
        .await
        .expect(201);
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        Self { token }
    }

    /// The request for two packets of tea under `key`.
    pub(crate) fn order(&self, key: &str) -> Request {
        Request::post("/orders", &tea(2))
            .bearer(&self.token)
            .key(key)
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        Request::get(target).bearer(&self.token)
    }

    /// Places an order and answers its id.
    pub(crate) async fn buy(&self, port: u16, key: &str) -> String {
        id_of(&ask(port, &self.order(key)).await.expect(201))
    }

    pub(crate) async fn read(&self, port: u16, id: &str) -> Value {
        ask(port, &self.get(&format!("/orders/{id}")))
            .await
            .expect(200)
            .json()
    }

    /// Waits until the order is paid and answers it.
    pub(crate) async fn until_paid(&self, port: u16, id: &str, bound: Duration) -> Value {
        until(&format!("order {id} to be paid"), bound, async || {
            let order = self.read(port, id).await;
            (order["status"] == "paid").then_some(order)
        })
        .await
    }

    /// All of the customer's orders, page by page.
    pub(crate) async fn orders(&self, port: u16) -> Vec<Value> {
        let mut orders = Vec::new();
        let mut target = "/orders?limit=100".to_owned();
        loop {
            let page = ask(port, &self.get(&target)).await.expect(200).json();
            orders.extend(page["orders"].as_array().expect("a list").iter().cloned());
            let Some(next) = page["next"].as_str() else {
                return orders;
            };
            target = format!("/orders?limit=100&after={next}");
        }
    }
}

/// An order's body.
pub(crate) fn tea(quantity: u64) -> Value {
    json!({ "items": [{ "sku": "tea", "quantity": quantity }] })
}

pub(crate) fn id_of(order: &Answer) -> String {
    order.json()["id"]
        .as_str()
        .expect("an order has an id")
        .to_owned()
}

/// A key that nobody has used.
pub(crate) fn fresh_key() -> String {
    format!("key-{:032x}", fastrand::u128(..))
}
