// SPDX-License-Identifier: GPL-2.0

//! The derive macro of the records of an image, for the host.
//!
//! In the kernel, the crate `macros` does what this file does: hand the tokens on.

#[path = "../../../rust/macros/record.rs"]
mod record;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Derives the `Record` trait of `checkpoint/image/record.rs`.
///
/// See `rust/macros/record.rs`.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    record::derive_record(parse_macro_input!(input))
        .unwrap_or_else(|e| e.into_compile_error())
        .into()
}
