//! SMTP: connections to one server, kept open between mails.
//!
//! ```text
//! Pool ─► an idle Session, else a new one ─► MAIL ─► RCPT ─► DATA ─► 250 ─► back to the Pool
//! ```
//!
//! lettre speaks the protocol; the pool is ours, and so is what lies between lettre and the network: TLS, and the form of replies.
//! lettre's takes a connection back whose caller was cancelled between a command and its answer, and the next mail then reads the answers of the last one.
//! It knows no time limit for an answer either, and does not tell a refusal of the mail from one of ourselves.

pub(super) mod pool;
mod replies;
pub(super) mod session;
mod tls;
pub(super) mod url;
