//! A small HTTP/1.1 client that owns its bytes.
//!
//! A finished client retries, pools and hides what happened to a connection;
//! these tests send half a header, half a body, and must tell a refused
//! connection from one that was cut before or after the first byte of the
//! answer.

mod answer;
mod connection;
mod request;

pub(crate) use answer::{Answer, Failure};
pub(crate) use connection::{Connection, Head};
pub(crate) use request::Request;

/// Sends one request on a connection of its own.
pub(crate) async fn send(port: u16, request: &Request) -> Result<Answer, Failure> {
    Connection::open(port).await?.ask(request).await
}

/// Sends one request that has to be answered.
pub(crate) async fn ask(port: u16, request: &Request) -> Answer {
    let answer = send(port, request).await;
    answer.unwrap_or_else(|failure| panic!("{} {}: {failure:?}", request.method, request.target))
}
