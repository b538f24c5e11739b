//! What a mailer makes of a server's replies: the code alone decides (RFC 5321, section 4.2), whatever its text is.

use twelve_core::{Context, Environment, Identity, Lifecycle, Registry, Value as _};
use twelve_worker::mail::{Delivery, Letter, Mail as _, Mailbox, Relay, SendError};

use crate::{
    fixture::Note,
    server::{Act, Offers, SmtpServer},
};

/// The commands with the code that a server should answer; `HELLO` is the greeting, and `.` the end of a message.
const STAGES: [(&str, u16); 7] = [
    ("HELLO", 220),
    ("EHLO", 250),
    ("AUTH", 235),
    ("MAIL", 250),
    ("RCPT", 250),
    ("DATA", 354),
    (".", 250),
];

/// What becomes of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    /// An outage: it waits, and no attempt is spent.
    Unreachable,
    /// The server will not have us, whatever the mail.
    Misconfigured,
    /// An attempt has failed.
    Later,
    /// It has failed for good.
    Refused,
}
use Fate::{Later, Misconfigured, Refused, Sent, Unreachable};

/// Replies with `{}` for the code that should come; what they mean until the server is ready, up to the message, and after it.
const REPLIES: [(&[u8], [Fate; 3]); 30] = [
    (b"{} ok", [Sent; 3]),
    (b"{}", [Sent; 3]),
    (b"{} ", [Sent; 3]),
    (b"{}\t", [Sent; 3]),
    (b"{} d\xe9j\xe0", [Sent; 3]),
    (b"{}-one\r\n{} two", [Sent; 3]),
    (b"{}-\r\n{}", [Sent; 3]),
    (b"{}-d\xe9j\xe0\r\n{}", [Sent; 3]),
    (b"{} 2.0.0 \x00\x7f\xff", [Sent; 3]),
    (b"421 closing", [Unreachable, Unreachable, Later]),
    (b"421", [Unreachable, Unreachable, Later]),
    (b"450 greylisted", [Unreachable, Later, Later]),
    (b"451", [Unreachable, Later, Later]),
    (b"452-\xfcberlastet\r\n452", [Unreachable, Later, Later]),
    (b"530 5.7.0 authenticate", [Misconfigured; 3]),
    (b"535 \xfcberpr\xfcfen", [Misconfigured; 3]),
    (b"550 no", [Misconfigured, Refused, Refused]),
    (b"550", [Misconfigured, Refused, Refused]),
    (b"550 unzul\xe4ssig", [Misconfigured, Refused, Refused]),
    (
        b"554-5.7.1 one\r\n554 5.7.1 two",
        [Misconfigured, Refused, Refused],
    ),
    (b"", [Unreachable, Unreachable, Later]),
    (b"ok", [Unreachable, Unreachable, Later]),
    (b"25", [Unreachable, Unreachable, Later]),
    (b"999 what", [Unreachable, Unreachable, Later]),
    (b"100 wait", [Unreachable, Unreachable, Later]),
    (b"199", [Unreachable, Unreachable, Later]),
    (b"334 what", [Unreachable, Unreachable, Later]),
    (b"355 what", [Unreachable, Unreachable, Later]),
    (b"600 what", [Unreachable, Unreachable, Later]),
    (b"650", [Unreachable, Unreachable, Later]),
];

#[tokio::test]
async fn the_code_alone_decides_what_becomes_of_a_mail() {
    let mut wrong = Vec::new();
    for (stage, (command, proper)) in STAGES.into_iter().enumerate() {
        for (reply, fates) in REPLIES {
            let fate = fates[[0, 0, 0, 1, 1, 1, 2][stage]];
            let said = with_code(reply, proper);
            // Without `tls` it asks for STARTTLS first, and hears the greeting and the reply to EHLO itself.
            for rest in ["?tls=none", ""] {
                // The first digit decides. lettre, which hears the first two there, takes 3xx for 2xx; what comes after is judged by itself.
                let goes_on = match command {
                    "HELLO" | "EHLO" => rest == "?tls=none",
                    _ => command == "DATA",
                };
                let is_intermediate = said.starts_with(b"3");
                let fate = if goes_on && is_intermediate {
                    Sent
                } else {
                    fate
                };
                let found = send(command, Act::SayBytes(said.clone()), rest).await;
                if found != fate {
                    let reply = reply.escape_ascii();
                    wrong.push(format!(
                        "{command}{rest}: {reply}: {found:?} and not {fate:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whoever is between us and the server can say anything up to the certificate.
#[tokio::test]
async fn where_tls_is_required_no_reply_brings_out_the_password_in_the_clear() {
    let mut wrong = Vec::new();
    for (command, proper) in [("HELLO", 220), ("EHLO", 250), ("STARTTLS", 220)] {
        for (reply, fates) in REPLIES {
            let fate = fates[0];
            if fate == Sent {
                continue;
            }
            let offers = Offers {
                starttls: true,
                auth: true,
                ..Offers::default()
            };
            let act = Act::SayBytes(with_code(reply, proper));
            let server = answering(command, act, offers).await;
            let url = format!("smtp://user:s3cret@127.0.0.1:{}?tls=required", server.port);
            let found = fate_at(url).await;
            let heard = server.heard();
            let is_open = heard.iter().any(|it| it == "AUTH" || it == "MAIL");
            if is_open || found != fate {
                let reply = reply.escape_ascii();
                wrong.push(format!("{command}: {reply}: {found:?}, {heard:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A server that has not said 354 would take the message for commands.
#[tokio::test]
async fn a_message_is_sent_only_after_354() {
    for rest in ["?tls=none", ""] {
        let act = Act::SayBytes(b"250 ok".into());
        assert_eq!(send("DATA", act, rest).await, Unreachable);
    }
}

fn with_code(reply: &[u8], code: u16) -> Vec<u8> {
    let mut parts = reply.split(|byte| *byte == b'{');
    let mut said = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        said.extend(code.to_string().bytes());
        said.extend(&part[1..]);
    }
    said
}

/// What becomes of one mail at a server that answers one command so, and all others as it should.
async fn send(command: &'static str, act: Act, rest: &str) -> Fate {
    let with_credentials = command == "AUTH";
    let offers = Offers {
        auth: with_credentials,
        ..Offers::default()
    };
    let server = answering(command, act, offers).await;
    let url = if with_credentials {
        // They go over no connection in the clear, unless that is said.
        format!("smtp://user:s3cret@127.0.0.1:{}?tls=none", server.port)
    } else {
        format!("smtp://127.0.0.1:{}{rest}", server.port)
    };
    fate_at(url).await
}

async fn answering(command: &'static str, act: Act, offers: Offers) -> SmtpServer {
    // The arguments of EHLO and RCPT belong to the command.
    let is_it = move |heard: &str| heard.split(' ').next() == Some(command);
    let script = move |heard: &str, _| is_it(heard).then(|| act.clone());
    SmtpServer::start(offers, 0, script).await
}

/// Sends one mail.
async fn fate_at(url: String) -> Fate {
    let environment = Environment::default().with("SMTP_URL", url);
    let context = Context::new(
        Identity::new("t", "mailer"),
        environment,
        Lifecycle::default(),
        Registry::default(),
    );
    let rendered = Note::to(&["ada@example.org"]).render().unwrap();
    let from = Mailbox::parse("shop@shop.example").unwrap();
    let (letter, recipients) = Letter::new(rendered, &from).unwrap();
    let delivery = Delivery::new(letter, recipients[0].clone());
    match Relay::of(&context).unwrap().send(&delivery).await {
        Ok(_) => Sent,
        Err(SendError::Unreachable(_)) => Unreachable,
        Err(SendError::Misconfigured(_)) => Misconfigured,
        Err(SendError::Later(_)) => Later,
        Err(SendError::Refused(_)) => Refused,
        Err(other) => panic!("{other:?}"),
    }
}
