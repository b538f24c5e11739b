//! An answer as it is stored and replayed.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use std::fmt;

/// The largest answer that is stored, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Headers that describe the answer and how it may be used, beside all that begin with [`CONTENT`].
///
/// Representation metadata (RFC 9110, sections 8 and 14.3; RFC 9530), caching (RFC 9111, section 5), and what else the status is nothing without (RFC 9110, section 10.2; RFC 5789).
const KEPT: [HeaderName; 14] = [
    header::ACCEPT_RANGES,
    HeaderName::from_static("accept-patch"),
    header::ALLOW,
    header::CACHE_CONTROL,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LINK,
    header::LOCATION,
    header::PRAGMA,
    HeaderName::from_static("repr-digest"),
    header::RETRY_AFTER,
    header::VARY,
    header::X_CONTENT_TYPE_OPTIONS,
];

/// Type, coding, language, range, disposition, digest and policy of the content: without its `Content-Encoding`, it is garbage.
const CONTENT: &str = "content-";

/// Headers that belong to one exchange or one connection (RFC 9110, sections 6.6.1, 7.6.1 and 11.7; RFC 9111, section 5.1), or to one client.
const NEVER: [HeaderName; 14] = [
    header::SET_COOKIE,
    header::DATE,
    header::AGE,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("authentication-info"),
];

/// Tells a client that this answer is not new.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An answer that can be given again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) status: i16,
    pub(super) header_names: Vec<String>,
    pub(super) header_values: Vec<Vec<u8>>,
    pub(super) body: Vec<u8>,
}

/// Why an answer cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstorable {
    TooLarge,
    Streaming,
    Broken,
}

impl Record {
    /// The record of an answer, and the answer itself with its body read.
    pub(super) async fn of(
        response: Response,
        also: &[HeaderName],
    ) -> Result<(Self, Response), Unstorable> {
        let (parts, body) = response.into_parts();
        // An upgrade hands the connection over: there is no answer to give again.
        if parts.status.is_informational() {
            return Err(Unstorable::Streaming);
        }
        match body.size_hint().exact() {
            None => return Err(Unstorable::Streaming),
            Some(size) if size > LARGEST => return Err(Unstorable::TooLarge),
            Some(_) => {}
        }
        let body = body.collect().await.map_err(|_| Unstorable::Broken)?;
        let body = body.to_bytes();
        let (header_names, header_values) = kept(&parts.headers, also)
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .unzip();
        let record = Self {
            // A status has three digits.
            status: i16::try_from(parts.status.as_u16()).unwrap_or_default(),
            header_names,
            header_values,
            body: body.to_vec(),
        };
        Ok((record, Response::from_parts(parts, Body::from(body))))
    }

    /// The answer once more, marked as such; `None` when the row holds no answer of ours.
    pub(super) fn replay(self) -> Option<Response> {
        let mut response = Response::new(Body::from(Bytes::from(self.body)));
        let status = u16::try_from(self.status).ok()?;
        *response.status_mut() = StatusCode::from_u16(status).ok()?;
        let headers = response.headers_mut();
        for (name, value) in self.header_names.iter().zip(self.header_values) {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(
                name,
                HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?,
            );
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    }
}

fn kept<'a>(
    headers: &'a HeaderMap,
    also: &'a [HeaderName],
) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
    headers.iter().filter(move |(name, _)| {
        let is_kept = name.as_str().starts_with(CONTENT) || KEPT.contains(name);
        (is_kept || also.contains(name)) && !NEVER.contains(name) && !is_hop_by_hop(name, headers)
    })
}

/// Does `Connection` name it (RFC 9110, section 7.6.1)?
fn is_hop_by_hop(name: &HeaderName, headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|line| {
        let mut options = line.as_bytes().split(|&byte| byte == b',');
        options.any(|option| {
            let option = option.trim_ascii();
            option.eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the answer is larger than 1 MiB",
            Self::Streaming => "the answer is a stream of unknown length",
            Self::Broken => "the answer's body failed while it was read",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    #[tokio::test]
    async fn a_replay_has_the_status_the_bytes_and_what_describes_them() {
        let kept = [
            ("accept-patch", "application/json"),
            ("accept-ranges", "bytes"),
            ("allow", "GET"),
            ("cache-control", "private, max-age=60"),
            ("content-disposition", "attachment; filename=\"order.pdf\""),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("content-location", "/orders/1"),
            ("content-range", "bytes 0-3/4"),
            ("content-security-policy", "sandbox"),
            ("content-type", "text/plain; charset=utf-8"),
            ("etag", "\"1\""),
            ("expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("link", "</a>"),
            ("location", "/orders/1"),
            ("repr-digest", "sha-256=:YQ==:"),
            ("retry-after", "1"),
            ("vary", "accept"),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
            ("x-plan", "gold"),
        ];
        let never = [
            ("age", "7"),
            ("connection", "keep-alive, X-Hop"),
            ("content-length", "4"),
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("set-cookie", "a=b"),
            ("trailer", "x-sum"),
            ("x-hop", "1"),
            ("x-request-id", "7"),
        ];
        let mut answer = (StatusCode::CREATED, "made").into_response();
        let headers = answer.headers_mut();
        headers.clear();
        for (name, value) in kept.into_iter().chain(never) {
            headers.append(name, HeaderValue::from_static(value));
        }
        let also = ["x-plan", "set-cookie", "x-hop"].map(HeaderName::from_static);
        let (record, original) = Record::of(answer, &also).await.unwrap();
        assert_eq!(original.headers().len(), kept.len() + never.len());

        let replay = record.replay().unwrap();
        assert_eq!(replay.status(), StatusCode::CREATED);
        let headers = replay.headers().iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| *name != "idempotent-replayed")
            .collect();
        headers.sort_unstable();
        assert_eq!(headers, kept);
        assert_eq!(replay.headers()["idempotent-replayed"], "true");
        let body = replay.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "made");
    }

    #[tokio::test]
    async fn what_has_no_end_or_is_too_large_is_not_stored() {
        let large = vec![0; 1024 * 1024 + 1].into_response();
        assert_eq!(
            Record::of(large, &[]).await.unwrap_err(),
            Unstorable::TooLarge
        );

        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("part")]);
        let stream = Response::new(Body::from_stream(stream));
        assert_eq!(
            Record::of(stream, &[]).await.unwrap_err(),
            Unstorable::Streaming
        );
    }
}
