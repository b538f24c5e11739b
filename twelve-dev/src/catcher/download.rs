//! Files that browsers save.

use std::fmt::Display;

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse as _, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::guard;

/// A file that a browser saves and never shows as a page, whatever it says it is; an image shows where a mail embeds it.
pub(super) fn download(name: &str, media_type: &str, bytes: Vec<u8>) -> Response {
    let name = file_name(name);
    let plain = name.replace(|character: char| !character.is_ascii(), "_");
    let disposition = format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        percent_encoded(&name)
    );
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte);
    let media_type = match media_type {
        known if known.bytes().all(token) => known,
        _ => "application/octet-stream",
    };
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, &disposition),
        (header::CONTENT_SECURITY_POLICY, guard::FILE),
        // The sandbox of a mail's HTML is of no origin, so its images come from another.
        (guard::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
    ];
    (headers, bytes).into_response()
}

/// A name that names a file here: no path, not hidden, not too long, nothing that a header or a shell would stumble over.
fn file_name(name: &str) -> String {
    let safe = |character: char| character.is_alphanumeric() || " .-_()+,@".contains(character);
    let name = name.replace(|character| !safe(character), "_");
    let name: String = name
        .trim_start_matches(['.', ' '])
        .chars()
        .take(100)
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

/// All that is escaped in one segment of a path, and in an extended parameter of a header (RFC 8187).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

pub(super) fn percent_encoded(text: &str) -> impl Display {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_stays_in_its_directory() {
        for (name, safe) in [
            ("invoice.pdf", "invoice.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            (".bashrc", "bashrc"),
            ("a\"b\r\nc;d", "a_b__c_d"),
            ("Übersicht (1).pdf", "Übersicht (1).pdf"),
            ("", "unnamed"),
        ] {
            assert_eq!(file_name(name), safe);
        }
    }
}
