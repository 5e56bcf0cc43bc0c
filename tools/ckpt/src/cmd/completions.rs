// SPDX-License-Identifier: GPL-2.0

//! `ckpt completions`: what a shell needs to complete ckpt's command line.

use clap_complete::Shell;

use crate::error::{Error, Exit};
use crate::output::Out;

/// Print a completion script for a shell
#[derive(clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut cli: clap::Command, out: &mut Out) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "ckpt", &mut script);
    out.bytes(&script)?;
    Ok(Exit::Ok)
}
