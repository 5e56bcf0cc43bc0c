// SPDX-License-Identifier: GPL-2.0

//! What the macro refuses itself: the message and the place that it points at.
//!
//! `TRYBUILD=overwrite cargo test -p ckpt_macros` writes the messages anew.

#[test]
fn refused_by_the_macro() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
