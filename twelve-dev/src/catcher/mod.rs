//! The mail catcher of `myapp dev`: a real SMTP server that delivers nothing, and a page that shows what it was given.
//!
//! ```text
//! app ── SMTP ──► smtp ──► inbox ──► page ──► browser, scripts
//!                                      ▲
//!            previews, rendered anew ──┘
//! ```
//!
//! # Invariants
//!
//! * Both listen on the loopback address alone, and the page answers only to its names, so no other machine and no other site reads a mail (`guard.rs`).
//! * What stands in a mail never runs a script, and never is part of the page: its HTML is a document of its own in a sandbox (`page.rs`).
//! * Text becomes markup in templates alone, which escape it (`views.rs`).
//! * A mail is kept when its end has arrived and before that is acknowledged, never a part of one.
//! * Everything has a bound: lines, mails, the inbox, connections, waits.

mod connections;
mod content;
mod download;
mod guard;
mod inbox;
mod message;
mod page;
mod preview;
mod smtp;
mod views;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
};

use twelve_web::listen_on_any_port;

use inbox::Inbox;

pub use preview::{Preview, Previews};

/// An SMTP server and the page of its inbox.
pub struct Catcher {
    smtp: TcpListener,
    page: TcpListener,
    previews: Previews,
}

impl Catcher {
    /// Takes the port of the page, 0 for any, and a free port for SMTP. It needs no runtime.
    ///
    /// # Errors
    ///
    /// The port of the page is taken, or none is free.
    pub fn bind(page_port: u16, previews: Previews) -> io::Result<Self> {
        Ok(Self {
            smtp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            page: match page_port {
                0 => listen_on_any_port()?,
                port => TcpListener::bind((Ipv4Addr::LOCALHOST, port))?,
            },
            previews,
        })
    }

    /// What `SMTP_URL` should be.
    ///
    /// # Errors
    ///
    /// The socket does not tell its address.
    pub fn smtp_url(&self) -> io::Result<String> {
        Ok(format!("smtp://{}", self.smtp.local_addr()?))
    }

    /// Where the page is.
    ///
    /// # Errors
    ///
    /// The socket does not tell its address.
    pub fn page_url(&self) -> io::Result<String> {
        Ok(format!(
            "http://localhost:{}",
            self.page.local_addr()?.port()
        ))
    }

    /// Serves both until told to stop, then drops what is open.
    ///
    /// # Errors
    ///
    /// A listener cannot be used.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let inbox = Arc::new(Inbox::new());
        let page = page::router(page::Page {
            smtp_url: self.smtp_url()?,
            inbox: inbox.clone(),
            previews: self.previews,
        });
        let smtp = connections::serve(self.smtp, smtp::BUSY, move |stream| {
            smtp::converse(stream, inbox.clone())
        });
        let page = connections::serve(self.page, connections::BUSY, move |stream| {
            connections::http(stream, page.clone())
        });
        tokio::select! {
            biased;
            () = shutdown => Ok(()),
            Err(error) = smtp => Err(error),
            Err(error) = page => Err(error),
        }
    }
}
