// SPDX-License-Identifier: GPL-2.0

//! `ckpt self-test`: does this kernel have the calls, and do they work?
//!
//! The calls are made by children, which are ckpt itself: a child that hangs or is lost takes
//! nothing with it, and has one thread, as restart(2) wants it.

use std::env;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde::Serialize;

use crate::error::{Doing, Error, Exit, Plain};
use crate::image::{self, Running, Summary};
use crate::input::Input;
use crate::output::{complain, Out};
use crate::sys;
use crate::text;

/// The name that the checkpointed child has, and the restarted one must get.
const COMM: &str = "ckpt-self-test";

/// A child that takes longer than this has got stuck.
const PATIENCE_SECONDS: u32 = 60;

/// First argument of a child. Not for clap, which would offer it in help and completions.
const CHILD: &str = "--self-test-child";

const SYSCTL: &str = "/proc/sys/kernel/checkpoint_unprivileged";

/// Try out checkpoint(2) and restart(2) on the running kernel
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    kernel: Kernel,
    /// `kernel.checkpoint_unprivileged`, null if there is no such sysctl.
    checkpoint_unprivileged: Option<i64>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Kernel {
    sysname: String,
    release: String,
    version: String,
    machine: String,
    page_size: u32,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Why a check failed, and what that makes the exit code.
struct Failure {
    exit: Exit,
    detail: String,
}

impl Failure {
    fn check(detail: impl Display) -> Self {
        Failure {
            exit: Exit::Refused,
            detail: detail.to_string(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            exit: error.exit(),
            detail: error.to_string(),
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let running = Running::find()?;
    let mut test = Test {
        lines: !args.json,
        out,
        exit: Exit::Ok,
        checks: Vec::new(),
    };
    let kernel = Kernel {
        sysname: text::escape(&running.uname.sysname),
        release: text::escape(&running.uname.release),
        version: text::escape(&running.uname.version),
        machine: text::escape(&running.uname.machine),
        page_size: running.page_size,
    };
    let sysctl = sysctl();
    test.show(format_args!(
        "kernel: {} {} {}, {}, pages of {} bytes",
        kernel.sysname, kernel.release, kernel.machine, kernel.version, kernel.page_size
    ))?;
    test.show(match sysctl {
        Some(value) => format!("kernel.checkpoint_unprivileged: {value}"),
        None => "kernel.checkpoint_unprivileged: there is no such sysctl".into(),
    })?;

    test.check("checkpoint-present", present(sys::NR_CHECKPOINT))?;
    test.check("restart-present", present(sys::NR_RESTART))?;
    if test.exit == Exit::Ok {
        test.calls(&running, sysctl)?;
    }

    let Test { exit, checks, .. } = test;
    let failed = checks.iter().filter(|check| !check.ok).count() as u64;
    if args.json {
        out.json(&Report {
            schema: "ckpt.self-test.v1",
            ok: exit == Exit::Ok,
            kernel,
            checkpoint_unprivileged: sysctl,
            checks,
        })?;
    } else if failed == 0 {
        out.line(format_args!(
            "self-test: {} passed",
            text::count(checks.len() as u64, "check")
        ))?;
    }
    out.flush()?;
    if exit == Exit::NoCalls {
        complain("the running kernel lacks checkpoint(2) and restart(2)");
    } else if failed > 0 {
        complain(format_args!(
            "self-test: {} failed",
            text::count(failed, "check")
        ));
    }
    Ok(exit)
}

fn sysctl() -> Option<i64> {
    fs::read_to_string(SYSCTL).ok()?.trim().parse().ok()
}

/// Is call number `nr` there?
fn present(nr: libc::c_long) -> Result<String, Failure> {
    let error = sys::probe(nr);
    match error.raw_os_error() {
        Some(libc::EINVAL) => Ok(format!("system call {nr} is there")),
        Some(libc::ENOSYS) => Err(Failure {
            exit: Exit::NoCalls,
            detail: format!("there is no system call {nr}"),
        }),
        // A seccomp filter, as container engines set, or another kernel's call of that number.
        _ => Err(Failure {
            exit: Exit::NoCalls,
            detail: format!("system call {nr} is blocked or another: {}", Plain(&error)),
        }),
    }
}

struct Test<'a> {
    /// Print a line for each check as it ends.
    lines: bool,
    out: &'a mut Out,
    exit: Exit,
    checks: Vec<Check>,
}

impl Test<'_> {
    fn show(&mut self, line: impl Display) -> Result<(), Error> {
        if self.lines {
            self.out.line(line)?;
            // A check that hangs comes after the line of the one before it.
            self.out.flush()?;
        }
        Ok(())
    }

    fn check(&mut self, name: &'static str, result: Result<String, Failure>) -> Result<(), Error> {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(Failure { exit, detail }) => {
                self.exit = self.exit.max(exit);
                (false, detail)
            }
        };
        let word = if ok { "ok" } else { "FAILED" };
        self.show(format_args!("{word:<7} {name:<20} {detail}"))?;
        self.checks.push(Check { name, ok, detail });
        Ok(())
    }

    /// The checks that make the calls.
    fn calls(&mut self, running: &Running, sysctl: Option<i64>) -> Result<(), Error> {
        let (piped, saved) = match save(running, sysctl) {
            Ok((detail, id)) => (Ok(detail), Some(id)),
            Err(failure) => (Err(failure), None),
        };
        self.check("checkpoint-to-pipe", piped)?;
        let Some(first) = saved else {
            return Ok(());
        };

        let mut file = sys::memfd(c"ckpt-self-test").doing(|| "cannot make a memfd".into())?;
        let (stored, saved) = match save_to_file(running, sysctl, &mut file) {
            Ok((detail, id)) => (Ok(detail), Some(id)),
            Err(failure) => (Err(failure), None),
        };
        self.check("checkpoint-to-file", stored)?;
        let Some(second) = saved else {
            return Ok(());
        };

        self.check("ids-differ", {
            if first == second {
                Err(Failure::check(format_args!(
                    "two checkpoints both have id {first}"
                )))
            } else {
                Ok(format!("{first} and {second}"))
            }
        })?;
        self.check("restart-from-file", from_file(&mut file, second))?;

        let image = contents(&mut file)?;
        self.check("restart-from-pipe", from_pipe(&image, second))?;
        self.check("other-id-refused", refused(&image, first))?;
        self.check("damage-refused", damaged(image))
    }
}

/// What a child says on the last line of its report: the errno of the call or 0, and a word.
struct Answer {
    errno: i32,
    word: String,
    /// The kernel's lines before that.
    log: String,
}

impl Answer {
    fn parse(report: &str) -> Option<Self> {
        let report = report.trim_end();
        let (log, last) = report.rsplit_once('\n').unwrap_or(("", report));
        let (errno, word) = last.split_once(' ')?;
        Some(Answer {
            errno: errno.parse().ok()?,
            word: word.into(),
            log: text::escape(log.replace('\n', "; ").as_bytes()),
        })
    }

    /// The errno in words, and the kernel's reason.
    fn why(&self) -> String {
        let error = io::Error::from_raw_os_error(self.errno);
        if self.log.is_empty() {
            Plain(&error).to_string()
        } else {
            format!("{}: {}", Plain(&error), self.log)
        }
    }
}

/// Starts ckpt again as a child of the self-test.
fn child(role: &str, crid: i32, stdin: Stdio, stdout: Stdio) -> Result<Child, Error> {
    Command::new("/proc/self/exe")
        .args([CHILD, role, &crid.to_string()])
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| "cannot start a child".into())
}

/// Does what a child has to do, if this is one.
pub(crate) fn child_main() -> Option<Result<Exit, Error>> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let args: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap_or("")).collect();
    match args.as_slice() {
        [CHILD, "checkpoint", _] => Some(child_checkpoint()),
        [CHILD, "restart", crid] => Some(child_restart(crid.parse().unwrap_or(-1))),
        _ => None,
    }
}

/// Waits for a child; its report is what it wrote to `from`.
fn wait(mut child: Child, from: impl Read) -> Result<Answer, Error> {
    let report = io::read_to_string(from);
    let status = child.wait().doing(|| "cannot wait for a child".into())?;
    let report = report.doing(|| "cannot read what a child says".into())?;
    if status.signal() == Some(libc::SIGALRM) {
        return Err(Error::Child(format!(
            "the call has not returned within {PATIENCE_SECONDS} seconds"
        )));
    }
    Answer::parse(&report).ok_or_else(|| {
        let report = text::escape(report.trim_end().as_bytes());
        Error::Child(format!(
            "the process that makes the call ended with {status} {report}"
        ))
    })
}

/// A child checkpoints itself to a pipe; gives the line to show, and the id.
fn save(running: &Running, sysctl: Option<i64>) -> Result<(String, i32), Failure> {
    let mut child = child("checkpoint", 0, Stdio::null(), Stdio::piped())?;
    let image = child.stdout.take().map(|pipe| read_image(pipe, running));
    finish_save(child, image, sysctl)
}

/// Likewise, to a file.
fn save_to_file(
    running: &Running,
    sysctl: Option<i64>,
    file: &mut File,
) -> Result<(String, i32), Failure> {
    let stdout = file
        .try_clone()
        .doing(|| "cannot duplicate a descriptor".into())?;
    let child = child("checkpoint", 0, Stdio::null(), stdout.into())?;
    let (text, id) = finish_save(child, None, sysctl)?;
    let end = file
        .stream_position()
        .doing(|| "cannot seek in a memfd".into())?;
    file.rewind().doing(|| "cannot seek in a memfd".into())?;
    let file = file
        .try_clone()
        .doing(|| "cannot duplicate a descriptor".into())?;
    let summary = read_image(file, running)?;
    if summary.bytes != end {
        return Err(Failure::check(format_args!(
            "the file position after checkpoint is {end}, the image has {} bytes",
            summary.bytes
        )));
    }
    Ok((same_id(&summary, &text)?, id))
}

/// Waits for the child that checkpoints, and holds its answer against the image, if that has been
/// read already.
fn finish_save(
    mut child: Child,
    image: Option<Result<Summary, Failure>>,
    sysctl: Option<i64>,
) -> Result<(String, i32), Failure> {
    let report = child.stderr.take();
    let answer = match report {
        Some(report) => wait(child, report)?,
        None => return Err(Failure::check("a child has no standard error")),
    };
    if answer.errno != 0 {
        let closed = answer.errno == libc::EPERM && sysctl == Some(0);
        return Err(Failure {
            exit: Exit::System,
            detail: if closed {
                "kernel.checkpoint_unprivileged is 0, and CAP_CHECKPOINT_RESTORE is missing".into()
            } else {
                format!("checkpoint: {}", answer.why())
            },
        });
    }
    let id = answer.word.parse().unwrap_or(0);
    if id <= 0 {
        return Err(Failure::check(format_args!(
            "checkpoint returned {}, not an id",
            answer.word
        )));
    }
    match image {
        Some(image) => Ok((same_id(&image?, &answer.word)?, id)),
        None => Ok((answer.word, id)),
    }
}

/// The line for an image that is as it should be.
fn same_id(image: &Summary, id: &str) -> Result<String, Failure> {
    if image.crid.to_string() != id {
        return Err(Failure::check(format_args!(
            "checkpoint returned {id}, the image has id {}",
            image.crid
        )));
    }
    if image.name() != COMM {
        return Err(Failure::check(format_args!(
            "the task was named {COMM}, the image has {}",
            image.name()
        )));
    }
    Ok(image.to_string())
}

/// Makes every check of the kernel's on an image that a child wrote.
fn read_image(
    from: impl Into<std::os::fd::OwnedFd>,
    running: &Running,
) -> Result<Summary, Failure> {
    let mut input = Input::new("the image".into(), File::from(from.into()));
    image::verify(&mut input, Some(running)).map_err(Failure::check)
}

/// A child restarts from `stdin`.
fn load(crid: i32, stdin: Stdio, feed: &[u8]) -> Result<Answer, Error> {
    let mut child = child("restart", crid, stdin, Stdio::piped())?;
    let (pipe, report, log) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| {
            // A child that refuses the image goes away before it has read all of it.
            pipe.map(|mut pipe| pipe.write_all(feed))
        });
        match (report, log) {
            (Some(report), Some(log)) => wait(child, log.chain(report)),
            _ => Err(Error::Child("a child has no standard output".into())),
        }
    })
}

/// Restarts from a file that goes on behind the image.
fn from_file(file: &mut File, crid: i32) -> Result<String, Failure> {
    let cannot = || "cannot use a memfd".to_owned();
    let end = file.seek(SeekFrom::End(0)).doing(cannot)?;
    file.write_all(&[b'x'; 64]).doing(cannot)?;
    file.rewind().doing(cannot)?;
    let stdin = file.try_clone().doing(cannot)?;
    let answer = load(crid, stdin.into(), &[])?;
    let at = file.stream_position().doing(cannot)?;
    file.set_len(end).doing(cannot)?;
    let text = restored(&answer)?;
    if at == end {
        Ok(text)
    } else {
        Err(Failure::check(format_args!(
            "restart read {at} bytes of an image of {end}"
        )))
    }
}

fn from_pipe(image: &[u8], crid: i32) -> Result<String, Failure> {
    restored(&load(crid, Stdio::piped(), image)?)
}

fn restored(answer: &Answer) -> Result<String, Failure> {
    if answer.errno != 0 {
        return Err(Failure::check(format_args!("restart: {}", answer.why())));
    }
    if answer.word != COMM {
        return Err(Failure::check(format_args!(
            "the restarted task is named {}, not {COMM}",
            answer.word
        )));
    }
    Ok(format!("the restarted task is named {COMM}"))
}

fn contents(file: &mut File) -> Result<Vec<u8>, Error> {
    let mut image = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut image))
        .doing(|| "cannot read a memfd".into())?;
    Ok(image)
}

/// The image must be refused, and the child be as before.
fn refused(image: &[u8], crid: i32) -> Result<String, Failure> {
    let answer = load(crid, Stdio::piped(), image)?;
    if answer.errno == 0 {
        return Err(Failure::check("restart took the image"));
    }
    if answer.word == COMM {
        return Err(Failure::check(
            "restart refused the image, but renamed the task",
        ));
    }
    if answer.errno != libc::EINVAL || answer.log.is_empty() {
        return Err(Failure::check(format_args!(
            "Invalid argument and a reason expected, but: {}",
            answer.why()
        )));
    }
    Ok(answer.log)
}

/// An image with one bit changed in the name of its task must be refused.
fn damaged(mut image: Vec<u8>) -> Result<String, Failure> {
    let at = image
        .windows(COMM.len())
        .position(|bytes| bytes == COMM.as_bytes());
    match at.and_then(|at| image.get_mut(at)) {
        Some(byte) => *byte ^= 1,
        None => return Err(Failure::check("the image lacks the task's name")),
    }
    refused(&image, 0)
}

/// The child that checkpoints itself: the image goes to standard output, the log and the answer to
/// standard error.
fn child_checkpoint() -> Result<Exit, Error> {
    sys::alarm(PATIENCE_SECONDS);
    fs::write("/proc/self/comm", COMM).doing(|| "cannot set my name".into())?;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let done = sys::checkpoint(0, stdout.as_fd(), image::LOG, stderr.as_fd());
    let line = match done {
        Ok(id) => format!("0 {id}\n"),
        Err(error) => format!("{} -\n", error.raw_os_error().unwrap_or(-1)),
    };
    let _ = (&stderr).write_all(line.as_bytes());
    Ok(Exit::Ok)
}

/// The child that restarts from standard input: the log goes to standard error, the answer to
/// standard output.
fn child_restart(crid: i32) -> Result<Exit, Error> {
    sys::alarm(PATIENCE_SECONDS);
    let (stdin, stderr) = (io::stdin(), io::stderr());
    let done = sys::restart(crid, stdin.as_fd(), image::LOG, stderr.as_fd());
    let errno = match done {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    };
    let comm = fs::read("/proc/self/comm").doing(|| "cannot read my name".into())?;
    let comm = text::escape(comm.trim_ascii_end());
    let line = format!("{errno} {comm}\n");
    let _ = io::stdout().write_all(line.as_bytes());
    Ok(Exit::Ok)
}
