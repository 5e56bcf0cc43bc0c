// SPDX-License-Identifier: GPL-2.0

//! ckpt: the command for checkpoint(2) and restart(2). ckpt(1) is its manual.

mod cmd;
mod error;
mod field;
mod image;
mod input;
mod output;
mod progress;
mod refusal;
mod source;
mod supervise;
mod sys;
mod text;
mod tree;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Error, Exit};
use crate::output::{complain, Out};

/// Save running processes to images and bring them back
#[derive(Parser)]
#[command(name = "ckpt", version, max_term_width = 100)]
#[command(disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 all is well, 1 an image or a process was refused or a check failed, \
    2 usage, 3 I/O or system error, 4 the kernel lacks the calls; restart and run pass on the exit \
    status of the program, 128 + N if signal N killed it."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Checkpoint(cmd::checkpoint::Args),
    Check(cmd::check::Args),
    Restart(cmd::restart::Args),
    Run(cmd::run::Args),
    Inspect(cmd::inspect::Args),
    Verify(cmd::verify::Args),
    SelfTest(cmd::self_test::Args),
    Completions(cmd::completions::Args),
}

impl Command {
    fn run(self, out: &mut Out) -> Result<Exit, Error> {
        match self {
            Command::Check(args) => cmd::check::run(&args, out),
            Command::Checkpoint(args) => cmd::checkpoint::run(&args, out),
            Command::Restart(args) => cmd::restart::run(&args, out),
            Command::Run(args) => cmd::run::run(&args, out),
            Command::Inspect(args) => cmd::inspect::run(&args, out),
            Command::Verify(args) => cmd::verify::run(&args, out),
            Command::SelfTest(args) => cmd::self_test::run(&args, out),
            Command::Completions(args) => cmd::completions::run(&args, Cli::command(), out),
        }
    }
}

fn main() -> ExitCode {
    if let Some(done) = cmd::self_test::child_main() {
        return finish(done);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let mut out = Out::new();
    let done = cli.command.run(&mut out);
    // What was found before an error is shown before the error.
    let flushed = out.flush();
    finish(done.and_then(|exit| flushed.map(|()| exit)))
}

fn finish(done: Result<Exit, Error>) -> ExitCode {
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&error);
            error.exit().into()
        }
    }
}

/// Shows help as clap has it, and an error of usage as one line, like every other error.
fn usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // A reader of the help text that has gone away has read enough.
        let _ = error.print();
        return Exit::Ok;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Usage;
    }
    let text = error.render().to_string();
    let what: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let what = what.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    complain(format_args!("{what} (see 'ckpt --help')"));
    Exit::Usage
}
