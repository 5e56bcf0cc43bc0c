// SPDX-License-Identifier: GPL-2.0

//! `ckpt run`: starts a program so that it can be moved later.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::error::{Doing, Error, Exit};
use crate::input::escape;
use crate::output::{json_to_stderr, Out};
use crate::supervise::{write_pidfile, Child, Supervisor};
use crate::sys;

/// Start a program so that it can be checkpointed and moved
///
/// The program gets a session of its own and none of the caller's descriptors but 0, 1 and 2. A
/// pipe or a socket as standard input is replaced by /dev/null. This command waits for the program,
/// passes on signals, and ends with its exit status.
// Each is an option of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the program in this session
    #[arg(short = 's', long, conflicts_with = "detach")]
    keep_session: bool,

    /// Leave the program its standard input, whatever it is
    #[arg(short = 'i', long)]
    keep_stdin: bool,

    /// Do not wait for the program
    #[arg(short, long)]
    detach: bool,

    /// File to write the pid to
    #[arg(short, long, value_name = "FILE")]
    pidfile: Option<PathBuf>,

    /// Print one JSON document: to standard error, unless --detach is given
    #[arg(long)]
    json: bool,

    /// Program to start, and its arguments
    #[arg(required = true, value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    pid: i32,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(Error::Usage("there is no program to start".into()));
    };
    let supervisor = Supervisor::new()?;
    let mut command = Command::new(program);
    command.args(arguments);
    if !args.keep_stdin && !stdin_can_be_moved()? {
        command.stdin(Stdio::null());
    }
    supervisor.isolate(&mut command, !args.keep_session);
    let child = command
        .spawn()
        .doing(|| format!("cannot start {}", escape(Path::new(program))))?;
    let child = Child {
        pid: sys::pid_of(&child),
        apart: !args.keep_session,
    };

    // The program goes on, whatever becomes of this command.
    if let Some(path) = &args.pidfile {
        write_pidfile(path, child.pid)?;
    }
    if args.json {
        let report = Report {
            schema: "ckpt.run.v1",
            ok: true,
            pid: child.pid,
        };
        if args.detach {
            out.json(&report)?;
        } else {
            json_to_stderr(&report);
        }
    }
    if args.detach {
        return Ok(Exit::Ok);
    }
    supervisor.wait(child)
}

/// Is standard input there on another machine, too, or at another time? A terminal is that of
/// whoever restarts the program.
fn stdin_can_be_moved() -> Result<bool, Error> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(true);
    }
    let kind = stdin
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).metadata())
        .doing(|| "standard input".into())?
        .file_type();
    Ok(!kind.is_fifo() && !kind.is_socket())
}
