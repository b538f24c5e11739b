//! Who may ask for what.
//!
//! The page listens on the loopback address, but every site that the developer visits can make the browser send requests there.
//! The name in `Host` tells a site whose own name was pointed here (DNS rebinding), and the browser says which site a request comes from.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// What the page may load: its own files, and nothing within its markup.
const PAGE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the HTML of a mail may load: images, fonts and styles, as in a mail program that was told to.
///
/// It runs no script and has no origin, so that it cannot touch the page. Its links open tabs that are as free as any.
pub(super) const MAIL: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
    img-src * data:; font-src * data:; media-src *; style-src * 'unsafe-inline'; frame-ancestors 'self'";

/// What a download may do when a browser shows it after all.
pub(super) const FILE: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// Which sites may embed an answer.
pub(super) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

pub(super) async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = if !is_local(headers) {
        (StatusCode::MISDIRECTED_REQUEST, "this is no host of mine\n").into_response()
    } else if !request.method().is_safe() && !is_from_page(headers) {
        (StatusCode::FORBIDDEN, "only the page itself may do that\n").into_response()
    } else if !may_load(&request) {
        (StatusCode::FORBIDDEN, "no other site may load this\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, PAGE),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        // Ids begin anew with every catcher, so nothing may outlive it.
        (header::CACHE_CONTROL, "no-store"),
        // `no-referrer` would make the origin of the page's own form `null`.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn is_local(headers: &HeaderMap) -> bool {
    let host = text(headers, "host").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&name.to_ascii_lowercase().as_str())
}

/// Programs that are no browsers send neither header, and may do what they like.
fn is_from_page(headers: &HeaderMap) -> bool {
    let site = text(headers, "sec-fetch-site").is_none_or(|site| site == "same-origin");
    let host = text(headers, "host").unwrap_or_default();
    let origin = text(headers, "origin").is_none_or(|origin| origin == format!("http://{host}"));
    site && origin
}

/// Another site may link to a page, and neither embed nor load it: a resource isolation policy by
/// [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/).
///
/// Attached images are for everyone: the HTML of a mail is of no origin, so it is another site itself.
fn may_load(request: &Request) -> bool {
    let says = |name, values: &[&str]| {
        text(request.headers(), name).is_some_and(|value| values.contains(&value))
    };
    let is_image =
        || says("sec-fetch-dest", &["image"]) && request.uri().path().contains("/attachments/");
    let is_link = || says("sec-fetch-mode", &["navigate"]) && says("sec-fetch-dest", &["document"]);
    !says("sec-fetch-site", &["cross-site", "same-site"]) || is_link() || is_image()
}

/// A value that is no text is no value we know.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
