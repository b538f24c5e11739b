//! Problem details: what a client is told when a request fails (RFC 9457).

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use std::fmt;

use super::{Error, Failure, chain, sqlstate};

/// How long a client is asked to wait when a backing service is down, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// A problem document: `application/problem+json` with a stable `type`.
///
/// It is an error too, so a handler may return it with `?`: it then decides the answer, wherever in the chain it stands.
///
/// ```
/// use twelve_core::Problem;
/// let problem = Problem::new(422, "out-of-stock", "That is sold out").with("sku", "tea");
/// assert_eq!(problem.status(), 422);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    kind: String,
    title: String,
    detail: Option<String>,
    retry_after_s: Option<u32>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with its status, its stable type (a URI reference, such as `out-of-stock`) and its title for people.
    ///
    /// A status outside 400 to 599 becomes 500: a problem is never a success.
    #[must_use]
    pub fn new(status: u16, kind: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status)
                .ok()
                .filter(|status| status.is_client_error() || status.is_server_error())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            kind: kind.into(),
            title: title.into(),
            detail: None,
            retry_after_s: None,
            members: Map::new(),
        }
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", "The request cannot be understood").detail(detail)
    }

    /// 401: the client is not authenticated. Carries `WWW-Authenticate: Bearer`, which RFC 9110 section 11.6.1 demands.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "A valid token is missing")
    }

    /// 403: the client is not allowed to do that.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(403, "forbidden", "That is not allowed")
    }

    /// 404: there is no such resource, or none that this client may see.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not-found", "There is nothing here")
    }

    /// 503 with `Retry-After`: a backing service is down for the moment.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            503,
            "unavailable",
            "The service is unavailable for the moment",
        )
        .retry_after(RETRY_AFTER_S)
    }

    /// 500: the client is told nothing more, the log is told everything.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(500, "internal", "Something went wrong on our side")
    }

    /// What went wrong this time, in a sentence for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Asks the client to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a member of your own, such as `"sku": "tea"`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "type": self.kind,
            "title": self.title,
            "status": self.status.as_u16(),
        });
        if let Value::Object(members) = &mut document {
            if let Some(detail) = &self.detail {
                members.insert("detail".into(), detail.as_str().into());
            }
            for (name, value) in &self.members {
                // The standard members are ours: an author's member of the same name does not replace them.
                members.entry(name).or_insert_with(|| value.clone());
            }
        }
        document
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.kind)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.document().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The boundary: the client gets a problem, the log gets the whole chain, once.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if let Some(problem) = self.find::<Problem>() {
            return problem.clone().into_response();
        }
        if self.find::<sqlx::Error>().is_some_and(holds_nul) {
            return Problem::new(422, "invalid-text", "A text holds a NUL character")
                .into_response();
        }
        if self.find::<Error>().is_some_and(Error::is_not_found) {
            return Problem::not_found().into_response();
        }
        if self.is_unavailable() {
            tracing::warn!(error = %self, "a request failed: a backing service is unavailable");
            return Problem::unavailable().into_response();
        }
        tracing::error!(error = %self, "a request failed");
        Problem::internal().into_response()
    }
}

/// Postgres stores no NUL in a text (code 22021): only a client can have sent one, and no author checks for it.
fn holds_nul(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| code == "22021")
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.is_unavailable() {
            tracing::warn!(error = %chain(&self), "a request failed: a backing service is unavailable");
            Problem::unavailable().into_response()
        } else if self.is_not_found() {
            Problem::not_found().into_response()
        } else {
            tracing::error!(error = %chain(&self), "a request failed");
            Problem::internal().into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_404() {
        let missing = || Error::not_found("there is no job 7");
        assert_eq!(missing().into_response().status(), 404);
        let failure = Failure::from(missing().context("the report was not made"));
        assert_eq!(failure.into_response().status(), 404);
    }

    #[test]
    fn a_members_name_cannot_replace_a_standard_member() {
        let document = Problem::not_found().with("status", 200).document();
        assert_eq!(document["status"], 404);
    }

    #[test]
    fn a_problem_in_the_chain_decides_the_answer() {
        let failure = Failure::from(Problem::not_found());
        assert_eq!(failure.into_response().status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_outage_asks_the_client_to_come_back() {
        let response = Failure::from(Error::unavailable("Postgres is unavailable")).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
