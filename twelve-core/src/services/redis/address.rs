//! `REDIS_URL`: what redis-cli and redis-rs take, and a sentence for what they would ignore.

use redis::{ConnectionInfo, IntoConnectionInfo};
use std::{borrow::Cow, collections::BTreeMap};
use url::Url;

use crate::config::Value;

/// Where Redis is, and who asks.
#[derive(Debug)]
pub(super) struct Address(ConnectionInfo);

impl Address {
    pub(super) fn into_info(self) -> ConnectionInfo {
        self.0
    }
}

impl Value for Address {
    const EXPECTED: &'static str = "a URL such as redis://user:password@localhost:6379/0";

    fn parse(text: &str) -> Result<Self, String> {
        let url = redis::parse_redis_url(text).ok_or(
            "is no URL that begins with redis, rediss, valkey, valkeys, unix, redis+unix or valkey+unix",
        )?;
        if url.fragment().is_some() {
            return Err("has a #fragment: a # in a password is written %23".into());
        }
        let is_socket = url.scheme().ends_with("unix");
        check_user(&url, is_socket)?;
        let in_path = if is_socket { None } else { in_path(&url)? };
        let in_query = in_query(&url, is_socket)?;
        if let (Some(path), Some(query)) = (in_path, in_query)
            && path != query
        {
            return Err(format!("names two databases, /{path} and ?db={query}"));
        }
        let database = in_path.or(in_query).unwrap_or(0);
        let info = url.into_connection_info();
        let info = info.map_err(|error| error.to_string())?;
        let redis = info.redis_settings().clone().set_db(database.into());
        Ok(Self(info.set_redis_settings(redis)))
    }

    /// A password that is not percent-encoded may end up in any part of a URL that cannot be parsed.
    fn show(text: &str) -> String {
        match Self::parse(text) {
            Ok(_) => <Url as Value>::show(text),
            Err(_) => "[not shown]".into(),
        }
    }
}

/// redis-rs would leave a user without a password out, and redis-cli takes that for the password.
fn check_user(url: &Url, is_socket: bool) -> Result<(), String> {
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    if is_socket {
        let is_bare = user.is_empty() && password.is_empty() && url.port().is_none();
        return is_bare.then_some(()).ok_or_else(|| {
            "has a user or a port before the path of a socket: write ?user=…&pass=… after it".into()
        });
    }
    if password.is_empty() && !user.is_empty() {
        return Err("names a user without a password: write user:password@, or :password@ for the default user".into());
    }
    Ok(())
}

/// The database that the path names.
fn in_path(url: &Url) -> Result<Option<u32>, String> {
    match url.path().trim_start_matches('/') {
        "" => Ok(None),
        path => database(path).map(Some),
    }
}

/// The database that the query names, which redis-rs reads for sockets only; what else may stand there it reads itself.
fn in_query(url: &Url, is_socket: bool) -> Result<Option<u32>, String> {
    let known: &[&str] = if is_socket {
        &["db", "protocol", "user", "pass"]
    } else {
        &["db", "protocol"]
    };
    let mut query: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        let name = known.iter().find(|known| **known == name);
        let name = name.ok_or_else(|| {
            let known = known.join(", ");
            // Not which: it may be the rest of a password.
            format!("has a parameter that is none of {known}; a ? in a password is written %3F")
        })?;
        if query.insert(name, value).is_some() {
            return Err(format!("has the parameter {name} twice"));
        }
    }
    if query.contains_key("user") && !query.contains_key("pass") {
        return Err("names a user without a password: add &pass=…".into());
    }
    query.get("db").map(|text| database(text)).transpose()
}

fn database(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "names a database that is no number from 0 on".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        let info = Address::parse(text)?.into_info();
        let redis = info.redis_settings();
        let user = redis.username().unwrap_or("-");
        let password = redis.password().unwrap_or("-");
        let protocol = if redis.protocol() == redis::ProtocolVersion::RESP3 {
            3
        } else {
            2
        };
        let (address, database) = (info.addr(), redis.db());
        let is_tls = matches!(address, redis::ConnectionAddr::TcpTls { .. });
        let tls = if is_tls { " tls" } else { "" };
        Ok(format!(
            "{address} {database} {user} {password} resp{protocol}{tls}"
        ))
    }

    /// The forms are those of `redis-cli -u`, of redis-rs' `IntoConnectionInfo`, and of the scheme `redis` as IANA has it.
    #[test]
    fn what_is_taken() {
        for (text, expected) in [
            ("redis://localhost", "localhost:6379 0 - - resp2"),
            ("redis://localhost/", "localhost:6379 0 - - resp2"),
            ("redis://[::1]:7000/3", "::1:7000 3 - - resp2"),
            ("redis://:se%23cret@h", "h:6379 0 - se#cret resp2"),
            ("redis://ada:pw@h:1/15", "h:1 15 ada pw resp2"),
            ("redis://h?db=4", "h:6379 4 - - resp2"),
            ("redis://h/?db=4", "h:6379 4 - - resp2"),
            ("redis://h/4?db=4", "h:6379 4 - - resp2"),
            ("redis://h/4?db=4&protocol=resp3", "h:6379 4 - - resp3"),
            ("redis://h?protocol=3", "h:6379 0 - - resp3"),
            ("valkey://h/1", "h:6379 1 - - resp2"),
            ("rediss://h/1", "h:6379 1 - - resp2 tls"),
            ("valkeys://:pw@h", "h:6379 0 - pw resp2 tls"),
            ("unix:///run/redis.sock", "/run/redis.sock 0 - - resp2"),
            ("unix:/run/redis.sock", "/run/redis.sock 0 - - resp2"),
            (
                "redis+unix:///a%20b?db=4&user=ada&pass=p%26w",
                "/a b 4 ada p&w resp2",
            ),
            ("valkey+unix:///a?pass=pw", "/a 0 - pw resp2"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, part) in [
            ("", "no URL"),
            ("localhost:6379", "no URL"),
            ("http://localhost:6379", "no URL"),
            ("redis://h:port", "no URL"),
            ("redis://", "hostname"),
            ("redis://0.0.0.0", "wildcard"),
            ("redis://h/zero", "no number"),
            ("redis://h/-1", "no number"),
            ("redis://h/1/2", "no number"),
            ("redis://h?db=four", "no number"),
            ("redis://h?db=", "no number"),
            ("unix:///a?db=-4", "no number"),
            ("redis://h/3?db=4", "two databases, /3 and ?db=4"),
            ("redis://h?db=3&db=3", "db twice"),
            ("redis://h?database=4", "none of db, protocol"),
            ("redis://h?timeout=5s", "none of db, protocol"),
            ("redis://h?user=ada&pass=pw", "none of db, protocol"),
            ("unix:///a?password=pw", "none of db, protocol, user, pass"),
            ("redis://h?protocol=4", "protocol"),
            ("redis://h#1", "#fragment"),
            ("rediss://h#insecure", "#fragment"),
            ("unix:///a#1", "#fragment"),
            ("redis://ada@h", "without a password"),
            ("redis://ada:@h", "without a password"),
            ("unix:///a?user=ada", "without a password"),
            ("unix://ada:pw@localhost/a", "before the path"),
            ("unix://h/a", "Missing path"),
        ] {
            let refused = parsed(text).expect_err(text);
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }

    /// A password with a character that means something in URLs is easily left as it is.
    #[test]
    fn neither_a_refusal_nor_a_listing_shows_a_part_of_a_password() {
        for text in [
            "redis://:se?cret@h",
            "redis://ada:1?cret@h",
            "redis://h:1?cret@h",
            "redis://:se#cret@h",
            "redis://h/cret",
            "redis://ada:1/cret@h",
        ] {
            let refused = parsed(text).expect_err(text);
            assert!(!refused.contains("cret"), "{text}: {refused}");
            assert_eq!(Address::show(text), "[not shown]", "{text}");
        }
        assert_eq!(Address::show("redis://:cret@h/3"), "redis://:***@h/3");
    }
}
