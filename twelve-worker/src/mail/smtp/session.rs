//! One connection to an SMTP server.

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, AsyncTokioStream},
        commands::{Data, Ehlo, Mail, Rcpt, Rset, Starttls},
        extension::ClientId,
        response::{
            Response,
            Severity::{self, PositiveCompletion, PositiveIntermediate},
        },
    },
};
use std::{
    error::Error as StdError,
    fmt::{self, Display},
    io,
    sync::OnceLock,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, lookup_host},
    time::{error::Elapsed, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    replies::Replies,
    tls::{Tls, Trust},
    url::{Encryption, SmtpUrl},
};
use crate::{host, mail::send_error::SendError};

/// How long reaching one address of the host may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long TLS, greeting and authentication may take together. Some servers delay the greeting of unknown clients by half a minute.
const OPEN: Duration = Duration::from_mins(1);

/// How long one reply may take. RFC 5321 (section 4.5.3.2) allows five minutes, but only servers that ask other servers first need them.
const ANSWER: Duration = Duration::from_mins(1);

/// How long sending the message and its confirmation may take, by RFC 5321.
///
/// After a timeout the server may have accepted the mail all the same, and then it is sent twice.
const CONFIRM: Duration = Duration::from_mins(10);

/// How long it may take to give up a mail that was refused.
const RESET: Duration = Duration::from_secs(5);

/// Replies that refuse this client, not the mail: authentication is required or too weak (RFC 4954, section 6).
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// The server closes the connection (RFC 5321, section 3.8).
const CLOSING: u16 = 421;

/// Where the server is, and how it is spoken to.
pub(in crate::mail) struct Server {
    url: SmtpUrl,
    hello: ClientId,
    tls: OnceLock<Tls>,
}

impl Server {
    pub(in crate::mail) fn new(url: SmtpUrl) -> Self {
        Self {
            url,
            hello: hello(&host::name()),
            tls: OnceLock::new(),
        }
    }

    /// A connection that is ready for mails.
    pub(super) async fn connect(&self) -> Result<Session, SendError> {
        match timeout(OPEN, self.open()).await {
            Ok(Ok(connection)) => Ok(Session::new(connection)),
            Ok(Err(error)) => Err(self.not_opened(&error)),
            Err(_) => {
                let url = &self.url;
                let problem = format!("{}:{} was not ready within {OPEN:?}", url.host, url.port);
                Err(SendError::Unreachable(problem))
            }
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, NotOpened> {
        let url = &self.url;
        let tcp = reach(&url.host, url.port).await?;
        let stream: Box<dyn AsyncTokioStream> = match url.tls {
            Encryption::Implicit => Box::new(Replies::new(self.encrypted(tcp).await?)),
            Encryption::Required | Encryption::Opportunistic => self.upgraded(tcp).await?,
            Encryption::None => Box::new(Replies::new(tcp)),
        };
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?;
        if let Some((user, password)) = &url.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let reply = connection.auth(&mechanisms, &credentials).await?;
            if reply.code().severity != PositiveCompletion {
                return Err(NotOpened::Improper(in_one_line(&reply)));
            }
        }
        Ok(connection)
    }

    /// The connection in TLS if the server offers that by STARTTLS (RFC 3207).
    ///
    /// lettre takes it over as a new one: it hears the last reply as a greeting, and says EHLO again.
    /// It goes on after any 2xx and 3xx, so it gets a plain connection only where TLS is not required.
    async fn upgraded(&self, tcp: TcpStream) -> Result<Box<dyn AsyncTokioStream>, NotOpened> {
        let mut stream = Replies::new(tcp);
        let greeting = completed(stream.next().await?)?;
        let hello = Ehlo::new(self.hello.clone()).to_string();
        stream.write_all(hello.as_bytes()).await?;
        let offers = completed(stream.next().await?)?;
        let mut offers = offers.lines().filter_map(|line| line.get(4..));
        if offers.any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
            stream.write_all(Starttls.to_string().as_bytes()).await?;
            let reply = completed(stream.next().await?)?;
            let encrypted = self.encrypted(stream.into_inner()).await?;
            return Ok(Box::new(Replies::after(&reply, encrypted)));
        }
        match self.url.tls {
            Encryption::Opportunistic => {
                Ok(Box::new(Replies::after(&greeting, stream.into_inner())))
            }
            _ => Err(NotOpened::NoTls),
        }
    }

    async fn encrypted(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, NotOpened> {
        let tls = self.tls().map_err(NotOpened::Tls)?;
        tls.connect(tcp).await.map_err(NotOpened::Tls)
    }

    /// What every connection shares; the system's certificates are read once.
    fn tls(&self) -> io::Result<Tls> {
        if let Some(known) = self.tls.get() {
            return Ok(known.clone());
        }
        let trust = match self.url.tls {
            Encryption::Opportunistic => Trust::Anybody,
            _ => Trust::Authorities,
        };
        let tls = Tls::new(&self.url.host, trust)?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    /// A server that refuses the connection refuses this client, not the mail.
    fn not_opened(&self, why: &NotOpened) -> SendError {
        let problem = format!("{}:{}: {why}", self.url.host, self.url.port);
        match why {
            NotOpened::NoTls => SendError::Misconfigured(problem),
            // A connection that breaks in the handshake is an outage; a certificate is not.
            NotOpened::Tls(error) if is_of_rustls(error) => SendError::Misconfigured(problem),
            NotOpened::Smtp(error) if error.is_permanent() || error.is_client() => {
                SendError::Misconfigured(problem)
            }
            NotOpened::Refused(reply) if is_permanent(reply) => SendError::Misconfigured(problem),
            NotOpened::Io(_)
            | NotOpened::Tls(_)
            | NotOpened::Smtp(_)
            | NotOpened::Refused(_)
            | NotOpened::Improper(_) => SendError::Unreachable(problem),
        }
    }
}

/// Connects to the first address of the host that answers.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = error,
            Err(_) => {
                let problem = format!("no answer within {CONNECT:?}");
                why = io::Error::new(io::ErrorKind::TimedOut, problem);
            }
        }
    }
    Err(why)
}

/// The reply, if it confirms the command; no other reply counts as a confirmation.
fn completed(reply: String) -> Result<String, NotOpened> {
    let Ok(response) = reply.parse::<Response>() else {
        return Err(NotOpened::Improper(reply.trim_end().to_owned()));
    };
    match response.code().severity {
        PositiveCompletion => Ok(reply),
        PositiveIntermediate => Err(NotOpened::Improper(in_one_line(&response))),
        _ => Err(NotOpened::Refused(response)),
    }
}

fn is_permanent(reply: &Response) -> bool {
    reply.code().severity == Severity::PermanentNegativeCompletion
}

/// Why there is no connection.
enum NotOpened {
    /// TLS is required, and the server does not offer it.
    NoTls,
    Tls(io::Error),
    Io(io::Error),
    Smtp(Error),
    /// The server refuses.
    Refused(Response),
    /// The reply does not belong to the command.
    Improper(String),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for NotOpened {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

impl Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls => f.write_str(
                "it offers no STARTTLS: `smtps://` speaks TLS at once, `?tls=none` goes without",
            ),
            Self::Tls(error) | Self::Io(error) => error.fmt(f),
            Self::Smtp(error) => f.write_str(&words(error)),
            Self::Refused(reply) => f.write_str(&in_one_line(reply)),
            Self::Improper(reply) => f.write_str(&improper(reply)),
        }
    }
}

/// The name in `EHLO`; an address literal when the host's name is not a valid DNS name.
fn hello(host: &str) -> ClientId {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !host.is_empty() && host.bytes().all(is_plain) {
        ClientId::Domain(host.to_owned())
    } else {
        ClientId::default()
    }
}

/// Whether the error is about certificates or the protocol: for a broken connection tokio-rustls gives another kind of error.
fn is_of_rustls(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::Other
    )
}

/// The server's reply with its code; or the cause of the error, without lettre's layers around it.
fn words(error: &Error) -> String {
    let cause = std::iter::successors(error.source(), |&cause| cause.source()).last();
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => format!("{code} {cause}").trim_end().to_owned(),
        // What lettre says of an answer that ends before it has begun.
        None if cause == "incomplete response" => "the connection was closed".to_owned(),
        None if cause.is_empty() => error.to_string(),
        None => cause,
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// One connection: it carries one mail after the other.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    /// Does the server wait for the next command?
    usable: bool,
}

impl Session {
    fn new(connection: AsyncSmtpConnection) -> Self {
        Self {
            connection,
            usable: true,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }

    /// `MAIL FROM`: names the sender.
    pub(super) async fn begin(&mut self, envelope: &Envelope) -> Result<(), SendError> {
        let mail = Mail::new(envelope.from().cloned(), Vec::new());
        self.command(mail, PositiveCompletion).await
    }

    /// `RCPT TO` and `DATA`: names the recipient and sends the message; returns the server's confirmation.
    pub(super) async fn finish(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<String, SendError> {
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            self.command(recipient, PositiveCompletion).await?;
        }
        self.command(Data, PositiveIntermediate).await?;
        self.usable = false;
        // lettre ends the message with a line break of its own before the dot.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        let answer = timeout(CONFIRM, self.connection.message(message)).await;
        match self.heard(answer, CONFIRM, PositiveCompletion) {
            Ok(answer) => Ok(in_one_line(&answer)),
            // Once the first byte of the message is sent, the mail may have arrived without a confirmation.
            Err(SendError::Unreachable(problem)) => Err(SendError::Later(format!(
                "the mail may have arrived, for it was sent but not confirmed: {problem}"
            ))),
            Err(refused) => Err(refused),
        }
    }

    /// `RSET`: aborts the mail that was begun; returns whether the server is ready for another.
    pub(super) async fn reset(&mut self) -> bool {
        self.usable
            && timeout(RESET, self.command(Rset, PositiveCompletion))
                .await
                .is_ok_and(|it| it.is_ok())
    }

    pub(super) async fn quit(mut self) {
        // The reply to `QUIT` does not matter.
        let _ = self.connection.quit().await;
    }

    async fn command(
        &mut self,
        command: impl Display,
        expected: Severity,
    ) -> Result<(), SendError> {
        self.usable = false;
        let answer = timeout(ANSWER, self.connection.command(command)).await;
        self.heard(answer, ANSWER, expected).map(drop)
    }

    /// What an answer means for the mail, and for the connection.
    ///
    /// lettre treats 2xx and 3xx alike, but only one of them is `expected`. After the other, the state of the server is unknown.
    fn heard(
        &mut self,
        answer: Result<Result<Response, Error>, Elapsed>,
        limit: Duration,
        expected: Severity,
    ) -> Result<Response, SendError> {
        let error = match answer {
            Ok(Ok(response)) if response.code().severity == expected => {
                self.usable = true;
                return Ok(response);
            }
            Ok(Ok(response)) => {
                let problem = improper(&in_one_line(&response));
                return Err(SendError::Unreachable(problem));
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let problem = format!("the server did not answer within {limit:?}");
                return Err(SendError::Unreachable(problem));
            }
        };
        let words = words(&error);
        let Some(code) = error.status().map(u16::from) else {
            return Err(SendError::Unreachable(words));
        };
        self.usable = code != CLOSING;
        Err(match code {
            CLOSING => SendError::Unreachable(words),
            code if ABOUT_US.contains(&code) => SendError::Misconfigured(words),
            code if code >= 500 => SendError::Refused(words),
            _ => SendError::Later(words),
        })
    }
}

fn in_one_line(answer: &Response) -> String {
    let text = answer.message().collect::<Vec<_>>().join(" ");
    format!("{} {text}", answer.code())
}

fn improper(reply: &str) -> String {
    format!("the server said `{reply}`, which is no reply to what it was asked")
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_dns_name_introduces_itself_by_address() {
        assert_eq!(
            hello("web-1.example"),
            ClientId::Domain("web-1.example".into())
        );
        assert_eq!(hello("my_host"), ClientId::default());
        assert_eq!(hello(""), ClientId::default());
    }
}
