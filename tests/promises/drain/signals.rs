//! Signals that are hard to miss, and signals that are hard to catch.

use std::time::Duration;

use rustix::process::Signal;

use super::TIGHT;
use crate::harness::http::Connection;
use crate::harness::port;
use crate::harness::process::at_a_moment;
use crate::harness::seed;
use crate::harness::shop::{Customer, Server, Shop, fresh_key};

/// A shutdown that would take its time.
const LONG: [(&str, &str); 2] = [
    ("TWELVE_SHUTDOWN_TIMEOUT", "20s"),
    ("TWELVE_ANNOUNCE", "10s"),
];

/// Longer than two signals of one sender are apart.
const NOT_TOGETHER: Duration = Duration::from_millis(10);

/// `timeout` signals its child and then the group that both are in.
///
/// Most of five tries, because this test may lose the processor between its two signals.
#[tokio::test]
async fn two_signals_that_come_together_are_one() {
    let shop = Shop::released().await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        let mut web = shop.web(&TIGHT).await;
        web.process.signal(Signal::INT);
        web.process.signal(Signal::TERM);
        let exit = web.process.exit_within(Duration::from_secs(5)).await;
        codes.push(exit.code);
    }
    let drained = codes.iter().filter(|code| **code == Some(0)).count();
    assert!(drained >= 3, "{codes:?}");
}

#[tokio::test]
async fn a_second_sigterm_ends_the_process_with_143_within_a_tenth_of_a_second() {
    second_signal(Signal::TERM, Signal::TERM, 143).await;
}

#[tokio::test]
async fn a_second_sigint_ends_the_process_with_130_within_a_tenth_of_a_second() {
    second_signal(Signal::INT, Signal::INT, 130).await;
}

#[tokio::test]
async fn the_second_signal_decides_the_exit_code() {
    second_signal(Signal::TERM, Signal::INT, 130).await;
}

/// The middle one of five tries, because the other tests on the machine take
/// their turns too.
async fn second_signal(first: Signal, second: Signal, code: i32) {
    let shop = Shop::released().await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let mut web = shop.web(&LONG).await;
        let customer = Customer::sign_up(web.port).await;
        let (begin, _never) = customer.order(&fresh_key()).split_in_body();
        let mut connection = Connection::open(web.port).await.expect("connect");
        connection.write(&begin).await.expect("send the first half");

        web.process.signal(first);
        web.until_announced().await;
        at_a_moment(NOT_TOGETHER).await;
        web.process.signal(second);
        let exit = web.process.exit_within(Duration::from_secs(5)).await;
        assert_eq!(exit.code, Some(code), "{exit:?}");
        took.push(exit.took);
    }
    took.sort();
    println!("from the second signal to the exit: {took:?}");
    assert!(took[2] < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn sigterm_at_any_moment_after_exec_is_never_ignored() {
    let shop = Shop::released().await;
    let provider = shop.payments(&[]).await;
    let mut random = seed::random("the moments of the signals");
    let (mut drained, mut before_the_handler) = (0, 0);
    for round in 0..30 {
        let mut process = if round % 3 == 0 {
            shop.worker(&provider.gate, &TIGHT)
        } else {
            Server::start_unready(shop.launch(["web"]).vars(&TIGHT), port::free()).process
        };
        // Half of them in the first moments, where a start is busiest.
        let span = if round % 2 == 0 { 20_000 } else { 200_000 };
        at_a_moment(Duration::from_micros(random.u64(0..span))).await;
        process.signal(Signal::TERM);
        let exit = process.exit_within(Duration::from_millis(2_500)).await;
        match (exit.code, exit.signal) {
            (Some(0), None) => drained += 1,
            // Before `main` has installed a handler, the kernel ends it.
            (None, Some(15)) => before_the_handler += 1,
            _ => panic!("round {round}: {exit:?}"),
        }
    }
    println!("{drained} drained, {before_the_handler} ended before the handler was there");
    assert!(
        drained >= 10,
        "most signals come when the handler is there: {drained}"
    );
}
