//! An SMTP server (RFC 5321) that answers as a test says, and remembers what it heard.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Signed by `authority.crt.pem`, beside it.
const CERTIFICATE: &[u8] = include_bytes!("localhost.crt.pem");
const KEY: &[u8] = include_bytes!("localhost.key.pem");

/// What a server does instead of what it should.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers this.
    Say(&'static str),
    /// Answers these bytes, which may be no text.
    SayBytes(Vec<u8>),
    /// Answers this, and closes the connection.
    Leave(&'static str),
    /// Closes the connection without an answer.
    HangUp,
    /// Answers what it should, but only when it is told to go on.
    WaitFor(Arc<Notify>),
}

/// Decides by the command (`MAIL`, `RCPT someone@…`, `DATA`, `.` for the end of a message, `HELLO` for the greeting) and how often it was heard before.
type Script = dyn Fn(&str, usize) -> Option<Act> + Send + Sync;

pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    connections: usize,
    heard: Vec<String>,
    counts: HashMap<String, usize>,
    received: Vec<Received>,
}

/// A message that the server took, or would have taken.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) to: String,
    pub(crate) message: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.message.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What a server offers in its greeting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    /// TLS from the first byte.
    pub(crate) tls: bool,
    pub(crate) starttls: bool,
    pub(crate) auth: bool,
}

impl SmtpServer {
    /// A server that takes everything.
    pub(crate) async fn kind() -> Self {
        Self::start(Offers::default(), 0, |_, _| None).await
    }

    pub(crate) async fn scripted(
        script: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Offers::default(), 0, script).await
    }

    pub(crate) async fn start(
        offers: Offers,
        port: u16,
        script: impl Fn(&str, usize) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (script, remembering) = (Arc::new(script), Arc::clone(&state));
        // It ends with the test's runtime.
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                remembering.lock().unwrap().connections += 1;
                let conversation = Conversation {
                    state: Arc::clone(&remembering),
                    script: script.clone(),
                    offers,
                };
                tokio::spawn(conversation.hold(stream));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// The commands in their order, over all connections.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.state.lock().unwrap().heard.clone()
    }
}

/// One connection.
struct Conversation {
    state: Arc<Mutex<State>>,
    script: Arc<Script>,
    offers: Offers,
}

/// Why a conversation pauses or ends.
enum Turn {
    StartTls,
    Over,
}

impl Conversation {
    async fn hold(self, stream: TcpStream) {
        // A client that leaves is no failure.
        let _ = self.converse(stream).await;
    }

    async fn converse(&self, stream: TcpStream) -> io::Result<()> {
        if self.offers.tls {
            let mut encrypted = BufStream::new(acceptor().accept(stream).await?);
            self.answer(&mut encrypted, "HELLO", "220 test").await?;
            return self.serve(&mut encrypted, false).await.map(drop);
        }
        let mut plain = BufStream::new(stream);
        self.answer(&mut plain, "HELLO", "220 test").await?;
        if let Turn::StartTls = self.serve(&mut plain, self.offers.starttls).await? {
            let encrypted = acceptor().accept(plain.into_inner()).await?;
            self.serve(&mut BufStream::new(encrypted), false).await?;
        }
        Ok(())
    }

    async fn serve<S>(&self, stream: &mut BufStream<S>, starttls: bool) -> io::Result<Turn>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut to = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(Turn::Over);
            }
            let line = line.trim_end();
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_uppercase();
            match &*verb {
                "EHLO" => {
                    let mut proper = "250-test\r\n".to_owned();
                    if starttls {
                        proper.push_str("250-STARTTLS\r\n");
                    }
                    if self.offers.auth {
                        proper.push_str("250-AUTH PLAIN LOGIN\r\n");
                    }
                    proper.push_str("250 8BITMIME");
                    self.answer(stream, line, &proper).await?;
                }
                "STARTTLS" => {
                    if self.answer(stream, "STARTTLS", "220 go").await? {
                        return Ok(Turn::StartTls);
                    }
                }
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    self.answer(stream, &format!("RCPT {to}"), "250 ok").await?;
                }
                "DATA" => {
                    if self.answer(stream, "DATA", "354 go").await? {
                        let to = to.clone();
                        let message = read_message(stream).await?;
                        let received = Received { to, message };
                        self.state.lock().unwrap().received.push(received);
                        self.answer(stream, ".", "250 taken").await?;
                    }
                }
                "QUIT" => {
                    self.answer(stream, "QUIT", "221 bye").await?;
                    return Ok(Turn::Over);
                }
                "AUTH" => drop(self.answer(stream, "AUTH", "235 welcome").await?),
                "MAIL" | "RSET" => drop(self.answer(stream, &verb, "250 ok").await?),
                _ => drop(self.answer(stream, line, "502 what").await?),
            }
        }
    }

    /// Answers as the script says, else with `proper`; tells whether it was that.
    async fn answer<S>(
        &self,
        stream: &mut BufStream<S>,
        command: &str,
        proper: &str,
    ) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let before = {
            let mut state = self.state.lock().unwrap();
            state.heard.push(command.to_owned());
            let count = state.counts.entry(command.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        let act = (self.script)(command, before);
        let text = match &act {
            None | Some(Act::WaitFor(_)) => proper.as_bytes(),
            Some(Act::Say(text) | Act::Leave(text)) => text.as_bytes(),
            Some(Act::SayBytes(text)) => text,
            Some(Act::HangUp) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if let Some(Act::WaitFor(go_on)) = &act {
            go_on.notified().await;
        }
        stream.write_all(&[text, b"\r\n"].concat()).await?;
        stream.flush().await?;
        match act {
            Some(Act::Leave(_)) => Err(io::ErrorKind::ConnectionAborted.into()),
            // To go on with a message or with TLS, it must have said so, by the first digit.
            Some(Act::Say(_)) => Ok(false),
            Some(Act::SayBytes(text)) => Ok(text.first() == proper.as_bytes().first()),
            _ => Ok(true),
        }
    }
}

/// The message up to the single dot, with its dots unstuffed.
async fn read_message<S>(stream: &mut BufStream<S>) -> io::Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A port on which nobody listens, and will not.
pub(crate) async fn dead_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    port
}
