//! SIGKILL at any moment of a request.

use std::fmt;
use std::time::{Duration, Instant};

use crate::harness::http::{Answer, Failure, Request, send};
use crate::harness::port;
use crate::harness::process::at_a_moment;
use crate::harness::seed;
use crate::harness::shop::{Customer, Server, Shop, fresh_key};
use crate::harness::wait::until;

/// What a run of [`rounds`] saw.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) rounds: usize,
    pub(crate) orders: i64,
    /// Answered before the kill.
    pub(crate) answered: usize,
    /// Cut by the kill, and not yet committed: the retry did the work.
    pub(crate) cut_before_commit: usize,
    /// Cut by the kill after the commit: the retry was a replay.
    pub(crate) cut_after_commit: usize,
    pub(crate) slowest_retry: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rounds,
            orders,
            answered,
            cut_before_commit,
            cut_after_commit,
            slowest_retry,
        } = self;
        write!(
            formatter,
            "{rounds} rounds, {orders} orders; {answered} answered before the kill, "
        )?;
        write!(
            formatter,
            "{cut_before_commit} cut before the commit, {cut_after_commit} after it; "
        )?;
        write!(formatter, "slowest from kill to answer {slowest_retry:.1?}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_at_any_moment_of_a_request_leaves_one_order_a_key() {
    let figures = rounds(10).await;
    println!("{figures}");
    assert_eq!(figures.orders, 10);
}

/// Kills `web` at a random moment of a request, starts it again and retries
/// with the same key until it answers, so many times.
pub(crate) async fn rounds(count: usize) -> Figures {
    let shop = Shop::released().await;
    let port = port::free();
    let start = async || Server::start(shop.launch(["web"]), port).await;
    let mut web = start().await;
    let customer = Customer::sign_up(port).await;
    // The first request of a process also connects; the second is usual.
    customer.buy(port, &fresh_key()).await;
    let usual = Instant::now();
    customer.buy(port, &fresh_key()).await;
    // From the first byte to a little after the usual answer.
    let span = usual.elapsed().mul_f64(1.5);
    let before = shop.database.count("orders").await;
    let mut random = seed::random("the moments of the kills");
    let mut figures = Figures {
        rounds: count,
        ..Figures::default()
    };

    for _ in 0..count {
        let request = customer.order(&fresh_key());
        let asked = tokio::spawn({
            let request = request.clone();
            async move { send(port, &request).await }
        });
        at_a_moment(span.mul_f64(random.f64())).await;
        web.process.kill();
        let first = asked.await.expect("the client does not panic");

        let again = Instant::now();
        web = start().await;
        let last = retry(port, &request).await;
        figures.slowest_retry = figures.slowest_retry.max(again.elapsed());
        figures.count(first, &last);
    }
    figures.orders = shop.database.count("orders").await - before;
    figures
}

impl Figures {
    fn count(&mut self, first: Result<Answer, Failure>, last: &Answer) {
        match first {
            Ok(first) => {
                assert_eq!(
                    first.clone().expect(201).body,
                    last.body,
                    "the retry saw another order"
                );
                assert!(
                    last.is_replay(),
                    "an answered order was placed again: {last}"
                );
                self.answered += 1;
            }
            Err(_) if last.is_replay() => self.cut_after_commit += 1,
            Err(_) => self.cut_before_commit += 1,
        }
    }
}

/// Retries as a client does: while nobody answers, while the key is in flight
/// and while the service is unavailable.
async fn retry(port: u16, request: &Request) -> Answer {
    until(
        "the retry to be answered",
        Duration::from_secs(30),
        async || {
            let answer = send(port, request).await.ok()?;
            (!matches!(answer.status, 409 | 503)).then_some(answer)
        },
    )
    .await
    .expect(201)
}
