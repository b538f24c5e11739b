//! Tags and metadata: what people attach to a job.

use serde::Serialize;
use serde_json::{Map, Value};

/// The most tags of one job.
const MAX_TAGS: usize = 20;

/// The longest tag, and the longest name in the metadata.
const MAX_CHARS: usize = 255;

/// The longest metadata, as JSON.
const MAX_METADATA_BYTES: usize = 16 << 10;

/// Adds a tag, once.
///
/// # Errors
///
/// What is wrong, in lower case and without a full stop.
pub(crate) fn add_tag(tags: &mut Vec<String>, tag: String) -> Result<(), String> {
    check_text("a tag", &tag)?;
    if tags.contains(&tag) {
        return Ok(());
    }
    if tags.len() == MAX_TAGS {
        return Err(format!("a job has at most {MAX_TAGS} tags"));
    }
    tags.push(tag);
    Ok(())
}

/// Values by name.
#[derive(Debug, Default)]
pub(crate) struct Metadata(Map<String, Value>);

impl Metadata {
    /// Sets one value, in the place of an earlier one.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn set(&mut self, name: String, value: impl Serialize) -> Result<(), String> {
        check_text("the name of a metadata value", &name)?;
        let value = serde_json::to_value(value)
            .map_err(|error| format!("the metadata value `{name}` is no JSON: {error}"))?;
        if has_nul(&value) {
            return Err(format!("the metadata value `{name}` contains U+0000"));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// The JSON object, if there is anything in it.
    ///
    /// # Errors
    ///
    /// What is wrong, in lower case and without a full stop.
    pub(crate) fn into_json(self) -> Result<Option<String>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let json = Value::Object(self.0).to_string();
        if json.len() > MAX_METADATA_BYTES {
            let bytes = json.len();
            return Err(format!(
                "the metadata has {bytes} bytes, of which {MAX_METADATA_BYTES} are allowed"
            ));
        }
        Ok(Some(json))
    }
}

fn check_text(what: &str, text: &str) -> Result<(), String> {
    let is_short = (1..=MAX_CHARS).contains(&text.chars().take(MAX_CHARS + 1).count());
    if is_short && !text.contains('\0') {
        return Ok(());
    }
    Err(format!(
        "{what} has 1 to {MAX_CHARS} characters, none of which is U+0000"
    ))
}

/// Postgres cannot extract U+0000 from JSON: the metadata of one job would break every listing that filters by it.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tag_is_there_once() {
        let mut tags = Vec::new();
        for tag in ["eu", "vip", "eu"] {
            add_tag(&mut tags, tag.to_owned()).unwrap();
        }
        assert_eq!(tags, ["eu", "vip"]);
    }

    #[test]
    fn tags_are_bounded() {
        let mut tags = Vec::new();
        for wrong in [String::new(), "a\0b".to_owned(), "é".repeat(256)] {
            let refusal = add_tag(&mut tags, wrong).unwrap_err();
            assert_eq!(
                refusal,
                "a tag has 1 to 255 characters, none of which is U+0000"
            );
        }
        add_tag(&mut tags, "é".repeat(255)).unwrap();
        for number in 1..20 {
            add_tag(&mut tags, number.to_string()).unwrap();
        }
        let refusal = add_tag(&mut tags, "one more".to_owned()).unwrap_err();
        assert_eq!(refusal, "a job has at most 20 tags");
    }

    #[test]
    fn metadata_is_an_object() {
        let mut metadata = Metadata::default();
        metadata.set("trace".to_owned(), "a").unwrap();
        metadata.set("trace".to_owned(), "b").unwrap();
        metadata.set("by".to_owned(), json!({"user": 7})).unwrap();
        let json = metadata.into_json().unwrap().unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, json!({"by": {"user": 7}, "trace": "b"}));
        assert_eq!(Metadata::default().into_json(), Ok(None));
    }

    #[test]
    fn metadata_is_bounded() {
        let mut metadata = Metadata::default();
        let refusal = metadata.set(String::new(), 1).unwrap_err();
        assert!(refusal.starts_with("the name of a metadata value has 1"));
        for nul in [json!("\0"), json!([["\0"]]), json!({"a": {"\0": 1}})] {
            let refusal = metadata.set("a".to_owned(), nul).unwrap_err();
            assert_eq!(refusal, "the metadata value `a` contains U+0000");
        }
        metadata.set("a".to_owned(), "a".repeat(16 << 10)).unwrap();
        let refusal = metadata.into_json().unwrap_err();
        assert_eq!(
            refusal,
            "the metadata has 16392 bytes, of which 16384 are allowed"
        );
    }
}
