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

/// Headers that describe the answer itself.
const KEPT: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::LOCATION,
    header::CONTENT_LOCATION,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LINK,
];

/// Headers that belong to one exchange or one connection (RFC 9110, sections 6.6.1 and 7.6.1), or to one client.
const NEVER: [HeaderName; 9] = [
    header::SET_COOKIE,
    header::DATE,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
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
        (KEPT.contains(name) || also.contains(name)) && !NEVER.contains(name)
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
    async fn a_replay_has_the_status_the_bytes_and_the_kept_headers() {
        let plan = HeaderName::from_static("x-plan");
        let answer = (
            StatusCode::CREATED,
            [
                ("location", "/orders/1"),
                ("link", "</a>"),
                ("set-cookie", "a=b"),
                ("x-request-id", "7"),
                ("x-plan", "gold"),
            ],
            "made",
        );
        let also = [plan, header::SET_COOKIE];
        let (record, original) = Record::of(answer.into_response(), &also).await.unwrap();
        assert_eq!(original.headers()["x-request-id"], "7");

        let replay = record.replay().unwrap();
        assert_eq!(replay.status(), StatusCode::CREATED);
        let mut names: Vec<_> = replay.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "content-type",
                "idempotent-replayed",
                "link",
                "location",
                "x-plan"
            ]
        );
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
