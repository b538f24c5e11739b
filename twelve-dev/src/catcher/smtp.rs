//! One SMTP conversation (RFC 5321): commands in order, replies in order, mails into the inbox.

use std::{borrow::Cow, io, sync::Arc};

use tokio::net::TcpStream;

use super::inbox::{Envelope, Inbox};

mod command;
mod wire;

use command::Path;
use wire::Wire;

/// The largest mail.
const MAIL: usize = 25 << 20;

/// How many recipients a mail has at most; RFC 5321 asks for no fewer.
const RECIPIENTS: usize = 100;

/// What one connection too many is told.
pub(super) const BUSY: &str = "421 4.7.0 too many connections\r\n";

/// A code and what it means, on one line or more. The conversation ends with 221 and 421.
type Reply = Cow<'static, str>;

/// Talks to a client until it leaves.
pub(super) async fn converse(stream: TcpStream, inbox: Arc<Inbox>) {
    let mut session = Session {
        wire: Wire::new(stream),
        inbox,
        greeted: false,
        envelope: None,
    };
    let ended = match session.run().await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            session.wire.say_last("421 4.4.2 idle for too long").await
        }
        ended => ended,
    };
    // A client that leaves without a word loses what it has not finished: that is all there is to do about it.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the mail catcher failed");
    }
}

struct Session {
    wire: Wire,
    inbox: Arc<Inbox>,
    greeted: bool,
    /// Begun by MAIL, ended by DATA, RSET or a new greeting.
    envelope: Option<Envelope>,
}

impl Session {
    async fn run(&mut self) -> io::Result<()> {
        self.wire.reply("220 twelve catches mail ESMTP").await?;
        while let Some(line) = self.wire.line().await? {
            let reply = match line {
                Ok(line) => self.execute(&line).await?,
                Err(fault) => fault.into(),
            };
            if reply.starts_with("221") || reply.starts_with("421") {
                return self.wire.say_last(&reply).await;
            }
            self.wire.reply(&reply).await?;
        }
        Ok(())
    }

    async fn execute(&mut self, line: &str) -> io::Result<Reply> {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        Ok(match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" if argument.is_empty() => "501 5.5.4 who are you?".into(),
            "EHLO" => {
                self.greet();
                format!(
                    "250-twelve\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                     250-ENHANCEDSTATUSCODES\r\n250-SIZE {MAIL}\r\n250 AUTH PLAIN LOGIN"
                )
                .into()
            }
            "HELO" => {
                self.greet();
                "250 twelve".into()
            }
            "NOOP" => "250 2.0.0 done".into(),
            "HELP" => "214 2.0.0 every mail is caught, none is delivered".into(),
            "RSET" => {
                self.envelope = None;
                "250 2.0.0 forgotten".into()
            }
            "VRFY" => "252 2.1.5 cannot say, but will take the mail".into(),
            "QUIT" => "221 2.0.0 bye".into(),
            // A web page can make a browser send lines of its choice here, among those of its request.
            _ if line.contains(" HTTP/1.") => "421 4.7.0 this is SMTP, not HTTP".into(),
            "MAIL" | "RCPT" | "DATA" | "AUTH" if !self.greeted => "503 5.5.1 EHLO first".into(),
            "MAIL" => self.mail(argument).into(),
            "RCPT" => self.recipient(argument).into(),
            "DATA" => self.data(argument).await?,
            "AUTH" => self.authenticate(argument).await?.into(),
            "BDAT" | "ETRN" | "EXPN" | "STARTTLS" | "TURN" => "502 5.5.1 not offered".into(),
            _ => "500 5.5.2 unknown command".into(),
        })
    }

    fn greet(&mut self) {
        self.greeted = true;
        self.envelope = None;
    }

    fn mail(&mut self, argument: &str) -> &'static str {
        if self.envelope.is_some() {
            return "503 5.5.1 one mail at a time";
        }
        let Some(Path { address, rest }) = command::path(argument, "FROM:") else {
            return "501 5.1.7 it is MAIL FROM:<address>";
        };
        for parameter in rest.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<u128>() {
                    Ok(size) if size <= MAIL as u128 => {}
                    Ok(_) => return "552 5.3.4 the mail is too large",
                    Err(_) => return "501 5.5.4 SIZE is a number of bytes",
                },
                "BODY" if value.eq_ignore_ascii_case("8BITMIME") => {}
                "BODY" if value.eq_ignore_ascii_case("7BIT") => {}
                "SMTPUTF8" | "AUTH" => {}
                _ => return "555 5.5.4 unknown parameter",
            }
        }
        self.envelope = Some(Envelope {
            from: address,
            to: Vec::new(),
        });
        "250 2.1.0 go on"
    }

    fn recipient(&mut self, argument: &str) -> &'static str {
        let Some(envelope) = &mut self.envelope else {
            return "503 5.5.1 MAIL first";
        };
        let Some(Path { address, rest }) = command::path(argument, "TO:") else {
            return "501 5.1.3 it is RCPT TO:<address>";
        };
        let local_part = address.to_ascii_lowercase();
        if address.is_empty() {
            "501 5.1.3 a recipient has an address"
        } else if !rest.is_empty() {
            "555 5.5.4 unknown parameter"
        } else if local_part.starts_with("bounce") {
            "550 5.1.1 refused for good, as every address that begins with `bounce`"
        } else if local_part.starts_with("later") {
            "451 4.2.1 refused for now, as every address that begins with `later`"
        } else if envelope.to.len() == RECIPIENTS {
            "452 4.5.3 too many recipients"
        } else {
            envelope.to.push(address);
            "250 2.1.5 go on"
        }
    }

    async fn data(&mut self, argument: &str) -> io::Result<Reply> {
        let complete = |envelope: &mut Envelope| argument.is_empty() && !envelope.to.is_empty();
        let Some(envelope) = self.envelope.take_if(complete) else {
            return Ok(match &self.envelope {
                _ if !argument.is_empty() => "501 5.5.4 DATA takes no argument".into(),
                None => "503 5.5.1 MAIL first".into(),
                Some(_) => "503 5.5.1 RCPT first".into(),
            });
        };
        self.wire
            .reply("354 a line with a dot alone ends it")
            .await?;
        Ok(match self.wire.message(MAIL).await? {
            Some(message) => {
                let id = self.inbox.add(envelope, message);
                format!("250 2.0.0 kept as {id}").into()
            }
            None => "552 5.3.4 the mail is too large".into(),
        })
    }

    /// Believes everyone, so that an app with credentials in its URL works as it will in production.
    async fn authenticate(&mut self, argument: &str) -> io::Result<&'static str> {
        if self.envelope.is_some() {
            return Ok("503 5.5.1 not within a mail");
        }
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let prompts: &[&str] = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => &["334 "],
            // `Username:` and `Password:`.
            "LOGIN" => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            _ => return Ok("504 5.5.4 PLAIN or LOGIN"),
        };
        for prompt in &prompts[usize::from(!initial.is_empty())..] {
            self.wire.reply(prompt).await?;
            match self.wire.line().await? {
                Some(Ok(answer)) if answer != "*" => {}
                Some(Ok(_)) => return Ok("501 5.7.0 cancelled"),
                Some(Err(fault)) => return Ok(fault),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok("235 2.7.0 whoever you are")
    }
}
