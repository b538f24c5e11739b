//! Workers die, the provider misbehaves, and every order is charged once
//! (item 5).

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::harness::gate::Gate;
use crate::harness::http::{Request, send};
use crate::harness::process::{Process, at_a_moment};
use crate::harness::seed;
use crate::harness::shop::{Customer, Provider, Server, Shop, fresh_key, id_of};
use crate::harness::wait::{until, until_true};

/// How long after the last blow every order has to be paid.
const PAID_BOUND: Duration = Duration::from_mins(1);

/// What is done to the shop.
pub(crate) struct Plan {
    pub(crate) orders: usize,
    /// One order after each such time.
    pub(crate) pace: Duration,
    pub(crate) kills: usize,
    /// The time between two kills, in milliseconds.
    pub(crate) pause_ms: Range<u64>,
}

/// What was seen.
pub(crate) struct Figures {
    pub(crate) orders: usize,
    pub(crate) charges: usize,
    /// Calls at the provider; more than orders when attempts were repeated.
    pub(crate) calls: usize,
    pub(crate) kills: usize,
    /// From the last kill, or the end of the pause, until the last order was
    /// paid.
    pub(crate) paid_after_the_last_blow: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            orders,
            charges,
            calls,
            kills,
            paid_after_the_last_blow: after,
        } = self;
        write!(
            formatter,
            "{orders} orders, {charges} charges, {calls} calls of the provider, "
        )?;
        write!(
            formatter,
            "{kills} kills, all paid {after:.1?} after the last blow"
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_charged_once_though_workers_are_killed_and_the_provider_fails() {
    let plan = Plan {
        orders: 60,
        pace: Duration::from_millis(100),
        kills: 5,
        pause_ms: 800..1_500,
    };
    let figures = kill_workers(plan).await;
    println!("{figures}");
    // Else nothing was tested: neither a failure nor a kill repeated a call.
    assert!(figures.calls > figures.orders, "{figures}");
}

/// One dead worker, and its job is back within 30 s (P5).
#[tokio::test]
async fn a_dead_workers_job_runs_again_within_thirty_seconds() {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = shop.payments(&[]).await;
    provider.gate.close();
    let mut doomed = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let order = customer.buy(web.port, &fresh_key()).await;
    provider.gate.until_calls(1, Duration::from_secs(20)).await;

    doomed.kill();
    let died = Instant::now();
    let _heir = shop.worker(&provider.gate, &[]);
    provider.gate.until_calls(2, Duration::from_secs(30)).await;
    println!(
        "the job ran again {:?} after its worker died",
        died.elapsed()
    );
    provider.gate.open();
    customer
        .until_paid(web.port, &order, Duration::from_secs(20))
        .await;
    assert_eq!(shop.charged_orders().await, [order]);
    let keys = provider.gate.keys();
    assert_eq!(keys[0], keys[1], "the key is stable across attempts");
}

/// Carries the plan out with two workers, of which a killed one is replaced at
/// once, and checks that every order is paid and charged once.
pub(crate) async fn kill_workers(plan: Plan) -> Figures {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = misbehaving(&shop).await;
    let mut workers = [
        shop.worker(&provider.gate, &[]),
        shop.worker(&provider.gate, &[]),
    ];
    let customer = Customer::sign_up(web.port).await;
    let placing = tokio::spawn(place(web.port, customer.clone(), plan.orders, plan.pace));
    provider.gate.until_calls(1, Duration::from_secs(20)).await;

    let mut random = seed::random("the kills");
    for _ in 0..plan.kills {
        at_a_moment(Duration::from_millis(random.u64(plan.pause_ms.clone()))).await;
        let victim = &mut workers[random.usize(0..2)];
        victim.expect_running();
        victim.kill();
        *victim = shop.worker(&provider.gate, &[]);
    }
    let last_kill = Instant::now();
    let placed = placing.await.expect("placing orders does not panic");

    until_all_paid(&web, &customer, &placed).await;
    let paid_after_the_last_blow = last_kill.elapsed();
    let charges = expect_one_charge_each(&shop, &web, &customer, &placed).await;
    expect_one_key_each(&provider.gate, placed.len());
    Figures {
        orders: placed.len(),
        charges,
        calls: provider.gate.calls().len(),
        kills: plan.kills,
        paid_after_the_last_blow,
    }
}

/// Stops one of two workers in the middle of a job for longer than a dead
/// worker is waited for, and answers what its log says once it runs again.
pub(crate) async fn pause_a_worker(plan: Plan, pause: Duration) -> (Figures, String) {
    let shop = Shop::released().await;
    let web = shop.web(&[]).await;
    let provider = misbehaving(&shop).await;
    // A gate of its own tells the calls of the worker that will be stopped.
    let own_gate = Gate::before(provider.server.port).await;
    own_gate.close();
    let stopped = shop.worker(&own_gate, &[]);
    let _other = shop.worker(&provider.gate, &[]);
    let customer = Customer::sign_up(web.port).await;
    let placing = tokio::spawn(place(web.port, customer.clone(), plan.orders, plan.pace));
    own_gate.until_calls(1, Duration::from_mins(1)).await;

    stopped.signal(Signal::STOP);
    // The provider's answers wait in the sockets of the stopped worker.
    own_gate.open();
    at_a_moment(pause).await;
    let before = stopped.log().len();
    stopped.signal(Signal::CONT);
    let continued = Instant::now();

    let placed = placing.await.expect("placing orders does not panic");
    until_all_paid(&web, &customer, &placed).await;
    let paid_after_the_last_blow = continued.elapsed();
    let refusal = until_refusal(&stopped, before).await;
    let charges = expect_one_charge_each(&shop, &web, &customer, &placed).await;
    let figures = Figures {
        orders: placed.len(),
        charges,
        calls: provider.gate.calls().len() + own_gate.calls().len(),
        kills: 0,
        paid_after_the_last_blow,
    };
    (figures, refusal)
}

/// The line in which the worker says that its late ack was refused.
async fn until_refusal(worker: &Process, before: usize) -> String {
    let says_so = |line: &&str| {
        let line = line.to_lowercase();
        ["refused", "stale", "fenced", "lost its lease", "no longer"]
            .iter()
            .any(|word| line.contains(word))
    };
    until(
        "the refusal of the late ack in the log",
        Duration::from_secs(30),
        async || {
            let log = worker.log();
            log.get(before..)?.lines().find(says_so).map(str::to_owned)
        },
    )
    .await
}

async fn misbehaving(shop: &Shop) -> Provider {
    shop.payments(&[
        ("PAYMENTS_FAIL_RATE", "0.2"),
        ("PAYMENTS_LATENCY_MS", "200"),
    ])
    .await
}

/// Places orders at a steady pace, each retried until it is placed, and
/// answers their ids.
async fn place(port: u16, customer: Customer, count: usize, pace: Duration) -> BTreeSet<String> {
    let mut paced = tokio::time::interval(pace);
    let mut placing = JoinSet::new();
    for _ in 0..count {
        paced.tick().await;
        let request = customer.order(&fresh_key());
        placing.spawn(place_one(port, request));
    }
    placing.join_all().await.into_iter().collect()
}

async fn place_one(port: u16, request: Request) -> String {
    for _ in 0..50 {
        match send(port, &request).await {
            Ok(answer) if answer.status == 201 => return id_of(&answer),
            Ok(answer) if matches!(answer.status, 409 | 503) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => panic!("an order was not taken: {other:?}"),
        }
    }
    panic!("an order was not taken in fifty tries");
}

async fn until_all_paid(web: &Server, customer: &Customer, placed: &BTreeSet<String>) {
    until_true("every order to be paid", PAID_BOUND, async || {
        let orders = customer.orders(web.port).await;
        let paid = orders
            .iter()
            .filter(|order| order["status"] == "paid")
            .count();
        paid == placed.len()
    })
    .await;
}

/// Checks that orders and charges are the same set, one to one.
async fn expect_one_charge_each(
    shop: &Shop,
    web: &Server,
    customer: &Customer,
    placed: &BTreeSet<String>,
) -> usize {
    let charged = shop.charged_orders().await;
    assert_eq!(
        charged.len(),
        placed.len(),
        "charges and orders differ in number"
    );
    assert_eq!(&charged.iter().cloned().collect::<BTreeSet<_>>(), placed);
    let orders = customer.orders(web.port).await;
    let ids: BTreeSet<_> = orders
        .iter()
        .map(|order| order["charge_id"].to_string())
        .collect();
    assert_eq!(ids.len(), placed.len(), "two orders share a charge");
    charged.len()
}

/// Checks that all attempts at one order used one key.
fn expect_one_key_each(gate: &Gate, orders: usize) {
    let keys: BTreeSet<_> = gate.keys().into_iter().collect();
    assert_eq!(keys.len(), orders, "keys and orders differ in number");
}
