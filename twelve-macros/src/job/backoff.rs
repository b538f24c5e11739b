//! The pauses between attempts: doubled, fixed, or a function's.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ExprPath;

use super::{duration, duration_ms};
use crate::attribute::Entry;
use crate::faults::Faults;

/// What the keys about pauses say; of the three ways there is at most one.
#[derive(Default)]
pub(super) struct Backoff {
    first_ms: Option<u64>,
    longest_ms: Option<u64>,
    fixed_ms: Option<u64>,
    function: Option<ExprPath>,
}

/// Reads the keys about pauses.
pub(super) fn read(entries: &[Entry], faults: &mut Faults) -> Backoff {
    let mut backoff = Backoff::default();
    let mut way = None;
    for entry in entries {
        match entry.key() {
            "backoff" => backoff.first_ms = faults.record(duration_ms(entry)),
            "max_backoff" => backoff.longest_ms = faults.record(duration_ms(entry)),
            "fixed_backoff" => backoff.fixed_ms = faults.record(duration_ms(entry)),
            "backoff_with" => backoff.function = faults.record(entry.path()),
            _ => continue,
        }
        if entry.key() == "max_backoff" {
            continue;
        }
        if let Some(way) = way {
            let key = entry.key();
            faults.push(entry.fault(format_args!("`{key}` and `{way}` exclude each other")));
        }
        way = Some(entry.key());
    }
    check_longest(&backoff, way, entries, faults);
    backoff
}

fn check_longest(backoff: &Backoff, way: Option<&str>, entries: &[Entry], faults: &mut Faults) {
    let Some(entry) = entries.iter().find(|entry| entry.key() == "max_backoff") else {
        return;
    };
    if let Some(way @ ("fixed_backoff" | "backoff_with")) = way {
        faults.push(entry.fault(format_args!("`max_backoff` is nothing to `{way}`")));
    } else if let (Some(first), Some(longest)) = (backoff.first_ms, backoff.longest_ms)
        && first > longest
    {
        faults.push(entry.fault("`max_backoff` is shorter than `backoff`"));
    }
}

/// The calls on a `Policy`.
impl ToTokens for Backoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let first = self.first_ms.map(duration).into_iter();
        let longest = self.longest_ms.map(duration).into_iter();
        let fixed = self.fixed_ms.map(duration).into_iter();
        let function = self.function.iter();
        tokens.extend(quote! {
            #(.backoff(#first))*
            #(.max_backoff(#longest))*
            #(.fixed_backoff(#fixed))*
            #(.backoff_with(#function))*
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute;
    use crate::faults::messages;
    use syn::Attribute;

    fn backoff(attribute: &Attribute) -> syn::Result<Backoff> {
        let mut faults = Faults::default();
        let attributes = std::slice::from_ref(attribute);
        let entries = attribute::read(attributes, "job", &super::super::KEYS, &mut faults)?;
        let backoff = read(&entries, &mut faults);
        faults.finish(backoff)
    }

    fn calls(attribute: &Attribute) -> String {
        backoff(attribute).unwrap().to_token_stream().to_string()
    }

    #[test]
    fn a_pause_is_doubled_or_fixed_or_asked_for() {
        let fixed = calls(&syn::parse_quote!(#[job(fixed_backoff = "10s")]));
        let expected = quote!(.fixed_backoff(::core::time::Duration::from_millis(10000u64)));
        assert_eq!(fixed, expected.to_string());
        let function = calls(&syn::parse_quote!(#[job(backoff_with = pauses::patiently)]));
        let expected = quote!(.backoff_with(pauses::patiently));
        assert_eq!(function, expected.to_string());
        assert_eq!(calls(&syn::parse_quote!(#[job(kind = "a")])), "");
    }

    #[test]
    fn only_one_of_them() {
        let both: Attribute = syn::parse_quote!(#[job(fixed_backoff = "10s", backoff = "1s")]);
        let message = "`backoff` and `fixed_backoff` exclude each other";
        assert_eq!(messages(backoff(&both)), [message]);
        let both = syn::parse_quote!(#[job(max_backoff = "10s", backoff_with = f)]);
        let message = "`max_backoff` is nothing to `backoff_with`";
        assert_eq!(messages(backoff(&both)), [message]);
    }

    #[test]
    fn the_longest_pause_is_no_shorter_than_the_first() {
        let turned = syn::parse_quote!(#[job(backoff = "1h", max_backoff = "1s")]);
        let message = "`max_backoff` is shorter than `backoff`";
        assert_eq!(messages(backoff(&turned)), [message]);
    }

    #[test]
    fn a_function_is_named_by_its_path() {
        let text = syn::parse_quote!(#[job(backoff_with = "patiently")]);
        let message = "`backoff_with` takes a path: `backoff_with = …`";
        assert_eq!(messages(backoff(&text)), [message]);
    }
}
