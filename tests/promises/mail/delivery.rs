//! One mail, and what may happen to it.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::Notify;

use super::{SOON, Trade};
use crate::harness::shop::{COMMAND_BOUND, Shop};
use crate::harness::smtp::{Act, SmtpServer};
use crate::harness::wait::{until, until_true};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receipt_of_a_paid_order_arrives() {
    let smtp = SmtpServer::kind().await;
    let trade = Trade::begin().await;
    let mut mailer = trade.mailer(&smtp, &[]);
    let order = trade.buy().await;
    trade.until_sent(1, SOON).await;
    let received = smtp.received();
    assert_eq!(received.len(), 1, "{received:?}");
    let mail = &received[0];
    assert_eq!(mail.header("From"), Some("Shop <shop@example.com>"));
    let subject = mail.header("Subject").unwrap_or_default();
    assert!(subject.contains("Your receipt"), "{subject}");
    assert!(mail.message.contains(&order), "{}", mail.message);
    assert_eq!(mail.header("To"), Some(&*mail.to), "{}", mail.message);
    assert!(mail.message.contains("Green tea"), "{}", mail.message);
    let text_and_html = ["text/plain", "text/html"];
    assert!(text_and_html.iter().all(|it| mail.message.contains(it)));
    mailer.signal(Signal::TERM);
    assert_eq!(mailer.exit_within(SOON).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_refused_for_good_has_failed_with_the_servers_words() {
    let smtp = SmtpServer::scripted(|command, _| {
        command
            .starts_with("RCPT")
            .then_some(Act::Say("550 5.1.1 nobody of that name lives here"))
    })
    .await;
    let trade = Trade::begin().await;
    let _mailer = trade.mailer(&smtp, &[]);
    trade.buy().await;
    let failed = until("the mail to have failed", SOON, async || {
        let list = trade
            .shop
            .launch(["jobs", "list", "--state", "failed", "--json"]);
        let listed = list.run(COMMAND_BOUND).await.expect_code(0).expect_json();
        listed["jobs"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(failed["kind"], "mail", "{failed}");
    assert_eq!(failed["attempts"], 1, "{failed}");
    let said = failed["last_error"].as_str().unwrap_or_default();
    assert!(
        said.contains("550 5.1.1 nobody of that name lives here"),
        "{failed}"
    );
    assert!(smtp.received().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailer_that_is_told_to_stop_finishes_the_mail_that_it_sends() {
    let confirm = Arc::new(Notify::new());
    let confirmed = Arc::clone(&confirm);
    let smtp = SmtpServer::scripted(move |command, before| {
        (command == "." && before == 0).then(|| Act::WaitFor(Arc::clone(&confirmed)))
    })
    .await;
    let trade = Trade::begin().await;
    let mut mailer = trade.mailer(&smtp, &[]);
    trade.buy().await;
    until_true("the mail to be at the server", SOON, async || {
        smtp.heard().contains(&".".to_owned())
    })
    .await;

    mailer.signal(Signal::TERM);
    until_true("the mailer to take notice", SOON, async || {
        mailer.log().contains("shutting down")
    })
    .await;
    // What comes now is not for this mailer.
    let late = trade.buy().await;
    confirm.notify_one();
    assert_eq!(mailer.exit_within(SOON).await.code, Some(0));
    trade.until_sent(1, SOON).await;

    let _next = trade.mailer(&smtp, &[]);
    trade.until_sent(2, SOON).await;
    let received = smtp.received();
    assert_eq!(received.len(), 2, "the finished mail was sent again");
    let last = &received[1].message;
    assert!(last.contains(&late), "{last}");
}

#[tokio::test]
async fn a_mailer_without_a_server_and_a_worker_without_a_sender_do_not_start() {
    let shop = Shop::unreleased(crate::harness::database::Database::create().await);
    for wrong in ["", "mail.example.com:25", "smtp://shop:hush-hush@:25"] {
        let mailer = shop.launch(["mailer"]).var("SMTP_URL", wrong);
        let refused = mailer.run(COMMAND_BOUND).await.expect_code(78);
        let refused = refused.expect_in_stderr("SMTP_URL");
        assert!(!refused.printed().contains("hush-hush"), "{refused:?}");
    }
    for wrong in ["nobody", "a@example.com, b@example.com"] {
        let worker = shop.launch(["worker"]).var("MAIL_FROM", wrong);
        let refused = worker.run(COMMAND_BOUND).await.expect_code(78);
        refused.expect_in_stderr("MAIL_FROM");
    }
}
