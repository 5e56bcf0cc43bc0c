// SPDX-License-Identifier: GPL-2.0

//! `ckpt checkpoint`: saves a running process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Seek};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ckpt_image::uapi;
use serde::Serialize;

use crate::error::{Doing, Error, Exit};
use crate::image::{processes, LOG};
use crate::input::escape;
use crate::output::{json_to_stderr, Out};
use crate::progress::{Moves, Progress};
use crate::refusal::{CallLog, Refusal};
use crate::source::{self, Counts};
use crate::supervise::{Child, Supervisor};
use crate::{sys, text};

/// Save a running process to an image, with its threads and descendants
///
/// They are stopped for as long as that takes, and go on then, unless --kill or --stop is given.
/// They notice nothing.
// Each is an option of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Process to save
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,

    /// Kill the process, and all that are saved with it, when the image is complete
    #[arg(short, long)]
    kill: bool,

    /// Leave the process, and all that are saved with it, stopped when the image is complete
    #[arg(short, long, conflicts_with = "kill")]
    stop: bool,

    /// Save open files that no image can have, as sockets, as something that 'ckpt restart
    /// --inherit' replaces
    #[arg(short, long, conflicts_with = "container")]
    inherit: bool,

    /// Refuse if anything is shared with a process that is not saved, or would be left to whoever
    /// restarts
    #[arg(short, long)]
    container: bool,

    /// File to write the image to, in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Have the image on the disk before the command ends
    #[arg(long, requires = "output")]
    sync: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    fn flags(&self) -> u64 {
        let mut flags = LOG;
        if self.kill {
            flags |= u64::from(uapi::CHECKPOINT_KILL);
        }
        if self.stop {
            flags |= u64::from(uapi::CHECKPOINT_STOP);
        }
        if self.inherit {
            flags |= u64::from(uapi::CHECKPOINT_INHERIT);
        }
        if self.container {
            flags |= u64::from(uapi::CHECKPOINT_CONTAINER);
        }
        flags
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    ok: bool,
    pid: i32,
    /// What checkpoint(2) returned; null if it failed.
    id: Option<i32>,
    /// null if the image goes to standard output.
    image: Option<&'a str>,
    /// null where they cannot be counted: in a pipe.
    bytes: Option<u64>,
    /// How long the call took.
    seconds: Option<f64>,
    tasks: Option<u64>,
    processes: Option<u64>,
    mappings: Option<u64>,
    fds: Option<u64>,
    pages: Option<u64>,
    error: Option<&'a Refusal>,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let target = Target::open(args.output.as_deref())?;
    let log = CallLog::new()?;
    let supervisor = Supervisor::new()?;
    let caller = sys::start_checkpoint(
        args.pid,
        target.file.as_fd(),
        args.flags(),
        log.file().as_fd(),
    )
    .doing(|| "cannot start a process".into())?;

    // Contents of pipes and of shared memory come on top.
    let progress = Progress::new(caller.pid, Moves::Out, resident_of_tree(args.pid));
    let said = supervisor.report(&caller, false, progress.as_ref());
    drop(progress);
    let ended = supervisor.wait(Child {
        pid: caller.pid,
        apart: false,
    })?;

    let (id, took) = match said? {
        Some(report) => match report.result {
            Ok(id) => (id, report.took),
            Err(errno) => return failed(args, out, &Refusal::new(errno, &log)),
        },
        // A signal has ended the call, and the command with it.
        None => return Ok(ended),
    };
    let complete = target.complete(args.sync)?;
    succeeded(args, out, id, took, &complete)?;
    Ok(Exit::Ok)
}

fn failed(args: &Args, out: &mut Out, refusal: &Refusal) -> Result<Exit, Error> {
    let report = Report {
        schema: "ckpt.checkpoint.v1",
        ok: false,
        pid: args.pid,
        id: None,
        image: None,
        bytes: None,
        seconds: None,
        tasks: None,
        processes: None,
        mappings: None,
        fds: None,
        pages: None,
        error: Some(refusal),
    };
    let to_stderr = args.json && args.output.is_none();
    if to_stderr {
        json_to_stderr(&report);
    } else {
        if args.json {
            out.json(&report)?;
        }
        refusal.complain(format_args!("cannot checkpoint process {}", args.pid));
    }
    Ok(refusal.exit(&[]))
}

fn succeeded(
    args: &Args,
    out: &mut Out,
    id: i32,
    took: Duration,
    image: &Complete,
) -> Result<(), Error> {
    if args.json {
        let report = Report {
            schema: "ckpt.checkpoint.v1",
            ok: true,
            pid: args.pid,
            id: Some(id),
            image: image.name.as_deref(),
            bytes: image.bytes,
            seconds: Some(took.as_secs_f64()),
            tasks: image.counts.map(|counts| counts.tasks),
            processes: image.counts.map(|counts| counts.processes),
            mappings: image.counts.map(|counts| counts.mappings),
            fds: image.counts.map(|counts| counts.fds),
            pages: image.counts.map(|counts| counts.pages),
            error: None,
        };
        if image.name.is_none() {
            json_to_stderr(&report);
            return Ok(());
        }
        return out.json(&report);
    }
    let Some(name) = &image.name else {
        return Ok(());
    };
    let mut facts = vec![format!("id {id}"), format!("process {}", args.pid)];
    facts.extend(image.bytes.map(|bytes| text::count(bytes, "byte")));
    if let Some(counts) = image.counts {
        if counts.tasks > 1 {
            let tasks = text::count(counts.tasks, "task");
            facts.push(format!("{tasks} in {}", processes(counts.processes)));
        }
        facts.push(text::count(counts.mappings, "mapping"));
        facts.push(text::count(counts.fds, "descriptor"));
        facts.push(text::count(counts.pages, "page"));
    }
    facts.push(format!("{:.6} s", took.as_secs_f64()));
    out.line(format_args!("{name}: {}", facts.join(", ")))
}

/// Where the image goes.
struct Target {
    file: File,
    /// `None` for standard output.
    name: Option<String>,
    /// Where in the file the image starts, if it is a regular file.
    start: Option<u64>,
    temporary: Option<Temporary>,
}

/// An image that has its place and its name only when it is complete.
struct Temporary {
    path: PathBuf,
    becomes: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // There is nobody left to tell, and the name says what it is.
        let _ = fs::remove_file(&self.path);
    }
}

/// An image that is where it belongs.
struct Complete {
    name: Option<String>,
    bytes: Option<u64>,
    counts: Option<Counts>,
}

impl Target {
    fn open(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            None => Self::stdout(),
            Some(path) if path == Path::new("-") => Self::stdout(),
            Some(path) => Self::path(path),
        }
    }

    fn stdout() -> Result<Self, Error> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(Error::Usage(
                "standard output is a terminal: name a file with --output".into(),
            ));
        }
        let file = stdout.as_fd().try_clone_to_owned().map(File::from);
        let mut file = file.doing(|| "standard output".into())?;
        let regular = file.metadata().is_ok_and(|meta| meta.is_file());
        Ok(Target {
            start: file.stream_position().ok().filter(|_| regular),
            file,
            name: None,
            temporary: None,
        })
    }

    fn path(path: &Path) -> Result<Self, Error> {
        let name = escape(path);
        // A device or a named pipe is written to; all else is replaced when the image is there.
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            let file = OpenOptions::new().write(true).open(path);
            return Ok(Target {
                file: file.doing(|| name.clone())?,
                name: Some(name),
                start: None,
                temporary: None,
            });
        }
        let becomes = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let mut temporary = becomes.clone().into_os_string();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary);
        Ok(Target {
            file: file.doing(|| name.clone())?,
            name: Some(name),
            start: Some(0),
            temporary: Some(Temporary {
                path: temporary,
                becomes,
            }),
        })
    }

    /// Bytes of the image so far, if it goes to a regular file.
    fn written(&self) -> Option<u64> {
        let len = self.file.metadata().ok()?.len();
        Some(len.saturating_sub(self.start?))
    }

    /// Gives the image its name.
    ///
    /// The process may be dead by now, so from here on the image is never removed.
    fn complete(mut self, sync: bool) -> Result<Complete, Error> {
        if let Some(temporary) = self.temporary.take() {
            temporary.rename(&self.file, sync)?;
        }
        let bytes = self.written();
        Ok(Complete {
            bytes,
            counts: self.start.and_then(|start| self.count(start)),
            name: self.name,
        })
    }

    fn count(&self, start: u64) -> Option<Counts> {
        source::count(&self.file, start).or_else(|| {
            // Standard output is not open for reading as a rule.
            let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            source::count(&File::open(path).ok()?, start)
        })
    }
}

impl Temporary {
    fn rename(self, file: &File, sync: bool) -> Result<(), Error> {
        let synced = if sync { file.sync_all() } else { Ok(()) };
        let renamed = fs::rename(&self.path, &self.becomes);
        let path = escape(&self.path);
        let becomes = escape(&self.becomes);
        let folder = self.becomes.parent().map(Path::to_owned);
        // It is complete, so it stays, whatever its name.
        std::mem::forget(self);
        renamed.doing(|| format!("the image is complete, but stays in {path}: {becomes}"))?;
        synced.doing(|| format!("{becomes}: cannot be sure that it is on the disk"))?;
        if let (true, Some(folder)) = (sync, folder) {
            let here = folder.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { &folder })
                .and_then(|folder| folder.sync_all())
                .doing(|| format!("{becomes}: cannot be sure that its name is on the disk"))?;
        }
        Ok(())
    }
}

/// Bytes of memory that a process and its descendants have now, as far as /proc tells.
fn resident_of_tree(root: i32) -> Option<u64> {
    let mut sum = resident(root)?;
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let threads = fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children"));
            for child in children.iter().flat_map(|text| text.split_whitespace()) {
                // One that has just gone has none.
                if let Some((pid, bytes)) = child
                    .parse()
                    .ok()
                    .and_then(|pid| Some((pid, resident(pid)?)))
                {
                    sum = sum.saturating_add(bytes);
                    parents.push(pid);
                }
            }
        }
    }
    Some(sum)
}

/// Bytes of memory that a process has now.
fn resident(pid: i32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(sys::page_size().ok()?.into())
}
