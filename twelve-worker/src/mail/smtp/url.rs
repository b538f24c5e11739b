//! `SMTP_URL`: the address of the server, credentials and TLS.

use percent_encoding::percent_decode_str;
use std::fmt;
use twelve_core::Value;
use url::{Host, Url};

/// Where mails are sent through.
///
/// `smtps://` speaks TLS from the first byte (RFC 8314, section 3.3), `smtp://` after STARTTLS.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::mail) struct SmtpUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Encryption,
    pub(super) credentials: Option<(String, String)>,
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the first byte.
    Implicit,
    /// By STARTTLS, or not at all.
    Required,
    /// By STARTTLS if it is offered (opportunistic). The certificate is not verified: an attacker who could forge it could also hide the offer.
    Opportunistic,
    /// Never.
    None,
}

impl SmtpUrl {
    fn of(url: &Url) -> Result<Self, String> {
        let is_smtps = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err("its scheme is neither smtp nor smtps".into()),
        };
        let host = url.host().ok_or("it names no host")?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("nothing but `?tls=…` may stand behind the host".into());
        }
        let credentials = credentials(url)?;
        let is_private = is_loopback(&host) && credentials.is_none();
        let tls = match (tls_of(url)?.as_deref(), is_smtps) {
            (None | Some("required"), true) => Encryption::Implicit,
            (None, false) if is_private => Encryption::Opportunistic,
            (None | Some("required"), false) => Encryption::Required,
            (Some("none"), false) => Encryption::None,
            (Some("none"), true) => {
                return Err("smtps and `tls=none` contradict each other".into());
            }
            (Some(_), _) => return Err("`tls` is `required` or `none`".into()),
        };
        Ok(Self {
            // Without the brackets of an IPv6 address, as resolvers and certificates have it.
            host: match host {
                Host::Domain(name) => name.to_owned(),
                Host::Ipv4(address) => address.to_string(),
                Host::Ipv6(address) => address.to_string(),
            },
            port: url.port().unwrap_or(if is_smtps { 465 } else { 587 }),
            tls,
            credentials,
        })
    }
}

fn credentials(url: &Url) -> Result<Option<(String, String)>, String> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| "its user or password is not UTF-8".to_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err("it has a password without a user".into()),
        (_, None) => Err("it has a user without a password".into()),
        (user, Some(password)) => Ok(Some((decode(user)?, decode(password)?))),
    }
}

fn tls_of(url: &Url) -> Result<Option<String>, String> {
    let mut tls = None;
    for (key, value) in url.query_pairs() {
        if key != "tls" || tls.is_some() {
            return Err("nothing but one `?tls=…` may stand behind the host".into());
        }
        tls = Some(value.into_owned());
    }
    Ok(tls)
}

/// Whether the server is this host: nobody can read that traffic on the way.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            *name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[diagnostic::do_not_recommend]
impl Value for SmtpUrl {
    const EXPECTED: &'static str =
        "smtps://user:password@host:465 or smtp://user:password@host:587, maybe with ?tls=none";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        Self::of(&url)
    }

    /// A URL that cannot be parsed may contain a password anywhere, such as one that is not encoded.
    fn show(text: &str) -> String {
        match Self::parse(text) {
            Ok(_) => <Url as Value>::show(text),
            Err(_) => "[not shown]".into(),
        }
    }
}

/// Without the credentials.
impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SmtpUrl {
        SmtpUrl::parse(text).unwrap()
    }

    #[test]
    fn the_scheme_tells_when_tls_begins() {
        for (text, port, tls) in [
            ("smtps://mail.example", 465, Encryption::Implicit),
            ("smtps://127.0.0.1:1465", 1465, Encryption::Implicit),
            ("smtp://mail.example", 587, Encryption::Required),
            ("smtp://mail.example:25?tls=none", 25, Encryption::None),
            ("smtp://u:p@mail.example:25?tls=none", 25, Encryption::None),
            ("smtp://localhost:1025", 1025, Encryption::Opportunistic),
            ("smtp://127.0.0.1:1025/", 1025, Encryption::Opportunistic),
            ("smtp://[::1]:1025", 1025, Encryption::Opportunistic),
            (
                "smtp://localhost:1025?tls=required",
                1025,
                Encryption::Required,
            ),
            ("smtp://u:p@localhost:1025", 1025, Encryption::Required),
        ] {
            let url = url(text);
            assert_eq!((url.port, url.tls), (port, tls), "{text}");
        }
        assert_eq!(url("smtp://[::1]:1025").host, "::1");
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let text = "smtps://me%40shop.example:p%2Fs%20s+%C3%BC@mail.example";
        let url = url(text);
        let credentials = ("me@shop.example".to_owned(), "p/s s+ü".to_owned());
        assert_eq!(url.credentials, Some(credentials));
        assert_eq!(format!("{url:?}"), "mail.example:465 (Implicit)");
        let shown = SmtpUrl::show(text);
        assert_eq!(shown, "smtps://me%40shop.example:***@mail.example");
        assert_eq!(SmtpUrl::show("smtp://token@mail.example"), "[not shown]");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "mail.example",
            "http://mail.example",
            "smtp://",
            "smtp://user@mail.example",
            "smtp://:secret@mail.example",
            "smtp://mail.example/path",
            "smtp://mail.example?tls=maybe",
            "smtp://mail.example?tls=none&tls=required",
            "smtp://mail.example?auth=plain",
            "smtps://mail.example?tls=none",
            "smtp://u:%ff@mail.example",
        ] {
            let fault = SmtpUrl::parse(wrong).err();
            assert!(fault.is_some(), "{wrong}");
            assert!(!fault.unwrap_or_default().contains("secret"));
        }
    }
}
