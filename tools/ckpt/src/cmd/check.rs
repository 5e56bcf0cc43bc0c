// SPDX-License-Identifier: GPL-2.0

//! `ckpt check`: whether a process could be saved, and what stands against it.

use std::fs;

use ckpt_image::uapi;
use serde::Serialize;

use crate::error::{Error, Exit};
use crate::image::LOG;
use crate::output::Out;
use crate::refusal::{CallLog, Refusal};
use crate::{sys, text};

/// Tell whether processes could be saved now, and if not, every reason
///
/// Nothing is written. A process, its threads and its descendants stand still for as long as the
/// kernel looks at them, and go on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Processes to look at
    #[arg(value_name = "PID", required = true, value_parser = clap::value_parser!(i32).range(1..))]
    pids: Vec<i32>,

    /// Take no offence at open files that 'ckpt restart --inherit' can replace
    #[arg(short, long, conflicts_with = "container")]
    inherit: bool,

    /// Take offence at what is shared with a process that would not be saved
    #[arg(short, long)]
    container: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    /// Each of the processes could be saved.
    ok: bool,
    processes: Vec<Process>,
}

#[derive(Serialize)]
struct Process {
    pid: i32,
    /// null if there is no such process.
    name: Option<String>,
    ok: bool,
    /// What the kernel has said about it, without the name of the process.
    reasons: Vec<String>,
    error: Option<Refusal>,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let mut flags = LOG | u64::from(uapi::CHECKPOINT_CHECK);
    if args.inherit {
        flags |= u64::from(uapi::CHECKPOINT_INHERIT);
    }
    if args.container {
        flags |= u64::from(uapi::CHECKPOINT_CONTAINER);
    }
    let mut exit = Exit::Ok;
    let mut processes = Vec::with_capacity(args.pids.len());
    for &pid in &args.pids {
        let process = look(pid, flags)?;
        if let Some(refusal) = &process.error {
            exit = exit.max(refusal.exit(&[libc::EOPNOTSUPP]));
            if exit == Exit::NoCalls {
                refusal.complain(format_args!("cannot check process {pid}"));
                return Ok(exit);
            }
        }
        processes.push(process);
    }

    if args.json {
        let report = Report {
            schema: "ckpt.check.v1",
            ok: exit == Exit::Ok,
            processes,
        };
        out.json(&report)?;
    } else {
        table(&processes, out)?;
    }
    Ok(exit)
}

fn look(pid: i32, flags: u64) -> Result<Process, Error> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok();
    let name = name.map(|name| text::escape(name.strip_suffix(b"\n").unwrap_or(&name)));
    let log = CallLog::new()?;
    let error = sys::check(pid, flags, log.file())
        .err()
        .map(|error| Refusal::new(error.raw_os_error().unwrap_or(0), &log));
    let reasons = error.iter().flat_map(Refusal::log).map(|line| {
        let about = format!("task {pid} ({}): ", name.as_deref().unwrap_or_default());
        let line = line.strip_prefix("checkpoint: ").unwrap_or(line);
        line.strip_prefix(&about).unwrap_or(line).to_owned()
    });
    Ok(Process {
        pid,
        ok: error.is_none(),
        reasons: reasons.collect(),
        name,
        error,
    })
}

/// A line for each process that could be saved, and for each reason of one that could not.
fn table(processes: &[Process], out: &mut Out) -> Result<(), Error> {
    let name = |process: &Process| process.name.clone().unwrap_or_else(|| "-".into());
    let names = processes
        .iter()
        .map(|process| name(process).chars().count());
    let width = names.chain(["NAME".len()]).max().unwrap_or_default();

    out.line(format_args!("{:>8}  {:<width$}  SAVED", "PID", "NAME"))?;
    for process in processes {
        let mut left = format!("{:>8}  {:<width$}", process.pid, name(process));
        let mut reasons = process.reasons.iter();
        let first = match (&process.error, reasons.next()) {
            (None, _) => "yes".to_owned(),
            (Some(_), Some(reason)) => format!("no   {reason}"),
            (Some(refusal), None) => format!("no   {refusal}"),
        };
        out.line(format_args!("{left}  {first}"))?;
        left = " ".repeat(left.chars().count());
        for reason in reasons {
            out.line(format_args!("{left}       {reason}"))?;
        }
    }
    Ok(())
}
