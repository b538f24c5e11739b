//! What the RFCs ask of a request's head, as far as hyper does not see to it.
//!
//! hyper reads the bytes, and refuses what it cannot parse.
//! What parses may still be a request that no two servers on its way understand alike, which is what request smuggling lives on.

use axum::http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{HOST, TRANSFER_ENCODING},
    uri::Authority,
};
use http_body::Body;
use std::net::Ipv6Addr;
use twelve_core::Problem;

/// Refuses a head that must be refused, and lets handlers see no other host than the one that counts.
pub(super) fn check<B: Body>(request: &mut Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let host = host(headers)?;
    if request.version() >= Version::HTTP_2 {
        return check_http2(request.method(), request.uri(), host);
    }
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Err(Problem::bad_request("the header Host is missing"));
    }
    // Only a coded body has no length that is known from the head.
    if request.body().size_hint().upper().is_none() {
        check_codings(headers)?;
    }
    check_target(request.method(), request.uri())?;
    if request.uri().scheme().is_some()
        && let Some(authority) = request.uri().authority()
    {
        // The target's host counts, whatever the header says (RFC 9112, section 3.2.2).
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| Problem::bad_request("the target's host is not ASCII"))?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// The one header `Host`, if there is any (RFC 9112, section 3.2).
fn host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Problem> {
    let mut lines = headers.get_all(HOST).iter();
    let host = lines.next();
    if lines.next().is_some() {
        return Err(Problem::bad_request("there are two headers Host"));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Problem::bad_request("the header Host is not a host"));
    }
    Ok(host)
}

/// RFC 9113, sections 8.3.1 and 8.5; h2 has parsed the pseudo-header fields.
fn check_http2(method: &Method, uri: &Uri, host: Option<&HeaderValue>) -> Result<(), Problem> {
    if uri.path() == "*" && method != Method::OPTIONS {
        return Err(no_such_target());
    }
    let Some(authority) = uri.authority() else {
        return Ok(());
    };
    if method == Method::CONNECT && uri.scheme().is_none() {
        return check_tunnel(authority);
    }
    check_authority(authority)?;
    let default_port = match uri.scheme_str() {
        Some("https") => ":443",
        _ => ":80",
    };
    let same = |host: &str| {
        let [one, other] =
            [host, authority.as_str()].map(|host| host.strip_suffix(default_port).unwrap_or(host));
        one.eq_ignore_ascii_case(other)
    };
    // It was found to be ASCII.
    if host.is_some_and(|host| !host.to_str().is_ok_and(same)) {
        return Err(Problem::bad_request(
            "the header Host differs from :authority",
        ));
    }
    Ok(())
}

/// Each form of a target has its methods (RFC 9112, section 3.2).
fn check_target(method: &Method, uri: &Uri) -> Result<(), Problem> {
    let is_connect = method == Method::CONNECT;
    match uri.authority() {
        Some(authority) if uri.scheme().is_some() && !is_connect => check_authority(authority),
        Some(authority) if uri.scheme().is_none() && is_connect => check_tunnel(authority),
        None if !is_connect && uri.path().starts_with('/') => Ok(()),
        None if method == Method::OPTIONS && uri.path() == "*" => Ok(()),
        _ => Err(no_such_target()),
    }
}

fn no_such_target() -> Problem {
    Problem::bad_request("this method has no such target")
}

/// The name of a user in a target only serves to deceive (RFC 9110, section 4.2.4).
fn check_authority(authority: &Authority) -> Result<(), Problem> {
    if is_host(authority.as_str().as_bytes()) && !authority.host().is_empty() {
        Ok(())
    } else {
        Err(Problem::bad_request("the target's host is not a host"))
    }
}

/// RFC 9110, section 9.3.6: a tunnel leads to a host and a port.
fn check_tunnel(authority: &Authority) -> Result<(), Problem> {
    check_authority(authority)?;
    match authority.port_u16() {
        Some(1..) => Ok(()),
        _ => Err(Problem::bad_request("a tunnel's target needs a port")),
    }
}

/// `chunked` once, and nothing else: the only coding that we undo.
///
/// hyper only looks whether `chunked` is the last.
fn check_codings(headers: &HeaderMap) -> Result<(), Problem> {
    let mut chunked = 0;
    for line in headers.get_all(TRANSFER_ENCODING) {
        for coding in line.as_bytes().split(|&byte| byte == b',') {
            match coding.trim_ascii() {
                // Empty elements of a list mean nothing (RFC 9110, section 5.6.1.2).
                b"" => {}
                coding if coding.eq_ignore_ascii_case(b"chunked") => chunked += 1,
                // RFC 9112, section 6.1.
                _ => {
                    return Err(Problem::new(
                        501,
                        "transfer-coding-unknown",
                        "This transfer coding is not known here",
                    )
                    .detail("send the body with `chunked` alone, or with its length"));
                }
            }
        }
    }
    if chunked > 1 {
        // RFC 9112, sections 6.1 and 7.1.
        return Err(Problem::bad_request(
            "the transfer coding chunked is applied twice",
        ));
    }
    Ok(())
}

/// `uri-host [ ":" port ]` of RFC 9110, section 7.2; empty where the target has no host.
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|&byte| byte == b':') {
        // Colons within brackets are the address's.
        Some(colon) if !value[colon..].contains(&b']') => (&value[..colon], &value[colon + 1..]),
        _ => (value, &b""[..]),
    };
    let is_port = |port: &[u8]| {
        let digits = str::from_utf8(port).unwrap_or("x");
        digits.is_empty() || !digits.starts_with('+') && digits.parse::<u16>().is_ok()
    };
    let is_name = match host {
        [b'[', address @ .., b']'] => is_address(address),
        name => is_registered_name(name),
    };
    is_name && is_port(port) && (value.is_empty() || !host.is_empty())
}

/// An IPv6 address. The format leaves room for later versions (`v1.…`), of which there is none.
fn is_address(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// `reg-name` of RFC 3986, section 3.2.2; a numeric address of IPv4 is one too.
fn is_registered_name(name: &[u8]) -> bool {
    let is_plain = |text: &[u8]| text.iter().all(|&byte| is_of_names(byte));
    let mut pieces = name.split(|&byte| byte == b'%');
    pieces.next().is_none_or(is_plain)
        && pieces.all(|piece| match piece {
            [high, low, rest @ ..] => {
                high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && is_plain(rest)
            }
            _ => false,
        })
}

/// `unreserved` and `sub-delims` of RFC 3986, section 2.
fn is_of_names(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    /// RFC 9112, section 3.2.2.
    #[test]
    fn handlers_see_the_host_of_the_target() {
        let request = Request::get("http://shop.example:81/").header(HOST, "other.example");
        let mut request = request.body(Body::empty()).unwrap();
        check(&mut request).unwrap();
        assert_eq!(request.headers()[HOST], "shop.example:81");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_perhaps() {
        for host in [
            "",
            "x",
            "shop.example",
            "shop.example:8080",
            "shop.example:",
            "127.0.0.1:5000",
            "[::1]",
            "[::1]:5000",
            "b%C3%BCcher.example",
            "under_score",
        ] {
            assert!(is_host(host.as_bytes()), "{host:?}");
        }
        for wrong in [
            ":80",
            "x:y",
            "x:65536",
            "x:+80",
            "x:80:80",
            "a b",
            "a, b",
            "user@x",
            "http://x",
            "x/",
            "x?y",
            "x#y",
            "[::1",
            "::1",
            "[::1]x",
            "[x]",
            "%",
            "%zz",
            "a\\b",
            "b\u{fc}cher",
            "a\"b",
        ] {
            assert!(!is_host(wrong.as_bytes()), "{wrong:?}");
        }
    }
}
