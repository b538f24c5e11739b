//! A mailer that stops.

use crate::{
    fixture::{App, gate},
    server::{Act, SmtpServer},
};
use twelve_core::Exit;
use twelve_worker::{State, store::conformance::until};

#[tokio::test]
async fn a_mail_that_is_being_sent_is_sent_to_its_end() {
    let confirmed = gate();
    let waiting = confirmed.clone();
    let server = SmtpServer::scripted(move |command, before| {
        (command == "." && before == 0).then(|| Act::WaitFor(waiting.clone()))
    })
    .await;
    let app = App::of(&server).await;
    app.deliver(&["ada@example.org"]).await;
    app.deliver(&["bob@example.org"]).await;
    let mailer = app.start();
    until("the message", async || {
        (server.received().len() == 1).then_some(())
    })
    .await;
    mailer.lifecycle.begin_drain();
    // Nothing ends before the server has confirmed it.
    assert!(!mailer.main.is_finished());
    confirmed.notify_one();
    assert_eq!(mailer.stop().await, Exit::Done);
    assert_eq!(app.jobs(State::Done).await.len(), 1);
    assert_eq!(server.received().len(), 1);
    assert_eq!(server.heard().last().unwrap(), "QUIT");
    assert_eq!(app.jobs(State::Waiting).await.len(), 1);
}
