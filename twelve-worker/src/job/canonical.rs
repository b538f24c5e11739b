//! Canonical JSON: one text for payloads that are equal.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How deep a payload may nest to be compared. No worker reads a deeper one, since `serde_json` refuses it.
const MAX_DEPTH: u32 = 128;

/// The members of an object in the order of their names, each with its text.
pub(crate) type Members<'j> = BTreeMap<String, &'j RawValue>;

/// The members of an object; nothing when the JSON is something else.
pub(crate) fn members(json: &str) -> Option<Members<'_>> {
    serde_json::from_str(json).ok()
}

/// The JSON without spaces, and with the members of every object in the order of their names.
///
/// A payload with a `HashMap` is written in another order each time.
/// Numbers keep their text: parsing would lose the last digits of a `u128`, and two different jobs would seem equal.
///
/// # Errors
///
/// What is wrong with it, in lower case and without a full stop.
pub(crate) fn canonical(json: &str) -> Result<String, String> {
    let mut text = String::with_capacity(json.len());
    write(&mut text, json.trim_ascii(), MAX_DEPTH)?;
    Ok(text)
}

fn write(text: &mut String, json: &str, depth: u32) -> Result<(), String> {
    let Some(below) = depth.checked_sub(1) else {
        return Err(format!("the payload nests deeper than {MAX_DEPTH} levels"));
    };
    let unreadable = |error: serde_json::Error| error.to_string();
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(json).map_err(unreadable)?;
            let write_member = |text: &mut String, (name, value): (String, &RawValue)| {
                text.push_str(&serde_json::to_string(&name).map_err(unreadable)?);
                text.push(':');
                write(text, value.get(), below)
            };
            list(text, ['{', '}'], members, write_member)
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).map_err(unreadable)?;
            let write_element =
                |text: &mut String, value: &RawValue| write(text, value.get(), below);
            list(text, ['[', ']'], elements, write_element)
        }
        _ => {
            text.push_str(json);
            Ok(())
        }
    }
}

fn list<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut String, T) -> Result<(), String>,
) -> Result<(), String> {
    text.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(text, item)?;
    }
    text.push(close);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_written_the_same() {
        let one = r#" {"b": [1, {"d": null, "c": "a \" b"}], "a": {}} "#;
        let other = r#"{"a":{},"b":[1,{"c":"a \" b","d":null}]}"#;
        assert_eq!(canonical(one).unwrap(), other);
        assert_eq!(canonical(other).unwrap(), other);
    }

    #[test]
    fn numbers_keep_every_digit() {
        for number in ["340282366920938463463374607431768211455", "-0.0", "1e-7"] {
            assert_eq!(canonical(number).unwrap(), number);
        }
    }

    #[test]
    fn what_nests_too_deep_is_refused_before_the_stack_ends() {
        let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(canonical(&deep(128)).is_ok());
        let refusal = canonical(&deep(100_000)).unwrap_err();
        assert_eq!(refusal, "the payload nests deeper than 128 levels");
    }

    #[test]
    fn only_an_object_has_members() {
        assert_eq!(members(r#"{"b":1,"a":2}"#).unwrap().len(), 2);
        for other in ["[]", "null", "1", r#""a""#] {
            assert!(members(other).is_none(), "{other}");
        }
    }
}
