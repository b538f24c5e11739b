//! What is known of a route without running it.

use serde::{Serialize, Serializer, ser::SerializeSeq};
use twelve_core::Needs;

use crate::handler::Description;

/// One entry of a router's table.
///
/// It serializes as the listing of `myapp routes --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Route {
    method: &'static str,
    path: String,
    handler: &'static str,
    #[serde(serialize_with = "names")]
    arguments: Needs,
    idempotent: bool,
    opaque: bool,
}

impl Route {
    pub(super) fn new(method: &'static str, path: &str, description: &Description) -> Self {
        Self {
            method,
            path: path.to_owned(),
            handler: description.name,
            arguments: description.needs.clone(),
            idempotent: description.idempotent,
            opaque: false,
        }
    }

    /// A whole `axum::Router`, which does not tell its routes.
    pub(super) fn opaque() -> Self {
        Self {
            method: "*",
            path: "/".to_owned(),
            handler: "axum::Router",
            arguments: Needs::default(),
            idempotent: false,
            opaque: true,
        }
    }

    pub(super) fn under(mut self, prefix: &str) -> Self {
        self.path = join(prefix, &self.path);
        self
    }

    /// The method, such as `GET`; `*` for an opaque entry.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path with its captures, such as `/orders/{id}`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the handler's type, such as `shop::orders::create_order`.
    #[must_use]
    pub fn handler(&self) -> &'static str {
        self.handler
    }

    /// The types of the handler's arguments, its idempotency scope's included.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.arguments
    }

    /// Does it take idempotency keys?
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Does this entry stand for a whole `axum::Router`, whose routes cannot be listed?
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }
}

/// The path of a nested route, joined as axum does it.
pub(super) fn join(prefix: &str, path: &str) -> String {
    match prefix.strip_suffix('/') {
        Some(trimmed) => format!("{trimmed}{path}"),
        None if path == "/" => prefix.to_owned(),
        None => format!("{prefix}{path}"),
    }
}

fn names<S: Serializer>(arguments: &Needs, serializer: S) -> Result<S::Ok, S::Error> {
    let mut names = serializer.serialize_seq(None)?;
    for argument in arguments.iter() {
        names.serialize_element(argument.name)?;
    }
    names.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_paths_join_as_axum_joins_them() {
        assert_eq!(join("/api", "/orders"), "/api/orders");
        assert_eq!(join("/api", "/"), "/api");
        assert_eq!(join("/api/", "/"), "/api/");
    }
}
