//! What is known of a route without running it.

use twelve_core::Needs;

use crate::handler::Description;

/// One entry of a router's table.
#[derive(Clone, Debug)]
pub struct Route {
    method: &'static str,
    path: String,
    description: Description,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Path,
    /// What no route matches, below the prefix if it is nested.
    Fallback,
    /// A whole `axum::Router`, which does not tell its routes.
    Opaque,
}

impl Route {
    pub(super) fn new(method: &'static str, path: &str, description: &Description) -> Self {
        Self {
            method,
            path: path.to_owned(),
            description: description.clone(),
            kind: Kind::Path,
        }
    }

    pub(super) fn fallback(description: &Description) -> Self {
        Self {
            kind: Kind::Fallback,
            ..Self::new("*", "/*", description)
        }
    }

    pub(super) fn opaque() -> Self {
        let description = Description {
            name: "axum::Router",
            needs: Needs::default(),
            idempotent: false,
            fault: None,
        };
        Self {
            kind: Kind::Opaque,
            ..Self::new("*", "/", &description)
        }
    }

    pub(super) fn under(mut self, prefix: &str) -> Self {
        self.path = join(prefix, &self.path);
        self
    }

    /// The method, such as `GET`; `*` for a fallback and for an opaque entry.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path with its captures, such as `/orders/{id}`; `/*` for a fallback.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the handler's type, such as `shop::orders::create_order`.
    #[must_use]
    pub fn handler(&self) -> &'static str {
        self.description.name
    }

    /// The types of the handler's arguments, its idempotency scope's included.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.description.needs
    }

    /// Does it take idempotency keys?
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.description.idempotent
    }

    /// Does this entry stand for a whole `axum::Router`, whose routes cannot be listed?
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.kind == Kind::Opaque
    }

    pub(super) fn is_fallback(&self) -> bool {
        self.kind == Kind::Fallback
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        self.description.fault
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
