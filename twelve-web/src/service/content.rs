//! Answers that have no content, whatever was put into them.
//!
//! hyper leaves the content away on HTTP/1, but not the length that axum has written, and on HTTP/2 it sends both.

use axum::{
    body::{Body, HttpBody},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

/// Takes the content from an answer to `HEAD` and from a status without any, and a length that would be wrong.
pub(crate) fn fit(response: &mut Response, for_head: bool) {
    match response.status() {
        // RFC 9110, section 8.6: no length. That of a 304 would be the length of the 200, which nobody here knows.
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RESET_CONTENT => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::empty();
        }
        status if status.is_informational() => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        // RFC 9110, section 9.3.2: the headers of GET, its length among them, and nothing else.
        _ if for_head => {
            if let Some(length @ 1..) = response.body().size_hint().exact() {
                let headers = response.headers_mut();
                headers
                    .entry(header::CONTENT_LENGTH)
                    .or_insert(HeaderValue::from(length));
            }
            *response.body_mut() = Body::empty();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    fn fitted(status: u16, length: Option<u64>, body: &'static str, head: bool) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        let mut response = (status, body).into_response();
        if let Some(length) = length {
            let length = HeaderValue::from(length);
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
        }
        fit(&mut response, head);
        response
    }

    #[test]
    fn what_has_no_content_has_no_length() {
        for status in [204, 205, 304] {
            for head in [true, false] {
                let response = fitted(status, Some(0), "", head);
                assert!(!response.headers().contains_key("content-length"));
                let response = fitted(status, Some(4), "what", head);
                assert!(!response.headers().contains_key("content-length"));
                assert_eq!(response.body().size_hint().exact(), Some(0), "{status}");
            }
        }
        let response = fitted(101, Some(0), "", false);
        assert!(!response.headers().contains_key("content-length"));
    }

    #[test]
    fn head_has_the_length_of_get_and_no_content() {
        for length in [None, Some(4)] {
            let response = fitted(200, length, "what", true);
            assert_eq!(response.headers()["content-length"], "4");
            assert_eq!(response.body().size_hint().exact(), Some(0));
        }
        // A body that axum has taken already.
        let response = fitted(200, Some(7), "", true);
        assert_eq!(response.headers()["content-length"], "7");
        // A stream's length is not known.
        let response = fitted(200, None, "", true);
        assert!(!response.headers().contains_key("content-length"));
        let response = fitted(200, None, "what", false);
        assert_eq!(response.body().size_hint().exact(), Some(4));
    }
}
