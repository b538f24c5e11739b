//! The arguments of MAIL and RCPT.

/// The longest address: 64 of local part, 255 of domain (RFC 5321, section 4.5.3.1).
const ADDRESS: usize = 320;

/// `FROM:<address> rest`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) address: String,
    pub(super) rest: &'a str,
}

/// Reads `KEYWORD:<address> parameters`; the address may be empty.
pub(super) fn path<'a>(argument: &'a str, keyword: &str) -> Option<Path<'a>> {
    let (found, path) = argument.split_at_checked(keyword.len())?;
    let path = path.trim_start().strip_prefix('<')?;
    let end = end_of_path(path)?;
    let rest = &path[end + 1..];
    // A source route, `@relay,@relay:user@host`, is to be ignored.
    let address = match &path[..end] {
        routed if routed.starts_with('@') => routed.split_once(':')?.1,
        address => address,
    };
    (found.eq_ignore_ascii_case(keyword)
        && (rest.is_empty() || rest.starts_with(' '))
        && is_address(address))
    .then(|| Path {
        address: address.to_owned(),
        rest: rest.trim(),
    })
}

/// Where the `>` is that stands in no quotes.
fn end_of_path(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    path.char_indices()
        .find(|&(_, character)| {
            let ends = !quoted && character == '>';
            quoted ^= character == '"' && !escaped;
            escaped = quoted && character == '\\' && !escaped;
            ends
        })
        .map(|(at, _)| at)
}

fn is_address(address: &str) -> bool {
    if address.is_empty() || address.eq_ignore_ascii_case("postmaster") {
        return true;
    }
    let spaces = |text: &str| text.contains([' ', '<', '>', ',']);
    address.len() <= ADDRESS
        && address.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !spaces(domain)
                && (local.starts_with('"') || !spaces(local))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(argument: &str) -> Option<String> {
        path(argument, "TO:").map(|path| path.address)
    }

    #[test]
    fn a_path_is_an_address_and_what_follows_it() {
        let path = path("from:<a@b> SIZE=1 BODY=7BIT", "FROM:").unwrap();
        assert_eq!(
            (path.address.as_str(), path.rest),
            ("a@b", "SIZE=1 BODY=7BIT")
        );
        for (argument, expected) in [
            ("TO:<>", ""),
            ("TO: <a@b>", "a@b"),
            ("TO:<Postmaster>", "Postmaster"),
            ("TO:<@relay,@other:a@b>", "a@b"),
            ("TO:<\"a >\\\" b\"@c>", "\"a >\\\" b\"@c"),
            ("TO:<jörg@müller.example>", "jörg@müller.example"),
            ("TO:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
        ] {
            assert_eq!(address(argument).as_deref(), Some(expected), "{argument}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for argument in [
            "",
            "T",
            "TO:",
            "TO:a@b",
            "TO:<a@b",
            "TO:<a@b>x",
            "TO:<a>",
            "TO:<@b>",
            "TO:<a@>",
            "TO:<a b@c>",
            "TO:<\"a@b>",
            "FÖR:<a@b>",
        ] {
            assert_eq!(address(argument), None, "{argument}");
        }
        assert_eq!(address(&format!("TO:<{}@b>", "a".repeat(ADDRESS))), None);
    }
}
