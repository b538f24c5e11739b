//! `Json<T>`: a body in JSON, in both directions.

use axum::{
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    error::Error as _,
    ops::{Deref, DerefMut},
};
use twelve_core::{Error, Problem};

/// A body in JSON: as an argument it reads the request's, as an answer it writes the response's.
///
/// Its refusals are problem documents:
/// 415 `unsupported-media-type`, 413 `body-too-large`, 400 `malformed-json`, and 422 `invalid-body` with the place of the fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem(&rejection)),
        }
    }
}

fn problem(rejection: &JsonRejection) -> Problem {
    let problem = match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            return Problem::new(415, "unsupported-media-type", "The body must be JSON")
                .detail("send it with `content-type: application/json`");
        }
        JsonRejection::BytesRejection(rejection) => {
            return crate::limit::problem(rejection);
        }
        JsonRejection::JsonDataError(_) => {
            Problem::new(422, "invalid-body", "The body has the wrong form")
        }
        _ => Problem::new(400, "malformed-json", "The body is not JSON"),
    };
    // axum's own text only repeats the title; what follows is about the sender's bytes, and safe to tell.
    match rejection.source() {
        Some(source) => problem.detail(source.to_string()),
        None => problem,
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let json = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, json)], body).into_response()
            }
            Err(error) => Error::internal("a response cannot be written as JSON")
                .with_source(error)
                .into_response(),
        }
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only its form matters")]
        items: Vec<u32>,
    }

    async fn refusal(content_type: &str, body: &'static str) -> (u16, serde_json::Value) {
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .unwrap();
        let problem = Json::<Order>::from_request(request, &()).await.unwrap_err();
        let status = problem.status();
        let body = problem.into_response().into_body().collect().await.unwrap();
        (status, serde_json::from_slice(&body.to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn each_refusal_has_a_type_of_its_own() {
        let (status, document) = refusal("text/plain", "{}").await;
        assert_eq!(
            (status, &document["type"]),
            (415, &"unsupported-media-type".into())
        );

        let (status, document) = refusal("application/json", r#"{"items":["#).await;
        assert_eq!((status, &document["type"]), (400, &"malformed-json".into()));

        let (status, document) = refusal("application/json", r#"{"items":[1,"two"]}"#).await;
        assert_eq!((status, &document["type"]), (422, &"invalid-body".into()));
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.starts_with("items[1]: invalid type"), "{detail}");
    }
}
