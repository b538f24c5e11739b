//! The macros of [twelve](https://docs.rs/twelve), an implementation detail of that crate.
//!
//! Each macro goes through the same three steps in a module of its own: *parse* the item, *validate* what it says, *expand* it.
//!
//! ```text
//! tokens ──parse──▶ syn item ──validate──▶ description ──expand──▶ impl
//!                      └── every fault at once ──▶ compile errors and a fallback impl
//! ```
//!
//! Two invariants hold throughout.
//! The output names nothing but the language, `::core` and `::twelve::__private`, so that it means the same wherever it lands.
//! A mistake is reported where the author made it, together with all others of the same item.
//!
//! Authors use these macros through `twelve`, whose documentation has the examples.

mod config;
mod from_context;
mod job;
mod mail;
mod test;

mod attribute;
mod duration;
mod extractor;
mod fallback;
mod faults;
mod name;
mod shape;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Reads a struct from environment variables, one per field.
///
/// A field's variable is its name in capitals, and its documentation comment is what `config` lists beside it.
/// All variables are read before the first fault is acted upon, so one start reports every fault.
/// A field takes `#[config(…)]` with these keys, all optional:
///
/// - `env = "NAME"`: the variable to read; capitals, digits and underscores.
/// - `default = "text"`: what to read when the variable is not set; a number or a boolean may stand without quotes.
/// - `from_str`: the field's type is read by its `FromStr`, not by twelve's own `Value`.
/// - `nested`: the field's type derives `Config` itself; takes no other key.
///
/// An `Option` field is `None` when its variable is not set, so it takes no default.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    config::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// The type is a struct or an enum; the keys of its `#[job(…)]` are those in the table of `twelve::Job`.
///
/// Kinds, aliases and queues are 1 to 64 of `a-z`, `0-9`, `_`, `.` and `-`, and start with a letter.
/// A duration is a whole number and one of the units `ms`, `s`, `m`, `h` and `d`, more than zero and at most 365 days.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    job::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Makes a struct a mail.
///
/// The struct takes `#[mail(…)]` with these keys, of which `subject` and `text` are mandatory:
///
/// - `subject = "Your order {{ number }}"`: an askama template in one line; nothing in it is escaped.
/// - `text = "receipt.txt"`: an askama template in the package's `templates/`.
/// - `html = "receipt.html"`: another one, whose values are escaped; its `<style>` is inlined.
/// - `from = "Shop <shop@example.org>"`: the sender, in place of `MAIL_FROM`.
/// - `name = "receipt"`: what listings and `mail preview` call it; the type's name unless given.
///
/// Templates name the fields of the struct.
/// A field may be marked `#[mail(to)]`, `cc`, `bcc` or `reply_to`: it is a `String`, an `Option` or a `Vec` of it, each `shop@example.org` or `Shop <shop@example.org>`.
/// A field marked `#[mail(attach)]` is an `Attachment`, an `Option` or a `Vec` of it.
#[proc_macro_derive(Mail, attributes(mail))]
pub fn derive_mail(input: TokenStream) -> TokenStream {
    mail::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Stands in for `Mail` where twelve's feature `mail` is off, and says so.
#[proc_macro_derive(AbsentMail, attributes(mail))]
pub fn absent_mail(_: TokenStream) -> TokenStream {
    quote::quote! {
        ::core::compile_error! {
            "`derive(Mail)` needs the feature `mail` of twelve, in `Cargo.toml`: twelve = { …, features = [\"mail\"] }"
        }
    }
    .into()
}

/// Makes a struct of extractors an extractor.
///
/// Fields are extracted in the order they stand in, and the first failure ends the extraction.
/// The struct works wherever all of its fields do: one that holds a job's `Steps` is for jobs alone.
/// It may have named fields, unnamed ones or none, and takes no attribute.
#[proc_macro_derive(FromContext)]
pub fn derive_from_context(input: TokenStream) -> TokenStream {
    from_context::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Runs an `async fn` as a test against an app with backing services of its own.
///
/// The function takes a `TestApp`, or nothing, and returns what any test may return.
/// The attribute's one optional argument is the path of the `fn() -> App` that describes the app, `crate::app` unless given.
/// Other attributes, such as `#[ignore]` and `#[should_panic]`, keep their meaning.
#[proc_macro_attribute]
pub fn test(argument: TokenStream, item: TokenStream) -> TokenStream {
    test::expand(&argument.into(), &item.into()).into()
}
