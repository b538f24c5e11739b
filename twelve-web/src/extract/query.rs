//! `Query<T>`: what follows the question mark.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;
use std::ops::{Deref, DerefMut};
use twelve_core::Problem;

use super::cause;

/// The query, such as `?limit=10`; one that is no `T` is a 400 `invalid-query`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                Err(
                    Problem::new(400, "invalid-query", "The query has the wrong form")
                        .detail(cause(&rejection)),
                )
            }
        }
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Query<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
