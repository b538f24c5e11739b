//! One field of a configuration: what it says about itself.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, ExprLit, Field, Lit, Meta, Type};

use crate::attribute::{self, Entry};
use crate::faults::Faults;
use crate::{name, shape};

const KEYS: [&str; 4] = ["env", "default", "from_str", "nested"];

/// A field and where its value comes from.
pub(super) struct Setting<'a> {
    pub(super) name: &'a Ident,
    pub(super) ty: &'a Type,
    pub(super) source: Source,
}

/// Where the value of a field comes from.
pub(super) enum Source {
    /// The variables that the field's type reads itself.
    Nested,
    /// One variable.
    Variable(Variable),
}

/// A variable and how to read it.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) default: Option<String>,
    pub(super) doc: String,
    pub(super) conversion: Conversion,
}

/// Which trait turns the variable's text into the field's type.
#[derive(Clone, Copy)]
pub(super) enum Conversion {
    Value,
    FromStr,
}

impl<'a> Setting<'a> {
    /// Reads one field; what is wrong with it goes to `faults`.
    pub(super) fn parse(field: &'a Field, faults: &mut Faults) -> Option<Self> {
        let entries = attribute::read(&field.attrs, "config", &KEYS, faults);
        let entries = faults.record(entries)?;
        let source = match entries.iter().find(|entry| entry.key() == "nested") {
            Some(nested) => {
                faults.record(nested.flag());
                faults.record(check_alone(&entries));
                Source::Nested
            }
            None => Source::Variable(Variable::parse(field, &entries, faults)?),
        };
        Some(Self {
            name: field.ident.as_ref()?,
            ty: &field.ty,
            source,
        })
    }
}

impl Variable {
    fn parse(field: &Field, entries: &[Entry], faults: &mut Faults) -> Option<Self> {
        let mut variable = Self {
            name: String::new(),
            default: None,
            doc: doc(&field.attrs),
            conversion: Conversion::Value,
        };
        let mut named = None;
        for entry in entries {
            match entry.key() {
                "env" => named = Some(faults.record(explicit_name(entry))?),
                "default" => variable.default = faults.record(default(entry, &field.ty)),
                _ => {
                    faults.record(from_str(entry, &field.ty));
                    variable.conversion = Conversion::FromStr;
                }
            }
        }
        variable.name = match named {
            Some(name) => name,
            None => faults.record(derived_name(field.ident.as_ref()?))?,
        };
        Some(variable)
    }
}

fn check_alone(entries: &[Entry]) -> syn::Result<()> {
    match entries.iter().find(|entry| entry.key() != "nested") {
        None => Ok(()),
        Some(other) => Err(other.fault(format_args!(
            "`{}` has no meaning beside `nested`: the type inside names its own variables",
            other.key()
        ))),
    }
}

fn explicit_name(entry: &Entry) -> syn::Result<String> {
    let text = entry.text()?;
    match name::check_variable(&text.value()) {
        Ok(()) => Ok(text.value()),
        Err(message) => Err(Error::new_spanned(text, message)),
    }
}

fn derived_name(field: &Ident) -> syn::Result<String> {
    let name = field.unraw().to_string().to_uppercase();
    match name::check_variable(&name) {
        Ok(()) => Ok(name),
        Err(message) => {
            let message = format!("{message}, in `#[config(env = \"…\")]`");
            Err(Error::new_spanned(field, message))
        }
    }
}

fn default(entry: &Entry, ty: &Type) -> syn::Result<String> {
    if shape::is_option(ty) {
        let message = "a field with a default is always set: drop the `Option` or the default";
        return Err(entry.fault(message));
    }
    match entry.literal()? {
        Lit::Str(text) => Ok(text.value()),
        Lit::Int(number) => Ok(number.base10_digits().to_owned()),
        Lit::Float(number) => Ok(number.base10_digits().to_owned()),
        Lit::Bool(truth) => Ok(truth.value.to_string()),
        other => {
            let message = "a default is a string, a number or a boolean";
            Err(Error::new_spanned(other, message))
        }
    }
}

fn from_str(entry: &Entry, ty: &Type) -> syn::Result<()> {
    if shape::is_option(ty) {
        let message = "`Option` has no `FromStr`: implement `twelve::Value` for the type inside it";
        return Err(entry.fault(message));
    }
    entry.flag()
}

/// The documentation comment as one line, for listings.
fn doc(attributes: &[Attribute]) -> String {
    let mut words = Vec::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident("doc")) {
        // `#[doc = include_str!(…)]` has no text yet, and `#[doc(hidden)]` never.
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(ExprLit { lit, .. }) = &pair.value
            && let Ok(text) = syn::parse2::<syn::LitStr>(lit.to_token_stream())
        {
            words.extend(text.value().split_whitespace().map(str::to_owned));
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    fn variable(field: &Field) -> Variable {
        let mut faults = Faults::default();
        let setting = Setting::parse(field, &mut faults);
        match faults.finish(setting).unwrap().unwrap().source {
            Source::Variable(variable) => variable,
            Source::Nested => panic!("the field is nested"),
        }
    }

    fn faults(field: &Field) -> Vec<String> {
        let mut faults = Faults::default();
        let setting = Setting::parse(field, &mut faults);
        messages(faults.finish(setting))
    }

    #[test]
    fn a_variable_is_called_like_its_field_in_capitals() {
        assert_eq!(
            variable(&syn::parse_quote!(payments_url: Url)).name,
            "PAYMENTS_URL"
        );
        assert_eq!(variable(&syn::parse_quote!(r#type: Url)).name, "TYPE");
        let named = variable(&syn::parse_quote!(#[config(env = "PAY")] payments_url: Url));
        assert_eq!(named.name, "PAY");
    }

    #[test]
    fn a_variable_has_the_name_of_a_variable() {
        let found = faults(&syn::parse_quote!(#[config(env = "pay-url")] url: Url));
        assert_eq!(
            found,
            [
                "`pay-url` is not the name of a variable: write `A-Z`, `0-9`, `_`, the first no digit"
            ]
        );
        let found = faults(&syn::parse_quote!(größe: u8));
        assert!(
            found[0].ends_with("in `#[config(env = \"…\")]`"),
            "{found:?}"
        );
        assert_eq!(faults(&syn::parse_quote!(#[config(env)] url: Url)).len(), 1);
    }

    #[test]
    fn a_default_is_text_whatever_it_is_written_as() {
        let default = |field| variable(&field).default.unwrap();
        assert_eq!(
            default(syn::parse_quote!(#[config(default = "a b")] a: A)),
            "a b"
        );
        assert_eq!(
            default(syn::parse_quote!(#[config(default = 1_000u16)] a: A)),
            "1000"
        );
        assert_eq!(
            default(syn::parse_quote!(#[config(default = -1)] a: A)),
            "-1"
        );
        assert_eq!(
            default(syn::parse_quote!(#[config(default = -0.5)] a: A)),
            "-0.5"
        );
        assert_eq!(
            default(syn::parse_quote!(#[config(default = true)] a: A)),
            "true"
        );
        assert!(variable(&syn::parse_quote!(a: A)).default.is_none());
    }

    #[test]
    fn a_default_is_a_plain_literal() {
        let found = faults(&syn::parse_quote!(#[config(default = 'a')] a: A));
        assert_eq!(found, ["a default is a string, a number or a boolean"]);
        let found = faults(&syn::parse_quote!(#[config(default = 8 * 1024)] a: A));
        assert_eq!(found, ["`default` takes a literal"]);
    }

    #[test]
    fn an_option_takes_neither_default_nor_from_str() {
        let found = faults(&syn::parse_quote!(#[config(default = 1)] a: Option<u8>));
        assert_eq!(
            found,
            ["a field with a default is always set: drop the `Option` or the default"]
        );
        let found = faults(&syn::parse_quote!(#[config(from_str)] a: Option<Level>));
        assert_eq!(
            found,
            ["`Option` has no `FromStr`: implement `twelve::Value` for the type inside it"]
        );
    }

    #[test]
    fn a_nested_field_takes_no_other_key() {
        assert!(faults(&syn::parse_quote!(#[config(nested)] mail: Mail)).is_empty());
        let found = faults(&syn::parse_quote!(#[config(nested, env = "MAIL")] mail: Mail));
        assert_eq!(
            found,
            ["`env` has no meaning beside `nested`: the type inside names its own variables"]
        );
        let found = faults(&syn::parse_quote!(#[config(nested = true)] mail: Mail));
        assert_eq!(found, ["`nested` takes no value"]);
    }

    #[test]
    fn an_unknown_key_names_the_known_ones() {
        let found = faults(&syn::parse_quote!(#[config(evn = "A", env = "A", env = "B")] a: A));
        assert_eq!(
            found,
            [
                "unknown key `evn`; `#[config]` takes `env`, `default`, `from_str`, `nested`",
                "`env` is given twice",
            ]
        );
    }

    #[test]
    fn a_documentation_comment_becomes_one_line() {
        let field = syn::parse_quote! {
            /// Where payments
            ///
            ///   are made.
            #[doc(hidden)]
            #[doc = include_str!("url.md")]
            payments_url: Url
        };
        assert_eq!(variable(&field).doc, "Where payments are made.");
    }
}
