//! The types that a variable can have.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use url::{Position, Url};
use uuid::Uuid;

/// Shown in place of a password.
pub(crate) const HIDDEN: &str = "***";

/// Parameters of a URL that are no secrets, of Postgres and of others; whatever else a query holds may be one.
const OPEN: [&str; 12] = [
    "application_name",
    "connect_timeout",
    "db",
    "dbname",
    "host",
    "port",
    "protocol",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "tls",
    "user",
];

/// The longest duration; `derive(Job)` has the same, for both are written in the same form.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// A type that a variable's text can be read as.
///
/// Implement it for a type of your own, or mark the field `#[config(from_str)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a variable",
    label = "not a value that the environment can hold",
    note = "implement `twelve::Value` for `{Self}`, or mark the field `#[config(from_str)]`"
)]
pub trait Value: Sized {
    /// The form that an error tells people to use, such as `a whole number from 0 to 65535`.
    const EXPECTED: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in lower case and without a full stop.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value of a variable that is not set and has no default; `None` makes it required.
    #[must_use]
    fn missing() -> Option<Self> {
        None
    }

    /// How listings and errors show the text.
    #[must_use]
    fn show(text: &str) -> String {
        text.into()
    }
}

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("neither true nor false".into()),
        }
    }
}

/// Values whose `FromStr` says it all.
macro_rules! by_from_str {
    ($($type:ty: $expected:literal, $problem:literal;)*) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $problem.into())
            }
        }
    )*};
}

by_from_str! {
    u8: "a whole number from 0 to 255", "not such a number";
    u16: "a whole number from 0 to 65535", "not such a number";
    u32: "a whole number from 0 to 4294967295", "not such a number";
    u64: "a whole number from 0", "not such a number";
    usize: "a whole number from 0", "not such a number";
    i32: "a whole number", "not such a number";
    i64: "a whole number", "not such a number";
    f32: "a number", "not a number";
    f64: "a number", "not a number";
    IpAddr: "an IP address", "not an IP address";
    SocketAddr: "an IP address with a port, such as 127.0.0.1:5000", "not such an address";
    Uuid: "a UUID", "not a UUID";
}

impl Value for Url {
    const EXPECTED: &'static str = "a URL, such as https://example.com";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }

    /// Shows only what is known to be no secret: passwords, fragments and most parameters are left out, and a text that is no URL is not shown at all.
    fn show(text: &str) -> String {
        let Ok(mut url) = Self::parse(text) else {
            return "[not shown]".into();
        };
        // `user:password@host` is a URL too, of the scheme `user`.
        if url.cannot_be_a_base() {
            return "[not shown]".into();
        }
        // Of a password that is not encoded, `/`, `?` and `#` end the host: all before the `@` is a part of it.
        if url[Position::AfterPort..].contains('@') {
            return "[not shown]".into();
        }
        // Of a URL that has a user or a password, either can be replaced.
        if url.password().is_some() {
            let _ = url.set_password(Some(HIDDEN));
        }
        // To a web API, the name is as often a token as a name.
        if url.scheme().starts_with("http") && !url.username().is_empty() {
            let _ = url.set_username(HIDDEN);
        }
        if url.fragment().is_some() {
            url.set_fragment(Some(HIDDEN));
        }
        if url.query().is_some() {
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let shown = pairs.iter().map(|(name, value)| {
                // Without a value, the name itself is what is said.
                match (OPEN.contains(&name.as_str()), value.is_empty()) {
                    (true, _) => (name.as_str(), value.as_str()),
                    (false, true) => (HIDDEN, ""),
                    (false, false) => (name.as_str(), HIDDEN),
                }
            });
            url.query_pairs_mut().clear().extend_pairs(shown);
        }
        url.into()
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration, such as 500ms, 30s, 5m, 1h or 7d";

    fn parse(text: &str) -> Result<Self, String> {
        let problem = || "not a duration".to_owned();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: u64 = count.parse().map_err(|_| problem())?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(problem()),
        };
        count
            .checked_mul(unit_ms)
            .map(Self::from_millis)
            .filter(|duration| *duration <= LONGEST)
            .ok_or_else(|| "longer than 365 days".into())
    }
}

impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn show(text: &str) -> String {
        T::show(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_count_and_a_unit() {
        assert_eq!(Duration::parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(Duration::parse("2h"), Ok(Duration::from_hours(2)));
        for wrong in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "99999999999999999999d",
            "366d",
        ] {
            assert!(Duration::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_urls_password_is_not_shown() {
        let show = <Url as Value>::show;
        for (url, shown) in [
            ("postgres://me:s3cret@db/shop", "postgres://me:***@db/shop"),
            (
                "postgres://db/shop?user=me&password=s3cret&sslmode=require",
                "postgres://db/shop?user=me&password=***&sslmode=require",
            ),
            (
                "https://api.example/v1?key=s3cret&access_token=s3cret&Signature=s3cret",
                "https://api.example/v1?key=***&access_token=***&Signature=***",
            ),
            (
                "https://api.example/v1?s3cret",
                "https://api.example/v1?***=",
            ),
            (
                "https://s3cret@errors.example/1",
                "https://***@errors.example/1",
            ),
            (
                "https://me:s3cret@api.example/",
                "https://***:***@api.example/",
            ),
            ("https://app.example/#s3cret", "https://app.example/#***"),
            // Passwords that are not encoded.
            ("smtp://s3/cret@mail.example", "[not shown]"),
            ("smtp://me:s3/cret@mail.example", "[not shown]"),
            ("https://me:12/34@api.example", "[not shown]"),
            ("https://me:12\\34@api.example", "[not shown]"),
            ("https://me:12?34@api.example", "[not shown]"),
            ("https://me:12#34@api.example", "[not shown]"),
            ("https://me:s3@cr/et@api.example", "[not shown]"),
            (
                "https://api.example/%40ada?user=ada",
                "https://api.example/%40ada?user=ada",
            ),
            ("redis://:s3cret@redis/1", "redis://:***@redis/1"),
            ("s3cret@nowhere", "[not shown]"),
            ("me:s3cret@db/shop", "[not shown]"),
            ("https://api.example/v1?", "https://api.example/v1?"),
        ] {
            assert_eq!(show(url), shown);
        }
    }

    /// `idna_adapter` is pinned for the sake of the build: to one that knows Unicode, not to the stub.
    #[test]
    fn a_url_may_name_a_host_beyond_ascii() {
        // One of the URL Standard's own examples of hosts.
        let url = <Url as Value>::parse("https://faß.example/").unwrap();
        assert_eq!(url.host_str(), Some("xn--fa-hia.example"));
    }
}
