//! What makes two requests the same request, and two keys the same lock.

use axum::{
    extract::OriginalUri,
    http::{header, request::Parts},
};
use sha2::{Digest, Sha256};

use super::key::Key;

/// SHA-256 of method, path with query, content type and body.
///
/// Other headers differ between honest retries: tracing, user agents, tokens that were renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(parts: &Parts, body: &[u8]) -> Self {
        // A nested route sees a shortened path; what the client sent is kept beside it.
        let uri = match parts.extensions.get::<OriginalUri>() {
            Some(OriginalUri(original)) => original,
            None => &parts.uri,
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        Self(digest([
            parts.method.as_str().as_bytes(),
            target.as_bytes(),
            content_type.map_or(b"", |value| value.as_bytes()),
            body,
        ]))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The number of the advisory lock that a key is claimed by.
///
/// Two keys that share a number would only answer each other 409 while both are in flight.
pub(super) fn lock(scope: &str, key: &Key) -> i64 {
    let digest = digest([
        b"twelve.idempotency",
        scope.as_bytes(),
        key.as_str().as_bytes(),
    ]);
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(number)
}

/// Each part's length comes before it: else `ab` + `c` would equal `a` + `bc`.
fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn fingerprint(method: &str, uri: &str, content_type: &str, body: &str) -> Fingerprint {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, content_type)
            .body(())
            .unwrap();
        Fingerprint::of(&request.into_parts().0, body.as_bytes())
    }

    #[test]
    fn every_part_counts() {
        let original = fingerprint("POST", "/orders?a=1", "text/plain", "body");
        assert_eq!(
            original,
            fingerprint("POST", "/orders?a=1", "text/plain", "body")
        );
        for other in [
            fingerprint("PUT", "/orders?a=1", "text/plain", "body"),
            fingerprint("POST", "/order?a=1", "text/plain", "body"),
            fingerprint("POST", "/orders?a=2", "text/plain", "body"),
            fingerprint("POST", "/orders?a=1", "text/html", "body"),
            fingerprint("POST", "/orders?a=1", "text/plain", "body "),
            fingerprint("POST", "/orders?a=1", "text/plainb", "ody"),
        ] {
            assert_ne!(original, other);
        }
    }
}
