// SPDX-License-Identifier: GPL-2.0

//! One module per command: an `Args` that clap fills, and a `run`.

pub(crate) mod check;
pub(crate) mod checkpoint;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod self_test;
pub(crate) mod verify;
