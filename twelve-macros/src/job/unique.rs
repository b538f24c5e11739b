//! Which jobs of a kind are the same: `unique`, and what goes with it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, Error, Fields, LitStr};

use super::{duration, duration_ms};
use crate::attribute::Entry;
use crate::faults::Faults;

/// What the keys about uniqueness say.
#[derive(Default)]
pub(super) struct Unique {
    /// Nothing when jobs are not unique, no names when they are by the whole payload.
    fields: Option<Vec<LitStr>>,
    within_ms: Option<u64>,
    until: Option<&'static str>,
    on_conflict: Option<&'static str>,
}

/// Reads the keys about uniqueness.
pub(super) fn read(
    entries: &[Entry],
    data: &Data,
    attributes: &[Attribute],
    faults: &mut Faults,
) -> Unique {
    let mut unique = Unique::default();
    let is_unique = entries.iter().any(|entry| entry.key() == "unique");
    for entry in entries {
        match entry.key() {
            "unique" => {
                unique.fields = faults.record(fields(entry));
                check_names(&unique, data, attributes, faults);
                continue;
            }
            "unique_within" => unique.within_ms = faults.record(duration_ms(entry)),
            "unique_until" => unique.until = faults.record(entry.choice(&["started", "ended"])),
            "on_conflict" => {
                let choices = ["keep", "replace", "reject"];
                unique.on_conflict = faults.record(entry.choice(&choices));
            }
            _ => continue,
        }
        if !is_unique {
            let key = entry.key();
            faults.push(entry.fault(format_args!("`{key}` goes with `unique`")));
        }
    }
    unique
}

fn fields(entry: &Entry) -> syn::Result<Vec<LitStr>> {
    if entry.is_bare() {
        return Ok(Vec::new());
    }
    match entry.texts() {
        Ok(fields) if !fields.is_empty() => Ok(fields),
        _ => Err(entry.fault(
            "`unique` stands alone, for the whole payload, or names fields of it: `unique(\"…\", \"…\")`",
        )),
    }
}

/// Reports a field that the struct does not have, as far as the names in its JSON are those in its source.
///
/// `serde` may rename and flatten fields: where it is told anything, the enqueue finds out.
fn check_names(unique: &Unique, data: &Data, attributes: &[Attribute], faults: &mut Faults) {
    let Data::Struct(data) = data else { return };
    let Fields::Named(fields) = &data.fields else {
        return;
    };
    let of_fields = fields.named.iter().flat_map(|field| &field.attrs);
    if !attributes.iter().chain(of_fields).all(is_plain) {
        return;
    }
    let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
    let names: Vec<String> = names.map(|name| name.unraw().to_string()).collect();
    for name in unique.fields.iter().flatten() {
        if !names.contains(&name.value()) {
            let message = format!("the job has no field `{}`", name.value());
            faults.push(Error::new_spanned(name, message));
        }
    }
}

/// Attributes that change no name in the JSON.
fn is_plain(attribute: &Attribute) -> bool {
    ["job", "doc", "allow", "expect", "derive", "non_exhaustive"]
        .iter()
        .any(|plain| attribute.path().is_ident(plain))
}

/// The call on a `Policy`, if jobs are unique.
impl ToTokens for Unique {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Some(fields) = &self.fields else { return };
        let by = match &**fields {
            [] => quote!(payload()),
            fields => quote!(fields([#(#fields),*])),
        };
        let within = self.within_ms.map(duration).into_iter();
        let until = (self.until == Some("started")).then(|| quote!(.until_started()));
        let on_conflict = match self.on_conflict {
            Some("replace") => quote!(.replace()),
            Some("reject") => quote!(.reject()),
            _ => TokenStream::new(),
        };
        tokens.extend(quote! {
            .unique(::twelve::__private::Unique::#by #(.within(#within))* #until #on_conflict)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute;
    use crate::faults::messages;
    use syn::DeriveInput;

    fn unique(input: &DeriveInput) -> syn::Result<Unique> {
        let mut faults = Faults::default();
        let entries = attribute::read(&input.attrs, "job", &super::super::KEYS, &mut faults)?;
        let unique = read(&entries, &input.data, &input.attrs, &mut faults);
        faults.finish(unique)
    }

    fn call(input: &DeriveInput) -> String {
        unique(input).unwrap().to_token_stream().to_string()
    }

    #[test]
    fn a_job_is_unique_by_its_payload_or_by_fields_of_it() {
        let by_payload = call(&syn::parse_quote! { #[job(unique)] struct A; });
        let expected = quote!(.unique(::twelve::__private::Unique::payload()));
        assert_eq!(by_payload, expected.to_string());
        let by_fields = call(&syn::parse_quote! {
            #[job(unique("order", "type"), unique_until = "started", on_conflict = "reject")]
            struct A { order: u64, r#type: String, note: String }
        });
        let expected = quote! {
            .unique(
                ::twelve::__private::Unique::fields(["order", "type"])
                    .until_started()
                    .reject()
            )
        };
        assert_eq!(by_fields, expected.to_string());
        assert_eq!(
            call(&syn::parse_quote! { #[job(kind = "a")] struct A; }),
            ""
        );
    }

    #[test]
    fn a_field_that_the_struct_lacks_is_named() {
        let found = messages(unique(&syn::parse_quote! {
            #[job(unique("order", "skew"))]
            struct A { order: u64, sku: String }
        }));
        assert_eq!(found, ["the job has no field `skew`"]);
    }

    #[test]
    fn names_that_serde_may_change_are_left_to_the_enqueue() {
        let inputs: [DeriveInput; 4] = [
            syn::parse_quote! { #[job(unique("a-b"))] #[serde(rename_all = "kebab-case")] struct A { a_b: u8 } },
            syn::parse_quote! { #[job(unique("b"))] struct A { #[serde(rename = "b")] a: u8 } },
            syn::parse_quote! { #[job(unique("b"))] struct A(B); },
            syn::parse_quote! { #[job(unique("b"))] enum A { B } },
        ];
        for input in inputs {
            assert_eq!(messages(unique(&input)), Vec::<String>::new());
        }
    }

    #[test]
    fn fields_are_names_in_parentheses() {
        let message = "`unique` stands alone, for the whole payload, or names fields of it: `unique(\"…\", \"…\")`";
        let inputs: [DeriveInput; 3] = [
            syn::parse_quote! { #[job(unique = "order")] struct A; },
            syn::parse_quote! { #[job(unique())] struct A; },
            syn::parse_quote! { #[job(unique(order))] struct A; },
        ];
        for input in inputs {
            assert_eq!(messages(unique(&input)), [message]);
        }
    }

    #[test]
    fn what_goes_with_unique_does_not_stand_without_it() {
        let found = messages(unique(&syn::parse_quote! {
            #[job(unique_within = "1h", unique_until = "started", on_conflict = "keep")]
            struct A;
        }));
        let expected = [
            "`unique_within` goes with `unique`",
            "`unique_until` goes with `unique`",
            "`on_conflict` goes with `unique`",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn choices_have_names() {
        let found = messages(unique(&syn::parse_quote! {
            #[job(unique, unique_until = "done", on_conflict = "merge", unique_within = "soon")]
            struct A;
        }));
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], "`unique_until` is one of `started`, `ended`");
        let message = "`on_conflict` is one of `keep`, `replace`, `reject`";
        assert_eq!(found[1], message);
        assert!(found[2].starts_with("`soon` is not a duration"));
    }
}
