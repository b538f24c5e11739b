//! The mailer on a real Postgres and a real SMTP server, whose answers each test writes itself.

mod delivery;
mod fixture;
mod outage;
mod replies;
mod server;
mod shutdown;
mod tls;
