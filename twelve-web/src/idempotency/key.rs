//! The key itself: the header `Idempotency-Key`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use twelve_core::Problem;

/// The header's name.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key that is taken, in characters. Stripe's bound, and no UUID comes near it.
const LONGEST: usize = 255;

/// A key: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// The request's key, if it has one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.any(|value| value != first) {
            return Err(invalid("there are two of them"));
        }
        Self::parse(first).map(Some).map_err(invalid)
    }

    /// What to answer when there must be one.
    pub(super) fn missing() -> Problem {
        Problem::new(
            400,
            "idempotency-key-missing",
            "The header Idempotency-Key is missing",
        )
        .detail("send one key per operation, such as a UUID, and the same key when you try again")
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The draft wants a quoted string (RFC 8941, section 3.3.3); nearly all clients in the wild send it bare.
    fn parse(value: &HeaderValue) -> Result<Self, &'static str> {
        let text = value.to_str().map_err(|_| "it is not visible ASCII")?;
        let key = match text.strip_prefix('"') {
            Some(rest) => unquote(rest)?,
            None if text.contains('"') => return Err("it has a quote in its middle"),
            None => text.to_owned(),
        };
        if key.is_empty() {
            return Err("it is empty");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it is not visible ASCII");
        }
        if key.len() > LONGEST {
            return Err("it is longer than 255 characters");
        }
        Ok(Self(key))
    }
}

/// The string whose opening quote is gone already.
fn unquote(text: &str) -> Result<String, &'static str> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    loop {
        match characters.next() {
            None => return Err("its quote is not closed"),
            Some('"') if characters.as_str().is_empty() => return Ok(key),
            Some('"') => return Err("something follows its closing quote"),
            Some('\\') => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err("it escapes what needs no escape"),
            },
            Some(character) => key.push(character),
        }
    }
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(
        400,
        "idempotency-key-invalid",
        "The header Idempotency-Key cannot be used",
    )
    .detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&[u8]]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        Key::of(&headers).map(|key| key.map(|key| key.0))
    }

    #[test]
    fn a_key_is_quoted_or_bare() {
        assert_eq!(key(&[]).unwrap(), None);
        for same in [&b"a-1"[..], b"\"a-1\""] {
            assert_eq!(key(&[same]).unwrap().as_deref(), Some("a-1"));
        }
        assert_eq!(key(&[br#""a\"\\""#]).unwrap().as_deref(), Some(r#"a"\"#));
        assert_eq!(key(&[b"k", b"k"]).unwrap().as_deref(), Some("k"));
        assert_eq!(
            key(&[&[b'k'; 255]]).unwrap().map(|key| key.len()),
            Some(255)
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let wrong: [&[u8]; 11] = [
            b"",
            b"\"\"",
            b"\"",
            b"\"open",
            b"\"a\"b",
            b"\"a\\b\"",
            b"a\"b",
            b"one two",
            b"\"one two\"",
            "schlüssel".as_bytes(),
            &[b'k'; 256],
        ];
        for value in wrong {
            assert!(
                key(&[value]).is_err(),
                "{:?}",
                String::from_utf8_lossy(value)
            );
        }
        assert!(key(&[b"a", b"b"]).is_err());
    }
}
