//! Requests to the app, in process: the whole stack above the socket.

use axum::{body::Body, http};
use http::{HeaderMap, Request, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    fmt::Display,
    future::{Future, IntoFuture},
    pin::Pin,
};

/// A request that is being built; `.await` sends it.
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct TestRequest {
    service: twelve_web::Service,
    request: http::request::Builder,
    body: Body,
}

impl TestRequest {
    pub(crate) fn new(service: twelve_web::Service, method: &str, path: &str) -> Self {
        Self {
            service,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.request = self.request.header(name, value.to_string());
        self
    }

    /// Adds `Authorization: Bearer …`.
    pub fn bearer(self, token: impl Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds `Idempotency-Key`.
    pub fn key(self, key: impl Display) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sends a value as JSON.
    ///
    /// # Panics
    ///
    /// The value cannot be serialized.
    pub fn json(self, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("the value can be serialized");
        self.header("content-type", "application/json").body(text)
    }

    /// Sends this body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
}

impl IntoFuture for TestRequest {
    type Output = TestResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = TestResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = self
                .request
                .body(self.body)
                .expect("the request is well formed");
            let response = self.service.respond(request).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX)
                .await
                .expect("the response has a whole body");
            TestResponse {
                status: parts.status,
                headers: parts.headers,
                body: body.to_vec(),
            }
        })
    }
}

/// The answer to a request.
#[derive(Debug)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl TestResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// It is no JSON of this type.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {:?}", self.text()),
        }
    }

    /// Checks the status, and shows the body when it is another.
    ///
    /// # Panics
    ///
    /// The status is another.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "the check is the use"
    )]
    pub fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}", self.text());
        self
    }

    /// Checks that the answer is a problem of this type (RFC 9457).
    ///
    /// # Panics
    ///
    /// It is another answer.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "the check is the use"
    )]
    pub fn assert_problem(self, status: u16, kind: &str) -> Self {
        let this = self.assert_status(status);
        let content_type = this.header(header::CONTENT_TYPE.as_str());
        assert_eq!(content_type, Some("application/problem+json"));
        assert_eq!(this.json::<Value>()["type"], kind);
        this
    }
}
