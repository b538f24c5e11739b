//! `Path<T>`: the captures of a path.

use axum::{
    extract::{FromRequestParts, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use std::ops::{Deref, DerefMut};
use twelve_core::{Error, Problem};

/// The captures of a path, such as the `id` of `/orders/{id}`.
///
/// A capture that is no `T` is a 404: nothing can live at `/orders/not-a-uuid`, and whoever guesses learns no more than from an id that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem(rejection)),
        }
    }
}

fn problem(rejection: PathRejection) -> Problem {
    let status = rejection.status();
    if let PathRejection::FailedToDeserializePathParams(failure) = &rejection
        && matches!(failure.kind(), ErrorKind::InvalidUtf8InPathParam { .. })
    {
        return Problem::bad_request("the path is not UTF-8");
    }
    if status.is_server_error() {
        // The handler asks for captures that its route does not have.
        let error = Error::internal("a path does not fit its handler").with_source(rejection);
        tracing::error!(error = %twelve_core::chain(&error), "a request failed");
        return Problem::internal();
    }
    Problem::not_found()
}

impl<T> Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Path<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
