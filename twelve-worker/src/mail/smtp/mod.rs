//! SMTP: connections to one server, kept open between mails.
//!
//! ```text
//! Pool ─► an idle Session, else a new one ─► MAIL ─► RCPT ─► DATA ─► 250 ─► back to the Pool
//! ```
//!
//! lettre speaks the protocol. The pool is ours, and so are TLS and the form of replies, which lie between lettre and the network.
//! lettre's own pool reuses a connection whose caller was cancelled between a command and its reply, so that the next mail reads the replies of the last one.
//! It also has no timeout for a reply, and does not distinguish a refusal of the mail from a refusal of this client.

pub(super) mod pool;
mod replies;
pub(super) mod session;
mod tls;
pub(super) mod url;
