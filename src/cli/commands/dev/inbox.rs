//! Where the mails of `dev` end: in a catcher, whose inbox is a page.

use futures_util::future::BoxFuture;
use std::path::Path;
#[cfg(feature = "mail")]
use std::{future::pending, path::PathBuf, process::Command, sync::Arc};

#[cfg(feature = "mail")]
use twelve_core::Environment;
use twelve_core::Error;
#[cfg(feature = "mail")]
use twelve_dev::catcher::{Catcher, Preview, Previews};
use twelve_dev::environment::DevEnvironment;

use crate::app::App;

/// A catcher of mails that is about to run in the supervisor.
pub(super) struct Inbox {
    /// The page.
    pub(super) url: String,
    pub(super) serve: BoxFuture<'static, ()>,
}

impl Inbox {
    /// Catches the app's mails, unless it has none or they go somewhere else; the page takes this port if it is free.
    #[cfg(feature = "mail")]
    pub(super) fn open(
        app: &App,
        environment: &mut DevEnvironment,
        port: u16,
        binary: &Path,
    ) -> Result<Option<Self>, Error> {
        if app.mailer().is_none() || environment.variables().is_set("SMTP_URL") {
            return Ok(None);
        }
        if app.mail_from.is_none() {
            let name = &app.name;
            let plain = |letter: char| letter.is_ascii_alphanumeric();
            let account = name.replace(|letter| !plain(letter), "-");
            environment.set_default("MAIL_FROM", &format!("{name} <{account}@localhost>"));
        }
        let previews = previews(binary.to_owned(), environment.variables().clone());
        let failed = |error| Error::internal("mails cannot be caught").with_source(error);
        let catcher = Catcher::bind(port, previews.clone())
            .or_else(|_| Catcher::bind(0, previews))
            .map_err(failed)?;
        environment.set_default("SMTP_URL", &catcher.smtp_url().map_err(failed)?);
        Ok(Some(Self {
            url: catcher.page_url().map_err(failed)?,
            serve: Box::pin(async {
                if let Err(error) = catcher.run(pending()).await {
                    tracing::error!(%error, "mails are not caught any more");
                }
            }),
        }))
    }

    /// Without the feature `mail` there are no mails to catch.
    #[cfg(not(feature = "mail"))]
    pub(super) fn open(
        _: &App,
        _: &mut DevEnvironment,
        _: u16,
        _: &Path,
    ) -> Result<Option<Self>, Error> {
        Ok(None)
    }
}

/// Renders the mails by the binary as it is now: the supervisor itself goes on being the one that was started.
#[cfg(feature = "mail")]
fn previews(binary: PathBuf, environment: Environment) -> Previews {
    Arc::new(move |name| {
        let mut command = Command::new(&binary);
        let command = command
            .args(["mail", "preview", "--messages", "--"])
            .args(name);
        let output = command.env_clear().envs(environment.iter()).output();
        let rendered = match output {
            Ok(output) if output.status.success() => read(&output.stdout),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        };
        rendered.unwrap_or_else(|problem| vec![Err(problem)])
    })
}

/// Reads what `mail preview --messages` prints.
#[cfg(feature = "mail")]
fn read(printed: &[u8]) -> Result<Vec<Result<Preview, String>>, String> {
    let printed: serde_json::Value =
        serde_json::from_slice(printed).map_err(|error| error.to_string())?;
    let mails = printed["messages"].as_array().ok_or("no messages")?;
    let text = |mail: &serde_json::Value, name: &str| mail[name].as_str().map(str::to_owned);
    let preview = |mail| match (text(mail, "name"), text(mail, "message")) {
        (Some(name), Some(message)) => Ok(Preview {
            name,
            message: message.into_bytes(),
        }),
        _ => Err(text(mail, "problem").unwrap_or_default()),
    };
    Ok(mails.iter().map(preview).collect())
}
