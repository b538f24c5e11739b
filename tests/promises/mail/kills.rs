//! Mailers die in the middle of a mail: each arrives, and few come twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Trade;
use crate::harness::smtp::{Act, SmtpServer};
use crate::harness::wait::until_true;

/// What is done to the mailer.
struct Plan {
    mails: usize,
    kills: usize,
    /// Does the server put off every third attempt?
    busy: bool,
    /// How long after the last kill every mail has to be there.
    bound: Duration,
}

/// At the worst moment: the server has the mail, and the mailer does not know it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_arrives_though_its_mailer_is_killed_before_it_heard_so() {
    let plan = Plan {
        mails: 5,
        kills: 1,
        busy: false,
        bound: Duration::from_mins(1),
    };
    assert_eq!(kill_mailers(&plan).await, 1, "that one comes twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak: some minutes, for mails that are put off"]
async fn two_hundred_mails_arrive_though_the_server_is_busy_and_mailers_are_killed() {
    let plan = Plan {
        mails: 200,
        kills: 5,
        busy: true,
        bound: Duration::from_mins(15),
    };
    let again = kill_mailers(&plan).await;
    assert_eq!(
        again, 5,
        "one for each kill, for each was at the worst moment"
    );
}

/// Carries the plan out, and answers how many second copies there were.
async fn kill_mailers(plan: &Plan) -> usize {
    let next_is_held = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicUsize::new(0));
    let smtp = server(plan.busy, Arc::clone(&next_is_held), Arc::clone(&held)).await;
    let trade = Trade::begin().await;
    let mut orders = BTreeSet::new();
    for _ in 0..plan.mails {
        orders.insert(trade.buy().await);
    }
    let mut mailer = trade.mailer(&smtp, &[]);
    for kill in 1..=plan.kills {
        next_is_held.store(true, Ordering::Relaxed);
        until_true(
            "a mail that waits to be confirmed",
            plan.bound,
            async || {
                mailer.expect_running();
                held.load(Ordering::Relaxed) == kill
            },
        )
        .await;
        mailer.kill();
        mailer = trade.mailer(&smtp, &[]);
    }
    trade.until_sent(plan.mails, plan.bound).await;

    let mut copies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let received = smtp.received();
    for mail in &received {
        let order = orders.iter().find(|order| mail.message.contains(*order));
        let order = order.unwrap_or_else(|| panic!("no order in {}", mail.message));
        let id = mail.header("Message-ID").expect("a Message-ID").to_owned();
        copies.entry(order.clone()).or_default().insert(id);
    }
    assert_eq!(copies.len(), orders.len(), "mails for so many orders");
    let one_each = copies.values().all(|ids| ids.len() == 1);
    assert!(
        one_each,
        "two copies differ in their Message-ID: {copies:?}"
    );
    let again = received.len() - copies.len();
    let Plan { mails, kills, .. } = plan;
    println!("{mails} mails, {kills} kills: {again} second copies");
    again
}

/// Confirms no mail once it was told to hold one, until its client is dead.
async fn server(busy: bool, next_is_held: Arc<AtomicBool>, held: Arc<AtomicUsize>) -> SmtpServer {
    SmtpServer::scripted(move |command, before| match command {
        "DATA" if busy && before % 3 == 2 => Some(Act::Say("451 4.3.0 come back later")),
        "." if next_is_held.swap(false, Ordering::Relaxed) => {
            held.fetch_add(1, Ordering::Relaxed);
            Some(Act::WaitFor(Arc::new(Notify::new())))
        }
        _ => None,
    })
    .await
}
