//! `derive(Job)`: a struct or an enum as the payload of a job.

mod backoff;
mod unique;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Lit, LitStr};

use self::{backoff::Backoff, unique::Unique};
use crate::attribute::{self, Entry};
use crate::faults::Faults;
use crate::{duration, fallback, name, shape};

const KEYS: [&str; 17] = [
    "kind",
    "aliases",
    "queue",
    "priority",
    "unique",
    "unique_within",
    "unique_until",
    "on_conflict",
    "attempts",
    "timeout",
    "blocking",
    "backoff",
    "max_backoff",
    "fixed_backoff",
    "backoff_with",
    "keep",
    "keep_for",
];

const MAX_ATTEMPTS: u32 = 100;

/// Expands to the impl of `Job`, or to what is wrong.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    match parse(input) {
        Ok(job) => expand(&input.ident, &job),
        Err(error) => fallback::job(input, &error),
    }
}

/// What `#[job(…)]` says; a key that it leaves out is left to the library's defaults.
#[derive(Default)]
struct Job {
    kind: String,
    aliases: Vec<LitStr>,
    queue: Option<String>,
    priority: Option<&'static str>,
    unique: Unique,
    attempts: Option<u32>,
    timeout_ms: Option<u64>,
    is_blocking: bool,
    backoff: Backoff,
    keep: Option<&'static str>,
    keep_for_ms: Option<u64>,
}

fn parse(input: &DeriveInput) -> syn::Result<Job> {
    let mut faults = Faults::default();
    faults.record(shape::check_concrete(input, "Job"));
    check_parts(input, &mut faults);
    let entries = attribute::read(&input.attrs, "job", &KEYS, &mut faults);
    let Some(entries) = faults.record(entries) else {
        return faults.finish(Job::default());
    };
    let mut job = Job::default();
    for entry in &entries {
        read_entry(&mut job, entry, &mut faults);
    }
    if !entries.iter().any(|entry| entry.key() == "kind") {
        let message = "a job names its kind: `#[job(kind = \"…\")]`; it is not derived from the type's name, so that renaming the type strands no job";
        faults.push(Error::new_spanned(&input.ident, message));
    }
    job.backoff = backoff::read(&entries, &mut faults);
    job.unique = unique::read(&entries, &input.data, &input.attrs, &mut faults);
    check_aliases(&job, &mut faults);
    faults.finish(job)
}

fn read_entry(job: &mut Job, entry: &Entry, faults: &mut Faults) {
    match entry.key() {
        "kind" => job.kind = faults.record(label(entry)).unwrap_or_default(),
        "aliases" => job.aliases = aliases(entry, faults),
        "queue" => job.queue = faults.record(label(entry)),
        "attempts" => job.attempts = faults.record(attempts(entry)),
        "timeout" => job.timeout_ms = faults.record(duration_ms(entry)),
        "priority" => job.priority = faults.record(entry.choice(&["high", "normal", "low"])),
        "blocking" => job.is_blocking = faults.record(entry.flag()).is_some(),
        "keep" => job.keep = faults.record(entry.choice(&["nothing", "summary", "everything"])),
        "keep_for" => job.keep_for_ms = faults.record(duration_ms(entry)),
        // The others are read together, for what one of them may say depends on the rest.
        _ => {}
    }
}

/// Reports what only the keys of the type itself may say, where a part of it says so.
fn check_parts(input: &DeriveInput, faults: &mut Faults) {
    let refuse_fields = |fields: &Fields, faults: &mut Faults| {
        for field in fields {
            attribute::refuse(&field.attrs, "job", "the type", faults);
        }
    };
    match &input.data {
        Data::Struct(data) => refuse_fields(&data.fields, faults),
        Data::Enum(data) => {
            for variant in &data.variants {
                attribute::refuse(&variant.attrs, "job", "the type", faults);
                refuse_fields(&variant.fields, faults);
            }
        }
        Data::Union(_) => {
            let message = "`derive(Job)` works on structs and enums only";
            faults.push(Error::new_spanned(&input.ident, message));
        }
    }
}

/// Reports an alias that says nothing new, for it is likely a typing error.
fn check_aliases(job: &Job, faults: &mut Faults) {
    let mut known = vec![job.kind.clone()];
    for alias in &job.aliases {
        let text = alias.value();
        if known.contains(&text) {
            let message = format!("`{text}` already leads to this job");
            faults.push(Error::new_spanned(alias, message));
        }
        known.push(text);
    }
}

fn label(entry: &Entry) -> syn::Result<String> {
    let text = entry.text()?;
    check_label(&text)?;
    Ok(text.value())
}

fn aliases(entry: &Entry, faults: &mut Faults) -> Vec<LitStr> {
    let aliases = faults.record(entry.texts()).unwrap_or_default();
    for alias in &aliases {
        faults.record(check_label(alias));
    }
    aliases
}

fn check_label(text: &LitStr) -> syn::Result<()> {
    name::check_label(&text.value()).map_err(|message| Error::new_spanned(text, message))
}

fn attempts(entry: &Entry) -> syn::Result<u32> {
    let literal = entry.literal()?;
    if let Lit::Int(number) = &literal
        && let Ok(attempts @ 1..=MAX_ATTEMPTS) = number.base10_parse()
    {
        return Ok(attempts);
    }
    let message = format!("`attempts` is a number from 1 to {MAX_ATTEMPTS}");
    Err(Error::new_spanned(literal, message))
}

fn duration_ms(entry: &Entry) -> syn::Result<u64> {
    let text = entry.text()?;
    duration::parse_ms(&text.value()).map_err(|message| Error::new_spanned(text, message))
}

fn expand(name: &Ident, job: &Job) -> TokenStream {
    let Job { kind, aliases, .. } = job;
    let queue = job.queue.iter();
    let priority = job.priority.map(variant).into_iter();
    let unique = &job.unique;
    let attempts = job.attempts.iter();
    let timeout = job.timeout_ms.map(duration).into_iter();
    let blocking = job.is_blocking.then(|| quote!(.blocking()));
    let backoff = &job.backoff;
    let keep = job.keep.map(variant).into_iter();
    let keep_for = job.keep_for_ms.map(duration).into_iter();
    quote! {
        #[automatically_derived]
        impl ::twelve::__private::Job for #name {
            const KIND: &'static str = #kind;
            const ALIASES: &'static [&'static str] = &[#(#aliases),*];
            fn policy() -> ::twelve::__private::Policy {
                ::twelve::__private::Policy::new()
                    #(.queue(#queue))*
                    #(.priority(::twelve::__private::Priority::#priority))*
                    #unique
                    #(.attempts(#attempts))*
                    #(.timeout(#timeout))*
                    #blocking
                    #backoff
                    #(.keep(::twelve::__private::Keep::#keep))*
                    #(.keep_for(#keep_for))*
            }
        }
    }
}

/// The variant of an enum whose names are written in lower case.
fn variant(name: &str) -> Ident {
    let (first, rest) = name.split_at(1);
    format_ident!("{}{rest}", first.to_uppercase())
}

fn duration(ms: u64) -> TokenStream {
    quote!(::core::time::Duration::from_millis(#ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::messages;

    fn faults(input: &DeriveInput) -> Vec<String> {
        messages(parse(input))
    }

    #[test]
    fn every_key_has_its_place() {
        let output = derive(&syn::parse_quote! {
            #[job(kind = "charge_order", queue = "billing", attempts = 8, aliases("charge", "pay"))]
            #[job(timeout = "30s", backoff = "500ms", max_backoff = "1h", priority = "high")]
            #[job(unique("order"), unique_within = "1h", on_conflict = "replace", blocking)]
            #[job(keep = "nothing", keep_for = "7d")]
            struct ChargeOrder {
                order: Uuid,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            impl ::twelve::__private::Job for ChargeOrder {
                const KIND: &'static str = "charge_order";
                const ALIASES: &'static [&'static str] = &["charge", "pay"];
                fn policy() -> ::twelve::__private::Policy {
                    ::twelve::__private::Policy::new()
                        .queue("billing")
                        .priority(::twelve::__private::Priority::High)
                        .unique(
                            ::twelve::__private::Unique::fields(["order"])
                                .within(::core::time::Duration::from_millis(3600000u64))
                                .replace()
                        )
                        .attempts(8u32)
                        .timeout(::core::time::Duration::from_millis(30000u64))
                        .blocking()
                        .backoff(::core::time::Duration::from_millis(500u64))
                        .max_backoff(::core::time::Duration::from_millis(3600000u64))
                        .keep(::twelve::__private::Keep::Nothing)
                        .keep_for(::core::time::Duration::from_millis(604800000u64))
                }
            }
        };
        assert_eq!(output.to_string(), expected.to_string());
    }

    #[test]
    fn a_key_that_is_left_out_is_not_called() {
        let output = derive(&syn::parse_quote! {
            #[job(kind = "tick")]
            enum Tick {
                Tock,
            }
        });
        let policy = quote!({ ::twelve::__private::Policy::new() }).to_string();
        assert!(output.to_string().contains(&policy), "{output}");
    }

    #[test]
    fn a_job_names_its_kind() {
        let message = "a job names its kind: `#[job(kind = \"…\")]`; it is not derived from the type's name, so that renaming the type strands no job";
        assert_eq!(
            faults(&syn::parse_quote!(
                struct A;
            )),
            [message]
        );
        let found = faults(&syn::parse_quote!(
            #[job(attempts = 1)]
            struct A;
        ));
        assert_eq!(found, [message]);
    }

    #[test]
    fn kinds_aliases_and_queues_are_labels() {
        let found = faults(&syn::parse_quote! {
            #[job(kind = "Charge", queue = "", aliases("a b", "ok"))]
            struct A;
        });
        assert_eq!(found.len(), 3);
        assert!(
            found
                .iter()
                .all(|message| message.contains("is not a name"))
        );
        let found = faults(&syn::parse_quote!(
            #[job(kind = 1)]
            struct A;
        ));
        assert_eq!(found, ["`kind` takes a string: `kind = \"…\"`"]);
    }

    #[test]
    fn an_alias_is_another_name() {
        let found = faults(&syn::parse_quote! {
            #[job(aliases("a", "b", "b"), kind = "a")]
            struct A;
        });
        assert_eq!(
            found,
            [
                "`a` already leads to this job",
                "`b` already leads to this job",
            ]
        );
    }

    #[test]
    fn attempts_are_from_one_to_a_hundred() {
        for attempts in ["0", "101", "-1", "1.5", "\"8\"", "99999999999"] {
            let attempts: Lit = syn::parse_str(attempts).unwrap();
            let found = faults(&syn::parse_quote! {
                #[job(kind = "a", attempts = #attempts)]
                struct A;
            });
            assert_eq!(found, ["`attempts` is a number from 1 to 100"]);
        }
    }

    #[test]
    fn durations_are_checked() {
        let found = faults(&syn::parse_quote! {
            #[job(kind = "a", timeout = "30", backoff = "0s", max_backoff = "999d")]
            struct A;
        });
        assert_eq!(found.len(), 3);
        assert!(found[0].starts_with("`30` is not a duration"), "{found:?}");
        assert_eq!(found[1], "`0s` is not more than zero");
        assert_eq!(found[2], "`999d` is longer than 365d");
    }

    #[test]
    fn what_has_names_is_one_of_them() {
        let found = faults(&syn::parse_quote! {
            #[job(kind = "a", priority = "urgent", keep = "all", blocking = true)]
            struct A;
        });
        let expected = [
            "`priority` is one of `high`, `normal`, `low`",
            "`keep` is one of `nothing`, `summary`, `everything`",
            "`blocking` takes no value",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_stand_on_the_type() {
        let found = faults(&syn::parse_quote! {
            #[job(kind = "a")]
            enum A {
                #[job(kind = "b")]
                B {
                    #[job(queue = "c")]
                    c: u8,
                },
            }
        });
        let message = "`#[job]` belongs on the type";
        assert_eq!(found, [message, message]);
        let found = faults(&syn::parse_quote!(#[job(kind = "a")] union A { b: u8 }));
        assert_eq!(found, ["`derive(Job)` works on structs and enums only"]);
    }
}
