//! Reads the keys of `#[config(…)]`, `#[job(…)]` and `#[mail(…)]`.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprPath, Lit, LitStr, Meta, Token};

use crate::faults::Faults;

/// One `key`, `key = value` or `key(values)`.
pub(crate) struct Entry {
    key: String,
    meta: Meta,
}

/// Reads the entries of every attribute called `name`, each key at most once and all of them known.
///
/// # Errors
///
/// Fails when an attribute is not a list of entries, for then nothing can be said about the keys it lacks.
/// Unknown and repeated keys go to `faults`: the entries beside them are still worth checking.
pub(crate) fn read(
    attributes: &[Attribute],
    name: &str,
    known: &[&str],
    faults: &mut Faults,
) -> syn::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident(name)) {
        for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let key = meta.path().to_token_stream().to_string();
            if !known.contains(&key.as_str()) {
                let known = known.join("`, `");
                let message = format!("unknown key `{key}`; `#[{name}]` takes `{known}`");
                faults.push(Error::new_spanned(meta.path(), message));
            } else if entries.iter().any(|entry| entry.key == key) {
                let message = format!("`{key}` is given twice");
                faults.push(Error::new_spanned(meta.path(), message));
            } else {
                entries.push(Entry { key, meta });
            }
        }
    }
    Ok(entries)
}

/// Reports each attribute called `name`, which the compiler lets stand where this derive does not look.
pub(crate) fn refuse(attributes: &[Attribute], name: &str, place: &str, faults: &mut Faults) {
    for attribute in attributes.iter().filter(|it| it.path().is_ident(name)) {
        let message = format!("`#[{name}]` belongs on {place}");
        faults.push(Error::new_spanned(attribute, message));
    }
}

impl Entry {
    /// What stands left of the equals sign.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A fault that points at this entry.
    pub(crate) fn fault(&self, message: impl std::fmt::Display) -> Error {
        Error::new_spanned(&self.meta, message)
    }

    /// Checks that the key stands alone.
    pub(crate) fn flag(&self) -> syn::Result<()> {
        match self.meta {
            Meta::Path(_) => Ok(()),
            _ => Err(self.fault(format_args!("`{}` takes no value", self.key))),
        }
    }

    /// Says whether the key stands alone.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.meta, Meta::Path(_))
    }

    /// The path right of the equals sign.
    pub(crate) fn path(&self) -> syn::Result<ExprPath> {
        match &self.meta {
            Meta::NameValue(pair) if let Expr::Path(path) = &pair.value => Ok(path.clone()),
            _ => Err(self.fault(format_args!("`{0}` takes a path: `{0} = …`", self.key))),
        }
    }

    /// The literal right of the equals sign.
    pub(crate) fn literal(&self) -> syn::Result<Lit> {
        let Meta::NameValue(pair) = &self.meta else {
            return Err(self.fault(format_args!("`{0}` takes a value: `{0} = …`", self.key)));
        };
        // Parsed anew because the expression grammar splits `-1` into an operator and a literal.
        let message = format!("`{}` takes a literal", self.key);
        syn::parse2(pair.value.to_token_stream())
            .map_err(|_| Error::new_spanned(&pair.value, message))
    }

    /// The string right of the equals sign.
    pub(crate) fn text(&self) -> syn::Result<LitStr> {
        match self.literal()? {
            Lit::Str(text) => Ok(text),
            other => {
                let message = format!("`{0}` takes a string: `{0} = \"…\"`", self.key);
                Err(Error::new_spanned(other, message))
            }
        }
    }

    /// The string right of the equals sign, which is one of these.
    pub(crate) fn choice(&self, choices: &[&'static str]) -> syn::Result<&'static str> {
        let text = self.text()?;
        let value = text.value();
        let chosen = choices.iter().find(|choice| **choice == value);
        chosen.copied().ok_or_else(|| {
            let choices = choices.join("`, `");
            let message = format!("`{}` is one of `{choices}`", self.key);
            Error::new_spanned(text, message)
        })
    }

    /// The strings between the parentheses.
    pub(crate) fn texts(&self) -> syn::Result<Vec<LitStr>> {
        let message = format!("`{0}` takes strings: `{0}(\"…\", \"…\")`", self.key);
        let Meta::List(list) = &self.meta else {
            return Err(self.fault(message));
        };
        list.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated)
            .map(|texts| texts.into_iter().collect())
            .map_err(|fault| Error::new(fault.span(), message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    fn entry(attribute: &Attribute) -> Entry {
        let mut faults = Faults::default();
        let attributes = std::slice::from_ref(attribute);
        let entries = read(attributes, "job", &["key"], &mut faults).unwrap();
        faults.finish(entries).unwrap().remove(0)
    }

    #[test]
    fn keys_may_be_spread_over_attributes() {
        let attributes = [
            syn::parse_quote!(#[job(kind = "a",)]),
            syn::parse_quote!(#[serde(tag = "b")]),
            syn::parse_quote!(#[job(queue = "c")]),
        ];
        let mut faults = Faults::default();
        let entries = read(&attributes, "job", &["kind", "queue"], &mut faults).unwrap();
        let keys: Vec<_> = entries.iter().map(Entry::key).collect();
        assert_eq!(keys, ["kind", "queue"]);
        assert!(messages(faults.finish(())).is_empty());
    }

    #[test]
    fn unknown_and_repeated_keys_are_reported_together() {
        let attributes = [syn::parse_quote!(#[job(kind = "a", knid = "b", kind = "c")])];
        let mut faults = Faults::default();
        let entries = read(&attributes, "job", &["kind", "queue"], &mut faults).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            messages(faults.finish(())),
            [
                "unknown key `knid`; `#[job]` takes `kind`, `queue`",
                "`kind` is given twice",
            ]
        );
    }

    #[test]
    fn an_attribute_without_entries_is_an_error() {
        let attributes = [syn::parse_quote!(#[job])];
        let result = read(&attributes, "job", &["kind"], &mut Faults::default());
        assert_eq!(messages(result).len(), 1);
    }

    #[test]
    fn a_flag_takes_no_value() {
        assert!(entry(&syn::parse_quote!(#[job(key)])).flag().is_ok());
        let result = entry(&syn::parse_quote!(#[job(key = true)])).flag();
        assert_eq!(messages(result), ["`key` takes no value"]);
    }

    #[test]
    fn a_value_is_a_literal_of_the_right_type() {
        let negative = entry(&syn::parse_quote!(#[job(key = -1)])).literal();
        assert!(matches!(negative, Ok(Lit::Int(number)) if number.base10_digits() == "-1"));
        let result = entry(&syn::parse_quote!(#[job(key)])).literal();
        assert_eq!(messages(result), ["`key` takes a value: `key = …`"]);
        let result = entry(&syn::parse_quote!(#[job(key = NAME)])).literal();
        assert_eq!(messages(result), ["`key` takes a literal"]);
        let result = entry(&syn::parse_quote!(#[job(key = 1)])).text();
        assert_eq!(messages(result), ["`key` takes a string: `key = \"…\"`"]);
    }

    #[test]
    fn a_path_is_no_string() {
        let path = entry(&syn::parse_quote!(#[job(key = a::b)])).path();
        assert_eq!(path.unwrap().to_token_stream().to_string(), "a :: b");
        let result = entry(&syn::parse_quote!(#[job(key = "a::b")])).path();
        assert_eq!(messages(result), ["`key` takes a path: `key = …`"]);
    }

    #[test]
    fn a_choice_is_one_of_a_few() {
        let choice = |attribute| entry(&attribute).choice(&["a", "b"]);
        assert_eq!(choice(syn::parse_quote!(#[job(key = "b")])).unwrap(), "b");
        let result = choice(syn::parse_quote!(#[job(key = "c")]));
        assert_eq!(messages(result), ["`key` is one of `a`, `b`"]);
    }

    #[test]
    fn strings_stand_in_parentheses() {
        let texts = entry(&syn::parse_quote!(#[job(key("a", "b"))])).texts();
        let texts: Vec<_> = texts.unwrap().iter().map(LitStr::value).collect();
        assert_eq!(texts, ["a", "b"]);
        let result = entry(&syn::parse_quote!(#[job(key = "a")])).texts();
        assert_eq!(
            messages(result),
            ["`key` takes strings: `key(\"…\", \"…\")`"]
        );
        let result = entry(&syn::parse_quote!(#[job(key(1))])).texts();
        assert_eq!(
            messages(result),
            ["`key` takes strings: `key(\"…\", \"…\")`"]
        );
    }
}
