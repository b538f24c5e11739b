//! The router's table: every route, and whatever is wrong with it.

use std::collections::{BTreeMap, HashSet};
use twelve_core::Needs;

use super::route::Route;
use crate::middleware::Middleware;

/// Paths that every HTTP process answers itself.
const RESERVED: [&str; 2] = ["/health", "/ready"];

/// What axum's router hides, recorded while it is built.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    routes: Vec<Route>,
    known: HashSet<(&'static str, String)>,
    /// From a path without the names of its captures to the path as it was written.
    shapes: BTreeMap<String, String>,
    middleware: Vec<Middleware>,
    faults: Vec<String>,
}

impl Table {
    pub(super) fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub(super) fn middleware(&self) -> &[Middleware] {
        &self.middleware
    }

    pub(super) fn wrap(&mut self, middleware: Middleware) {
        self.middleware.push(middleware);
    }

    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    pub(super) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// What all handlers and all middleware need.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let routes = self.routes.iter().map(Route::needs);
        for more in routes.chain(self.middleware.iter().map(Middleware::needs)) {
            needs.extend(more);
        }
        needs
    }

    /// Records the routes, if axum can take them: it panics over a table that is wrong.
    pub(super) fn admit(&mut self, routes: Vec<Route>) -> bool {
        let before = self.faults.len();
        for route in routes {
            if let Some(fault) = self.fault_of(&route) {
                self.faults.push(fault);
                continue;
            }
            if !route.is_opaque() {
                let path = route.path().to_owned();
                self.shapes
                    .entry(shape(&path))
                    .or_insert_with(|| path.clone());
                self.known.insert((route.method(), path));
            }
            self.routes.push(route);
        }
        self.faults.len() == before
    }

    /// Takes over the table of a router that is merged, or nested under a prefix.
    pub(super) fn absorb(&mut self, other: Self, prefix: Option<&str>) -> bool {
        let under = |route: Route| match prefix {
            Some(prefix) => route.under(prefix),
            None => route,
        };
        let before = self.faults.len();
        self.faults.extend(other.faults);
        self.middleware.extend(other.middleware);
        let admitted = self.admit(other.routes.into_iter().map(under).collect());
        admitted && self.faults.len() == before
    }

    fn fault_of(&self, route: &Route) -> Option<String> {
        let (method, path) = (route.method(), route.path());
        let fault = match route.fault() {
            None if !route.is_fallback() => fault_of_path(path),
            fault => fault,
        };
        if let Some(fault) = fault {
            return Some(format!("{method} {path}: {fault}"));
        }
        if RESERVED.contains(&path) {
            return Some(format!(
                "{method} {path}: every HTTP process answers `{path}` itself"
            ));
        }
        if route.is_opaque() {
            return None;
        }
        if self.known.contains(&(method, path.to_owned())) {
            return Some(if route.is_fallback() {
                format!("{path}: two fallbacks, of which only one can answer")
            } else {
                format!("{method} {path}: is routed twice")
            });
        }
        let same_shape = self
            .shapes
            .get(&shape(path))
            .filter(|known| *known != path)?;
        Some(format!(
            "{method} {path}: overlaps `{same_shape}`, which has the same form"
        ))
    }
}

/// What is wrong with how a path is written.
pub(super) fn fault_of_path(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("a path begins with `/`");
    }
    path.split('/').find_map(|segment| {
        if segment.starts_with(':') {
            Some("a capture is written `{name}`, not `:name`")
        } else if segment.starts_with('*') {
            Some("a wildcard is written `{*name}`, not `*name`")
        } else {
            None
        }
    })
}

/// The path without the names of its captures: two paths of one shape match the same requests.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    for segment in path.split_inclusive('/') {
        match segment.split_once('{') {
            Some((before, name)) if !name.starts_with('{') => {
                let after = name.split_once('}').map_or("", |(_, after)| after);
                let star = if name.starts_with('*') { "*" } else { "" };
                shape.extend([before, "{", star, "}", after]);
            }
            _ => shape.push_str(segment),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_forgets_the_names_of_captures() {
        assert_eq!(shape("/orders/{id}/items"), "/orders/{}/items");
        assert_eq!(shape("/files/{*path}"), "/files/{*}");
        assert_eq!(shape("/{{literal}}"), "/{{literal}}");
        assert_eq!(shape("/a{id}.json"), "/a{}.json");
    }
}
