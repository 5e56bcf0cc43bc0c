// SPDX-License-Identifier: GPL-2.0

//! `ckpt self-test`: does this kernel have the calls, and do they work?
//!
//! The calls are made by children, which are ckpt itself: a child that hangs or is lost takes
//! nothing with it, and has one thread, as restart(2) wants it. A child that was restored looks
//! itself whether it is as it was.

use std::env;
use std::fmt::Display;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ckpt_image::{uapi, ImageBuilder};
use serde::Serialize;

use crate::error::{Doing, Error, Exit, Plain};
use crate::image::{self, Running, Summary};
use crate::input::Input;
use crate::output::{complain, Out};
use crate::refusal::{CallLog, Refusal};
use crate::sys;
use crate::text;

/// The name that the checkpointed child has, and the restarted one must get.
const COMM: &str = "ckpt-self-test";

/// A child that takes longer than this has got stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the child that is checkpointed from outside looks whether it has been restored.
const LOOK: Duration = Duration::from_millis(10);

/// First argument of a child. Not for clap, which would offer it in help and completions.
const CHILD: &str = "--self-test-child";

/// Exit status of a child that was restored and has found all as it was.
const INTACT: u8 = 42;

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
        self.check("arguments-refused", arguments())?;

        let (detail, saved) = split(save_itself(running, sysctl));
        self.check("checkpoint-to-pipe", detail)?;
        let Some((first, image)) = saved else {
            return Ok(());
        };
        let mut file = sys::memfd(c"ckpt-self-test").doing(cannot_use_memfd)?;
        let (detail, saved) = split(save_other(running, &mut file));
        self.check("checkpoint-to-file", detail)?;
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

        self.check("restart-from-pipe", from_pipe(&image, first))?;
        self.check("restart-from-file", from_file(&mut file, second))?;
        self.check("minimal-image", minimal(&image, running))?;
        self.check("other-id-refused", refused(&image, second, libc::EINVAL))?;
        self.check("damage-refused", damaged(image.clone()))?;
        self.check("truncation-refused", truncated(&image))
    }
}

/// Takes what a check found apart from the line to show.
fn split<T>(result: Result<(String, T), Failure>) -> (Result<String, Failure>, Option<T>) {
    match result {
        Ok((detail, found)) => (Ok(detail), Some(found)),
        Err(failure) => (Err(failure), None),
    }
}

fn cannot_use_memfd() -> String {
    "cannot use a memfd".into()
}

/// Arguments that both calls must refuse.
fn arguments() -> Result<String, Failure> {
    let file = sys::memfd(c"ckpt-self-test").doing(cannot_use_memfd)?;
    let fd = file.as_raw_fd();
    let unknown = u64::MAX;
    // There is no process of this pid: no kernel lets pids get that far.
    let nobody = i32::MAX;
    for (call, answer, errno) in [
        (
            "checkpoint of fd -1",
            sys::checkpoint_badly(0, -1, 0),
            libc::EBADF,
        ),
        ("restart of fd -1", sys::restart_badly(-1, 0), libc::EBADF),
        (
            "checkpoint with unknown flags",
            sys::checkpoint_badly(0, fd, unknown),
            libc::EINVAL,
        ),
        (
            "restart with unknown flags",
            sys::restart_badly(fd, unknown),
            libc::EINVAL,
        ),
        (
            "checkpoint of nobody",
            sys::checkpoint_badly(nobody, fd, 0),
            libc::ESRCH,
        ),
        ("restart of nothing", sys::restart_badly(fd, 0), libc::EPIPE),
    ] {
        let found = match answer {
            Ok(_) => 0,
            Err(error) => error.raw_os_error().unwrap_or(-1),
        };
        if found != errno {
            let [found, expected] =
                [found, errno].map(|errno| Plain(&io::Error::from_raw_os_error(errno)).to_string());
            return Err(Failure::check(format_args!(
                "{call}: {expected} expected, but: {found}"
            )));
        }
    }
    Ok("bad descriptors, flags and pids".into())
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
    let run = match args.as_slice() {
        [CHILD, "checkpoint", _] => child_checkpoint,
        [CHILD, "wait", _] => child_wait,
        [CHILD, "restart", crid] => {
            let crid = crid.parse().unwrap_or(-1);
            return Some(child_restart(crid));
        }
        _ => return None,
    };
    // A descriptor that the caller of ckpt has lost is no part of this test.
    let closed = sys::close_inherited().doing(|| "cannot close descriptors".into());
    Some(closed.and_then(|()| run()))
}

/// Does `work`, which takes as long as process `pid` does, and kills that when it takes too long.
fn watched<T>(pid: i32, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let (done, wait) = mpsc::channel::<()>();
    let (result, late) = thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let late = wait.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = sys::kill(pid, libc::SIGKILL);
            }
            late
        });
        let result = work();
        drop(done);
        (result, watch.join().unwrap_or(false))
    });
    if late {
        return Err(Error::Child(format!(
            "a process has not come to an end within {} seconds",
            PATIENCE.as_secs()
        )));
    }
    result
}

/// Reads what a child says, and waits for it.
fn listen(mut child: Child, mut from: impl Read) -> Result<(String, ExitStatus), Error> {
    watched(sys::pid_of(&child), || {
        let mut report = Vec::new();
        let read = from.read_to_end(&mut report);
        let status = child.wait().doing(|| "cannot wait for a child".into())?;
        read.doing(|| "cannot read what a child says".into())?;
        Ok((String::from_utf8_lossy(&report).into_owned(), status))
    })
}

/// The answer on the last line of a child's report.
fn answer(report: &str, status: ExitStatus) -> Result<Answer, Error> {
    Answer::parse(report).ok_or_else(|| {
        let report = text::escape(report.trim_end().as_bytes());
        Error::Child(format!(
            "the process that makes the call ended with {status} {report}"
        ))
    })
}

/// A child checkpoints itself to a pipe; gives the line to show, the id and the image.
fn save_itself(
    running: &Running,
    sysctl: Option<i64>,
) -> Result<(String, (i32, Vec<u8>)), Failure> {
    let mut child = child("checkpoint", 0, Stdio::null(), Stdio::piped())?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Failure::check("a child has no standard output"));
    };
    let mut image = Vec::new();
    let (report, status) = thread::scope(|scope| {
        // The child writes the image first; whoever is stuck with it gets killed below.
        scope.spawn(|| stdout.read_to_end(&mut image));
        listen(child, stderr)
    })?;
    let answer = answer(&report, status)?;
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
    let mut file = sys::memfd(c"ckpt-self-test").doing(cannot_use_memfd)?;
    file.write_all(&image).doing(cannot_use_memfd)?;
    let detail = check_image(&mut file, running, id)?;
    Ok((detail, (id, image)))
}

/// A child is checkpointed from outside, to a file, and killed by that; gives the line to show, and
/// the id.
fn save_other(running: &Running, file: &mut File) -> Result<(String, i32), Failure> {
    let mut child = child("wait", 0, Stdio::null(), Stdio::null())?;
    let Some(stderr) = child.stderr.take() else {
        return Err(Failure::check("a child has no standard error"));
    };
    let pid = sys::pid_of(&child);
    let mut stderr = BufReader::new(stderr);
    let mut ready = String::new();
    watched(pid, || {
        let read = stderr.read_line(&mut ready);
        read.doing(|| "cannot read what a child says".into())
    })?;

    let log = CallLog::new()?;
    let flags = image::LOG | u64::from(uapi::CHECKPOINT_KILL);
    let caller = sys::start_checkpoint(pid, file.as_fd(), flags, log.file().as_fd())
        .doing(|| "cannot start a child".into())?;
    let said = watched(caller.pid, || {
        let report = sys::Report::read(&caller.report);
        sys::reap(caller.pid).doing(|| "cannot wait for a child".into())?;
        report.doing(|| "cannot read what a child says".into())
    });
    let result = said.map(|report| report.map(|report| report.result));
    if !matches!(result, Ok(Some(Ok(_)))) {
        let _ = child.kill();
    }
    let (report, status) = listen(child, stderr)?;
    let id = match result? {
        Some(Ok(id)) => id,
        Some(Err(errno)) => {
            return Err(Failure {
                exit: Exit::System,
                detail: format!("checkpoint: {}", Refusal::new(errno, &log)),
            })
        }
        None => return Err(Failure::check("the process that makes the call was killed")),
    };
    if status.signal() != Some(libc::SIGKILL) {
        return Err(Failure::check(format_args!(
            "the process was to be killed, but: {status} {}",
            text::escape(report.as_bytes())
        )));
    }
    Ok((check_image(file, running, id)?, id))
}

/// Makes every check of the kernel's on the image in `file`, which has just been written; gives the
/// line to show.
fn check_image(file: &mut File, running: &Running, id: i32) -> Result<String, Failure> {
    let end = file.stream_position().doing(cannot_use_memfd)?;
    file.rewind().doing(cannot_use_memfd)?;
    let copy = file.try_clone().doing(cannot_use_memfd)?;
    let mut input = Input::new("the image".into(), copy);
    let image: Summary = image::verify(&mut input, Some(running)).map_err(Failure::check)?;
    if id <= 0 || image.crid != id {
        return Err(Failure::check(format_args!(
            "checkpoint returned {id}, the image has id {}",
            image.crid
        )));
    }
    if image.bytes != end {
        return Err(Failure::check(format_args!(
            "{end} bytes were written, the image has {}",
            image.bytes
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

/// A child restarts from `stdin`; gives its report.
fn load(crid: i32, stdin: Stdio, feed: &[u8]) -> Result<(String, ExitStatus), Error> {
    let mut child = child("restart", crid, stdin, Stdio::null())?;
    let (pipe, stderr) = (child.stdin.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| {
            // A child that refuses the image goes away before it has read all of it.
            pipe.map(|mut pipe| pipe.write_all(feed))
        });
        match stderr {
            Some(stderr) => listen(child, stderr),
            None => Err(Error::Child("a child has no standard error".into())),
        }
    })
}

/// The process must have been restored, and have found all as it was.
fn restored((report, status): (String, ExitStatus)) -> Result<String, Failure> {
    if status.code() == Some(INTACT.into()) {
        return Ok("memory, pipe, name and the call are as they were".into());
    }
    Err(Failure::check(match Answer::parse(&report) {
        Some(answer) if answer.errno != 0 => format!("restart: {}", answer.why()),
        _ => format!(
            "the restored process ended with {status} {}",
            text::escape(report.trim_end().as_bytes())
        ),
    }))
}

fn from_pipe(image: &[u8], crid: i32) -> Result<String, Failure> {
    restored(load(crid, Stdio::piped(), image)?)
}

/// Restarts from a file that goes on behind the image.
fn from_file(file: &mut File, crid: i32) -> Result<String, Failure> {
    let end = file.seek(SeekFrom::End(0)).doing(cannot_use_memfd)?;
    file.write_all(&[b'x'; 64]).doing(cannot_use_memfd)?;
    file.rewind().doing(cannot_use_memfd)?;
    let stdin = file.try_clone().doing(cannot_use_memfd)?;
    let text = restored(load(crid, stdin.into(), &[])?)?;
    let at = file.stream_position().doing(cannot_use_memfd)?;
    if at == end {
        Ok(text)
    } else {
        Err(Failure::check(format_args!(
            "restart read {at} bytes of an image of {end}"
        )))
    }
}

/// An image of the RFC's kind, without a process, gives the caller its name and no more.
fn minimal(image: &[u8], running: &Running) -> Result<String, Failure> {
    let whole = ckpt_image::verify(image, image::expect(Some(running))).map_err(Failure::check)?;
    let mut builder = ImageBuilder::new();
    builder.head = whole.head;
    if let Some(task) = whole.tasks.first() {
        builder.head.nr_tasks = 1;
        if let Some(first) = builder.tasks.first_mut() {
            first.task = task.task;
        }
    }
    let image = builder.comm(format!("{COMM}\0\0").as_bytes()).build();
    let (report, status) = load(0, Stdio::piped(), &image)?;
    let answer = answer(&report, status)?;
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

/// The image must be refused, and the child be as before.
fn refused(image: &[u8], crid: i32, errno: i32) -> Result<String, Failure> {
    let (report, status) = load(crid, Stdio::piped(), image)?;
    let answer = answer(&report, status)?;
    if answer.errno == 0 {
        return Err(Failure::check("restart took the image"));
    }
    if answer.word == COMM {
        return Err(Failure::check(
            "restart refused the image, but renamed the task",
        ));
    }
    if answer.errno != errno || answer.log.is_empty() {
        return Err(Failure::check(format_args!(
            "{} and a reason expected, but: {}",
            Plain(&io::Error::from_raw_os_error(errno)),
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
    refused(&image, 0, libc::EINVAL)
}

/// An image without its end must be refused.
fn truncated(image: &[u8]) -> Result<String, Failure> {
    let part = image.len() / 2;
    refused(image.get(..part).unwrap_or(image), 0, libc::EPIPE)
}

/// What a process has before it is checkpointed, and must have afterwards.
struct State {
    number: u64,
    heap: Vec<u64>,
    pipe: (File, File),
}

impl State {
    /// What goes through the pipe.
    const SENT: [u8; 8] = *b"in a pip";

    fn new() -> io::Result<Self> {
        fs::write("/proc/self/comm", COMM)?;
        let (read, mut write) = sys::pipe()?;
        write.write_all(&Self::SENT)?;
        // The compiler must not know what is in memory.
        Ok(State {
            number: black_box(0x0123_4567_89ab_cdef),
            heap: black_box((0..100_000).collect()),
            pipe: (read, write),
        })
    }

    /// Looks whether all is as [`Self::new`] has left it.
    fn check(mut self) -> Result<Exit, Error> {
        let comm = fs::read("/proc/self/comm").doing(|| "cannot read my name".into())?;
        let mut got = [0; Self::SENT.len()];
        let (read, write) = &mut self.pipe;
        read.read_exact(&mut got)
            .doing(|| "cannot read from my pipe".into())?;
        write
            .write_all(&got)
            .doing(|| "cannot write to my pipe".into())?;
        let wrong = [
            (comm.trim_ascii_end() != COMM.as_bytes(), "name"),
            (got != Self::SENT, "pipe"),
            (black_box(self.number) != 0x0123_4567_89ab_cdef, "variable"),
            (!black_box(self.heap).into_iter().eq(0..100_000), "heap"),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            Some((_, what)) => Err(Error::Child(format!("my {what} is not what it was"))),
            None => Ok(Exit::Passed(INTACT)),
        }
    }
}

/// The child that checkpoints itself: the image goes to standard output, the log and the answer to
/// standard error. Restored, it goes on here, too.
fn child_checkpoint() -> Result<Exit, Error> {
    let state = State::new().doing(|| "cannot prepare".into())?;
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let done = sys::checkpoint(0, stdout.as_fd(), image::LOG, stderr.as_fd());
    let line = match done {
        Ok(0) => return state.check(),
        Ok(id) => format!("0 {id}\n"),
        Err(error) => format!("{} -\n", error.raw_os_error().unwrap_or(-1)),
    };
    let _ = (&stderr).write_all(line.as_bytes());
    Ok(Exit::Ok)
}

/// The child that is checkpointed from outside while it sleeps.
fn child_wait() -> Result<Exit, Error> {
    let state = State::new().doing(|| "cannot prepare".into())?;
    let _ = io::stderr().write_all(b"ready\n");
    let pid = process::id();
    let looks = PATIENCE.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        thread::sleep(LOOK);
        // A restored process has the pid of the one that called restart(2).
        if process::id() != pid {
            return state.check();
        }
    }
    Err(Error::Child("nobody has checkpointed me".into()))
}

/// The child that restarts from standard input: the log and the answer go to standard error.
fn child_restart(crid: i32) -> Result<Exit, Error> {
    let (stdin, stderr) = (io::stdin(), io::stderr());
    let done = sys::restart(crid, stdin.as_fd(), image::LOG, stderr.as_fd());
    let errno = match done {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    };
    let comm = fs::read("/proc/self/comm").doing(|| "cannot read my name".into())?;
    let comm = text::escape(comm.trim_ascii_end());
    let _ = (&stderr).write_all(format!("{errno} {comm}\n").as_bytes());
    Ok(Exit::Ok)
}
