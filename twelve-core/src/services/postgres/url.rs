//! A URL of Postgres, as libpq reads it; its manual, "Connection URIs".
//!
//! sqlx reads only URLs of one host, and ignores unknown parameters silently.
//! So each host becomes a URL that sqlx understands as a whole, and a parameter that cannot be honoured is refused.

use percent_encoding::percent_decode_str;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::{net::IpAddr, num::NonZeroU16, time::Duration};
use url::Url;

use super::target::{Target, Wanted};
use crate::config::{HIDDEN, Value};

/// Parameters that sqlx understands.
const PASSED_ON: [&str; 15] = [
    "application_name",
    "dbname",
    "options",
    "password",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parameters of libpq with those values that change nothing here; others of them would not be honoured.
const HARMLESS: [(&str, &[&str]); 9] = [
    ("channel_binding", &["prefer", "disable"]),
    (
        "client_encoding",
        &["auto", "utf8", "UTF8", "utf-8", "UTF-8"],
    ),
    ("gssencmode", &["prefer", "disable"]),
    ("gssdelegation", &["0"]),
    ("keepalives", &["1"]),
    ("replication", &["false", "off", "no", "0"]),
    ("sslcompression", &["0"]),
    ("sslnegotiation", &["postgres"]),
    ("sslsni", &["1"]),
];

/// What each of our connections sets by itself.
const TIMEOUT: &str = "statement_timeout";

const ENCODE: &str = "a / ? # or @ in its password must be written as %2F %3F %23 %40";

/// Where `DATABASE_URL` points to.
#[derive(Clone, Debug)]
pub(super) struct PostgresUrl(Target);

impl PostgresUrl {
    pub(super) fn into_target(self) -> Target {
        self.0
    }
}

impl Value for PostgresUrl {
    const EXPECTED: &'static str = "a URL such as postgres://user:password@localhost:5432/shop";

    fn parse(text: &str) -> Result<Self, String> {
        let parts = Parts::of(text)?;
        let mut wishes = Wishes::default();
        // A plus sign stands for itself, other than in a form.
        for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or("a parameter without a =")?;
            wishes.hear(&decoded(key)?, &decoded(value)?)?;
        }
        if !parts.hosts.is_empty() {
            let (names, numbers) = parts.hosts()?;
            wishes.hosts = wishes.hosts.or(Some(names));
            wishes.ports = wishes.ports.or(Some(numbers));
        }
        let mut target = Target::new(wishes.options(&parts)?)
            .wanted(wishes.wanted)
            .shuffled(wishes.is_shuffled);
        if let Some(connect_timeout) = wishes.connect_timeout {
            target = target.connect_timeout(connect_timeout);
        }
        Ok(Self(target))
    }

    /// All but the password, in whichever place it stands.
    fn show(text: &str) -> String {
        // A password that is not percent-encoded may end up in any part of a URL that cannot be parsed.
        let (Ok(parts), true) = (Parts::of(text), Self::parse(text).is_ok()) else {
            return "[not shown]".into();
        };
        let mut shown = format!("{}://", parts.scheme);
        if let Some((user, password)) = parts.user {
            shown += user;
            if password.is_some() {
                shown = shown + ":" + HIDDEN;
            }
            shown.push('@');
        }
        shown = shown + parts.hosts + parts.path;
        for (place, pair) in parts
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .enumerate()
        {
            shown.push(if place == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((key, _)) if is_secret(key) => shown = shown + key + "=" + HIDDEN,
                _ => shown += pair,
            }
        }
        shown
    }
}

/// Does such a parameter hold a password?
fn is_secret(key: &str) -> bool {
    let key = percent_decode_str(key).decode_utf8_lossy();
    key.to_ascii_lowercase().contains("pass")
}

/// `postgres://user:password@host:port,host:port/database?key=value`, still encoded.
struct Parts<'t> {
    scheme: &'t str,
    user: Option<(&'t str, Option<&'t str>)>,
    hosts: &'t str,
    path: &'t str,
    query: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err("it does not begin with postgres://".into());
        }
        if text.contains('#') {
            return Err(ENCODE.into());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains('@') {
            return Err(ENCODE.into());
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        Ok(Self {
            scheme,
            user: user.map(|user| match user.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (user, None),
            }),
            hosts,
            path,
            query,
        })
    }

    /// The hosts, and a port for each that has one.
    fn hosts(&self) -> Result<(Vec<String>, Vec<String>), String> {
        let mut hosts = Vec::new();
        let mut ports = Vec::new();
        for part in self.hosts.split(',') {
            let (host, port) = match part.strip_prefix('[') {
                Some(ip) => {
                    let (ip, port) = ip.split_once(']').ok_or("an IPv6 address without its ]")?;
                    let port = port.strip_prefix(':').or(port.is_empty().then_some(port));
                    (
                        ip,
                        port.ok_or("an IPv6 address is followed by something else than its port")?,
                    )
                }
                None => part.split_once(':').unwrap_or((part, "")),
            };
            hosts.push(decoded(host)?);
            ports.push(port.to_owned());
        }
        Ok((hosts, ports))
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text
        .map_err(|_| "not UTF-8 where it is percent-encoded")?
        .into_owned())
}

/// What the parameters ask for.
#[derive(Default)]
struct Wishes {
    hosts: Option<Vec<String>>,
    ports: Option<Vec<String>>,
    wanted: Wanted,
    is_shuffled: bool,
    connect_timeout: Option<Duration>,
    /// For sqlx.
    rest: Vec<(String, String)>,
}

impl Wishes {
    fn hear(&mut self, key: &str, value: &str) -> Result<(), String> {
        let list = || value.split(',').map(str::to_owned).collect();
        match key {
            "host" => self.hosts = self.hosts.take().or(Some(list())),
            // libpq connects to the address and uses the name for TLS and passwords only; sqlx knows one of the two.
            "hostaddr" => {
                if value
                    .split(',')
                    .any(|address| address.parse::<IpAddr>().is_err())
                {
                    return Err("hostaddr is a list of IP addresses".into());
                }
                self.hosts = Some(list());
            }
            "port" => self.ports = Some(list()),
            "target_session_attrs" => {
                self.wanted = Wanted::parse(value).ok_or(
                    "target_session_attrs is any, read-write, read-only, primary, standby or prefer-standby",
                )?;
            }
            "load_balance_hosts" => {
                self.is_shuffled = match value {
                    "random" => true,
                    "disable" => false,
                    _ => return Err("load_balance_hosts is disable or random".into()),
                }
            }
            "connect_timeout" => {
                let seconds = value
                    .parse()
                    .ok()
                    .filter(|seconds| (1..=60).contains(seconds));
                let seconds =
                    seconds.ok_or("connect_timeout is a number of seconds from 1 to 60")?;
                self.connect_timeout = Some(Duration::from_secs(seconds));
            }
            "ssl" if value == "true" => self.rest.push(("sslmode".into(), "require".into())),
            // What it falls back from is always there: twelve names its connections.
            "fallback_application_name" => {}
            // It would hold for `release` too, whose statements may take as long as they like.
            _ if key.starts_with("options")
                && (key.contains(TIMEOUT) || value.contains(TIMEOUT)) =>
            {
                return Err(format!(
                    "{TIMEOUT} is what TWELVE_DATABASE_TIMEOUT says: set that"
                ));
            }
            _ if PASSED_ON.contains(&key) || key.starts_with("options[") => {
                self.rest.push((key.to_owned(), value.to_owned()));
            }
            _ => match HARMLESS.iter().find(|(harmless, _)| *harmless == key) {
                Some((_, values)) if values.contains(&value) => {}
                Some((_, values)) => {
                    return Err(format!("{key} can only be {} here", values.join(" or ")));
                }
                None => return Err(format!("{key} is not supported")),
            },
        }
        Ok(())
    }

    /// What sqlx makes of each host.
    fn options(&self, parts: &Parts<'_>) -> Result<Vec<PgConnectOptions>, String> {
        let nowhere = [String::new()];
        let hosts = self.hosts.as_deref().unwrap_or(&nowhere);
        let numbers = self.ports.as_deref().unwrap_or(&nowhere);
        if numbers.len() != 1 && numbers.len() != hosts.len() {
            return Err(format!("{} ports for {} hosts", numbers.len(), hosts.len()));
        }
        let numbers = numbers.iter().chain(std::iter::repeat(&numbers[0]));
        let options = hosts.iter().zip(numbers);
        options
            .map(|(host, port)| self.one(parts, host, port))
            .collect()
    }

    fn one(&self, parts: &Parts<'_>, host: &str, port: &str) -> Result<PgConnectOptions, String> {
        let mut url = Url::parse("postgres:///").map_err(|error| error.to_string())?;
        url.set_path(parts.path);
        {
            let mut query = url.query_pairs_mut();
            if let Some((user, password)) = parts.user {
                if !user.is_empty() {
                    query.append_pair("user", &decoded(user)?);
                }
                if let Some(password) = password {
                    query.append_pair("password", &decoded(password)?);
                }
            }
            if !host.is_empty() {
                // One that begins with a slash is a directory with a socket in it.
                query.append_pair("host", host);
            }
            if !port.is_empty() {
                let port: NonZeroU16 = port
                    .parse()
                    .map_err(|_| "its port is no number from 1 to 65535")?;
                query.append_pair("port", &port.to_string());
            }
            query.extend_pairs(&self.rest);
        }
        PgConnectOptions::from_url(&url).map_err(|error| match error {
            sqlx::Error::Configuration(cause) => cause.to_string(),
            other => other.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libpq's manual shows under "Connection URIs", and what it does not, with the hosts that come of it.
    #[test]
    fn what_libpq_reads_is_read() {
        let table: &[(&str, &[&str])] = &[
            ("postgres://u:p@h:5433/db", &["h:5433"]),
            ("postgresql://h", &["h:5432"]),
            (
                "postgres://u@h1:1,h2:2/db?target_session_attrs=read-write",
                &["h1:1", "h2:2"],
            ),
            ("postgres://h1,h2/db?port=6000", &["h1:6000", "h2:6000"]),
            ("postgres:///db?host=h1,h2&port=1,2", &["h1:1", "h2:2"]),
            ("postgres://[2001:db8::1]:7/db", &["2001:db8::1:7"]),
            (
                "postgres://user@/db?host=/run/postgresql",
                &["/run/postgresql:5432"],
            ),
            (
                "postgres:///db?host=/run/postgresql&port=5433",
                &["/run/postgresql:5433"],
            ),
            (
                "postgres://%2Frun%2Fpostgresql/db",
                &["/run/postgresql:5432"],
            ),
            ("postgres://h:7/db?hostaddr=10.0.0.7", &["10.0.0.7:7"]),
            (
                "postgres://localhost:7/db?host=/run/postgresql",
                &["/run/postgresql:7"],
            ),
            (
                "postgres://h/db?sslmode=require&channel_binding=prefer",
                &["h:5432"],
            ),
            (
                "postgres://h/db?connect_timeout=3&load_balance_hosts=random",
                &["h:5432"],
            ),
        ];
        for (text, hosts) in table {
            let target = PostgresUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(target.0.places(), *hosts, "{text}");
        }
    }

    #[test]
    fn user_password_and_database_are_decoded_wherever_they_stand() {
        for text in [
            "postgres://a%40b:x%2By@h/shop%20one",
            "postgres://h/?user=a%40b&password=x%2By&dbname=shop%20one",
            // A plus sign is no blank, as in libpq.
            "postgres://h/shop%20one?user=a%40b&password=x+y",
        ] {
            let target = PostgresUrl::parse(text).unwrap().into_target();
            let options = target.first();
            assert_eq!(options.get_username(), "a@b", "{text}");
            assert_eq!(options.get_database(), Some("shop one"), "{text}");
            let url = options.to_url_lossy();
            assert_eq!(url.password(), Some("x%2By"), "{text}");
        }
    }

    #[test]
    fn what_would_not_be_honoured_is_refused_with_a_sentence() {
        let table = [
            ("nonsense", "begin with postgres://"),
            ("mysql://localhost/shop", "begin with postgres://"),
            (
                "postgres://h/db?channel_binding=require",
                "channel_binding can only be prefer or disable",
            ),
            (
                "postgres://h/db?pgbouncer=true",
                "pgbouncer is not supported",
            ),
            (
                "postgres://h/db?keepalives_idle=60",
                "keepalives_idle is not supported",
            ),
            (
                "postgres://h/db?target_session_attrs=master",
                "target_session_attrs is any",
            ),
            (
                "postgres://h/db?load_balance_hosts=yes",
                "load_balance_hosts is disable or random",
            ),
            (
                "postgres://h/db?connect_timeout=0",
                "connect_timeout is a number of seconds",
            ),
            (
                "postgres://h/db?options=-c%20statement_timeout%3D5s",
                "TWELVE_DATABASE_TIMEOUT",
            ),
            (
                "postgres://h/db?options[statement_timeout]=5s",
                "TWELVE_DATABASE_TIMEOUT",
            ),
            ("postgres://h/db?sslmode", "a parameter without a ="),
            ("postgres://h/db?sslmode=sometimes", "sometimes"),
            ("postgres://h1,h2/db?port=1,2,3", "3 ports for 2 hosts"),
            ("postgres://h:port/db", "its port is no number"),
            ("postgres://[::1/db", "an IPv6 address without its ]"),
            ("postgres://u:a#b@h/db", "%23"),
            ("postgres://u:12/b@h/db", "%2F"),
            ("postgres://h:0/db", "its port is no number"),
            ("postgres://[::1]7/db", "something else than its port"),
            (
                "postgres://h/db?hostaddr=name",
                "hostaddr is a list of IP addresses",
            ),
            ("postgres://%ff@h/db", "not UTF-8"),
        ];
        for (text, sentence) in table {
            let refused = PostgresUrl::parse(text).expect_err(text);
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
    }

    #[test]
    fn no_password_is_shown_in_any_place() {
        for (text, shown) in [
            (
                "postgres://u:hush@h1:1,h2/db?sslmode=require",
                "postgres://u:***@h1:1,h2/db?sslmode=require",
            ),
            (
                "postgres://u@/db?host=/run&password=hush",
                "postgres://u@/db?host=/run&password=***",
            ),
            (
                "postgres://h/db?user=u&p%61ssword=hush",
                "postgres://h/db?user=u&p%61ssword=***",
            ),
            ("postgres://u:12/hush@h/db", "[not shown]"),
            ("postgres://u:a?hush@h/db", "[not shown]"),
            ("postgres://u:12#hush@h/db", "[not shown]"),
            ("hush", "[not shown]"),
        ] {
            assert_eq!(PostgresUrl::show(text), shown);
        }
    }
}
