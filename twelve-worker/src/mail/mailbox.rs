//! Addresses: `Shop <shop@example.org>`, or the address alone.

use lettre::{Address, message};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};
use twelve_core::Value;
use url::Host;

/// The longest name, so that headers are bounded; no mail program shows more.
const MAX_NAME_CHARS: usize = 200;

/// An address, maybe with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox(message::Mailbox);

impl Mailbox {
    /// The name before the address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The address alone.
    #[must_use]
    pub fn email(&self) -> &str {
        self.0.email.as_ref()
    }

    pub(super) fn address(&self) -> Address {
        self.0.email.clone()
    }

    pub(super) fn to_header(&self) -> message::Mailbox {
        self.0.clone()
    }
}

/// Everything before the last `<` is the name, with any characters: it is quoted or encoded when it is written.
///
/// So `format!("{name} <{email}>")` is safe for every name, and neither part can inject a second address.
impl FromStr for Mailbox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{}` {why}", text.escape_debug()));
        if text.chars().any(char::is_control) {
            return wrong("holds a line break or another control character");
        }
        let trimmed = text.trim();
        let (name, email) = match trimmed.strip_suffix('>').and_then(|it| it.rsplit_once('<')) {
            Some((name, email)) => (unquoted(name.trim()), email),
            None => (String::new(), trimmed),
        };
        if name.chars().count() > MAX_NAME_CHARS {
            return wrong("has a name of more than 200 characters");
        }
        let Ok(email) = email.parse::<Address>() else {
            return wrong("is not an address, such as shop@example.org or Shop <shop@example.org>");
        };
        if !email.user().is_ascii() {
            return wrong("is not ASCII before the `@`, which most servers refuse");
        }
        let Some(email) = with_ascii_domain(email) else {
            return wrong("has no domain that could be looked up");
        };
        let name = Some(name).filter(|name| !name.is_empty());
        Ok(Self(message::Mailbox::new(name, email)))
    }
}

/// The name as people read it.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    }
}

/// The domain as DNS knows it, so that the server need not know unicode addresses.
fn with_ascii_domain(address: Address) -> Option<Address> {
    if address.domain().is_ascii() {
        return Some(address);
    }
    let domain = Host::parse(address.domain()).ok()?.to_string();
    Address::new(address.user(), domain).ok()
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} <{}>", self.email()),
            None => f.write_str(self.email()),
        }
    }
}

impl Serialize for Mailbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[diagnostic::do_not_recommend]
impl Value for Mailbox {
    const EXPECTED: &'static str = "an address, such as Shop <shop@example.org>";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not an address".into())
    }
}

/// What a field marked `#[mail(to)]`, `cc`, `bcc` or `reply_to` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` holds no addresses",
    label = "expected `String`, `Mailbox`, `Vec<String>` or `Option<String>`",
    note = "an address is written `shop@example.org` or `Shop <shop@example.org>`"
)]
pub trait Addresses {
    /// The addresses, as the author wrote them.
    fn addresses(&self) -> Vec<String>;
}

impl Addresses for String {
    fn addresses(&self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Addresses for Mailbox {
    fn addresses(&self) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl Addresses for Option<String> {
    fn addresses(&self) -> Vec<String> {
        self.iter().cloned().collect()
    }
}

impl Addresses for Vec<String> {
    fn addresses(&self) -> Vec<String> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<String>, String) {
        let mailbox: Mailbox = text.parse().unwrap();
        (mailbox.name().map(Into::into), mailbox.email().into())
    }

    #[test]
    fn an_address_may_have_a_name() {
        assert_eq!(parsed("a@example.org"), (None, "a@example.org".into()));
        assert_eq!(parsed("<a@example.org>"), (None, "a@example.org".into()));
        for (text, name) in [
            ("Ada <a@example.org>", "Ada"),
            (
                "\"Ada, \\\"the\\\" Countess\" <a@example.org>",
                "Ada, \"the\" Countess",
            ),
            ("Jürgen Müller <a@example.org>", "Jürgen Müller"),
            ("Dr. A. (B), C; D <a@example.org>", "Dr. A. (B), C; D"),
            ("Eve <eve@evil.org> <a@example.org>", "Eve <eve@evil.org>"),
        ] {
            assert_eq!(parsed(text), (Some(name.into()), "a@example.org".into()));
        }
    }

    #[test]
    fn a_domain_is_written_as_dns_knows_it() {
        assert_eq!(parsed("a@bücher.example").1, "a@xn--bcher-kva.example");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c.org",
            "a@example.org, b@example.org",
            "a@example.org>",
            "Ada <a@example.org",
            "a@example.org\r\nBcc: b@example.org",
            "Ada\n <a@example.org>",
            "jürgen@example.org",
            &format!("{} <a@example.org>", "a".repeat(201)),
        ] {
            assert!(wrong.parse::<Mailbox>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_survives_its_way_through_the_queue() {
        for text in ["a@example.org", "Ada, \"the\" <Countess> <a@example.org>"] {
            let mailbox: Mailbox = text.parse().unwrap();
            let json = serde_json::to_string(&mailbox).unwrap();
            assert_eq!(serde_json::from_str::<Mailbox>(&json).unwrap(), mailbox);
        }
    }
}
