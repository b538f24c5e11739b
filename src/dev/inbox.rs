//! Where the mails of `dev` end: in a catcher, whose inbox is a page.

use futures_util::future::BoxFuture;
use std::io;

use twelve_core::Error;

use super::Surroundings;
use crate::App;

/// A catcher of mails that is about to run in the supervisor.
pub(crate) struct Inbox {
    /// The page.
    pub(crate) url: String,
    pub(crate) serve: BoxFuture<'static, io::Result<()>>,
}

impl Inbox {
    /// Catches the app's mails, unless it has none or they go somewhere else; the page takes this port if it is free.
    #[cfg(feature = "mail")]
    pub(crate) fn open(
        app: &App,
        surroundings: &mut Surroundings,
        port: u16,
    ) -> Result<Option<Self>, Error> {
        use crate::catcher::Catcher;
        use std::future::pending;

        if app.mailer().is_none() || surroundings.environment().var("SMTP_URL").is_some() {
            return Ok(None);
        }
        if app.mail_from.is_none() {
            let name = &app.name;
            surroundings.set_default("MAIL_FROM", &format!("{name} <{name}@localhost>"));
        }
        let previews = app.previews(surroundings.environment())?;
        let failed = |error| Error::internal("mails cannot be caught").because(error);
        let catcher = Catcher::bind(port, previews.clone())
            .or_else(|_| Catcher::bind(0, previews))
            .map_err(failed)?;
        surroundings.set_default("SMTP_URL", &catcher.smtp_url().map_err(failed)?);
        Ok(Some(Self {
            url: catcher.page_url().map_err(failed)?,
            serve: Box::pin(catcher.run(pending())),
        }))
    }

    /// Without the feature `mail` there are no mails to catch.
    #[cfg(not(feature = "mail"))]
    pub(crate) fn open(_: &App, _: &mut Surroundings, _: u16) -> Result<Option<Self>, Error> {
        Ok(None)
    }
}
