// SPDX-License-Identifier: GPL-2.0

//! `ckpt restart`: brings a process back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ckpt_image::uapi;
use serde::Serialize;

use crate::error::{Doing, Error, Exit};
use crate::image::LOG;
use crate::output::{json_to_stderr, Out};
use crate::progress::{Moves, Progress};
use crate::refusal::{CallLog, Refusal};
use crate::source::{Head, Source, Task};
use crate::supervise::{killed, write_pidfile, Child, Supervisor};
use crate::sys::{self, Inherit, Pid, Restored};

/// What restart(2) answers to an image that makes no sense, or has no end.
const IMAGE_ERRORS: [i32; 2] = [libc::EINVAL, libc::EPIPE];

/// How long a process that was killed by its checkpoint may take to go away. Its parent has to
/// wait for it, too.
const GOING: Duration = Duration::from_secs(3);

/// How often to look whether it has gone.
const LOOK: Duration = Duration::from_millis(5);

/// Flag in /proc/PID/stat of a process that has begun to end.
const PF_EXITING: u32 = 4;

/// Bring a process back from an image, with its threads and descendants
///
/// They get the pids that they had. A process that was the init of a container is that of a new pid
/// namespace. This command waits for it, passes on signals, and ends with its exit status.
// Each is an option of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// File to read, - for standard input
    #[arg(value_name = "IMAGE", default_value = "-")]
    image: PathBuf,

    /// Do not wait for the process, which gets a session of its own
    #[arg(short, long)]
    detach: bool,

    /// File to write the pid to when the process is there
    #[arg(short, long, value_name = "FILE")]
    pidfile: Option<PathBuf>,

    /// Take pids that are free, not those that the process, its threads and descendants had
    #[arg(short, long)]
    new_pid: bool,

    /// Take files that are others than at the checkpoint, or have another size
    #[arg(long)]
    relaxed_files: bool,

    /// Have this descriptor FD take the place of the one in the image that has the number `IMAGE_FD`
    #[arg(short, long, value_name = "IMAGE_FD=FD", value_parser = inherited)]
    inherit: Vec<Inherit>,

    /// Take clocks that are behind those of the image, as after a reboot
    #[arg(long)]
    relaxed_clocks: bool,

    /// Make the process the leader of a session
    #[arg(long)]
    setsid: bool,

    /// Leave the process in this session, even if it led its own
    #[arg(long, conflicts_with_all = ["setsid", "detach"])]
    no_setsid: bool,

    /// Print one JSON document: to standard error, unless --detach is given
    #[arg(long)]
    json: bool,
}

impl Args {
    fn flags(&self) -> u64 {
        let asked = [
            (self.relaxed_files, uapi::RESTART_RELAXED_FILES),
            (self.relaxed_clocks, uapi::RESTART_RELAXED_CLOCKS),
            (self.new_pid, uapi::RESTART_NEW_PIDS),
            (!self.inherit.is_empty(), uapi::RESTART_INHERIT),
        ];
        let asked = asked.into_iter().filter(|(asked, _)| *asked);
        asked.fold(LOG, |flags, (_, flag)| flags | u64::from(flag))
    }
}

/// `5=3`: descriptor 3 of this process in place of 5 in the image.
fn inherited(text: &str) -> Result<Inherit, String> {
    let number = |text: &str| text.parse().ok().filter(|fd| (0..=i32::MAX).contains(fd));
    let both = text.split_once('=').and_then(|(image, own)| {
        Some(Inherit {
            number: number(image)?,
            fd: number(own)?,
        })
    });
    let both = both.ok_or("two numbers of descriptors are needed, as in 5=3")?;
    if !sys::is_open(both.fd) {
        return Err(format!("descriptor {} is not open", both.fd));
    }
    Ok(both)
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    ok: bool,
    /// The process that is restored; null if it is not.
    pid: Option<i32>,
    /// What checkpoint(2) returned.
    id: i32,
    /// The pid at the checkpoint.
    image_pid: i32,
    /// Tasks in the image.
    tasks: u32,
    /// Processes in the image; null where they cannot be counted: in a pipe.
    processes: Option<usize>,
    error: Option<&'a Refusal>,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<Exit, Error> {
    let mut source = Source::open(&args.image)?;
    let head = source.head()?;
    let pid = match head.pid {
        _ if args.new_pid => Pid::Any,
        // It was the init of a pid namespace, and all pids in the image are of that.
        1 => Pid::Init,
        pid => Pid::Chosen(pid),
    };
    if head.pid <= 0 && !args.new_pid {
        return Err(Error::Refused(format!(
            "{}: the image has no pid: --new-pid takes any",
            source.name()
        )));
    }
    if let (Pid::Chosen(pid), true) = (pid, head.kill) {
        if sys::exists(pid) {
            // It is going to be killed, but only when all of the image has been read.
            source.take_whole()?;
        }
        wait_for_pids(&source.tasks().unwrap_or_default());
    }
    let tasks = source.tasks();
    let first = tasks.as_ref().and_then(|tasks| tasks.first());
    let led_session = first.is_some_and(Task::led_session);
    let image = Image {
        head,
        processes: tasks.map(|tasks| tasks.iter().filter(|task| task.leads()).count()),
    };
    let own_session = args.detach || args.setsid || (!args.no_setsid && led_session);
    let stdin = source.is_stdin().then(other_stdin).transpose()?;
    let terminals = Terminals::find(stdin.as_ref());
    // Until here, a signal simply ends this command.
    let supervisor = Supervisor::new()?;
    // A terminal belongs to one session. The leader of a session can give it up.
    let leads = own_session && !args.detach && sys::leads_session();
    let terminal = leads.then(|| terminals.hand_over()).flatten();

    let log = CallLog::new()?;
    let restored = Restored {
        image: source.fd(),
        flags: args.flags(),
        log: log.file().as_fd(),
        pid,
        stdin: stdin.as_ref().map(File::as_fd),
        own_session,
        terminal: terminal.as_ref().map(File::as_fd),
        inherit: args.inherit.clone(),
    };
    let caller = restored.start().map_err(|error| cannot_start(error, pid))?;
    let child = Child {
        pid: caller.pid,
        apart: own_session,
    };
    let progress = Progress::new(caller.pid, Moves::In, source.size());
    let said = supervisor.report(&caller, child.apart, progress.as_ref());
    drop(progress);
    let said = said?;

    let failure = match said.map(|report| report.result) {
        Some(Err(errno)) => {
            let refusal = Refusal::new(errno, &log);
            Some((refusal.exit(&IMAGE_ERRORS), refusal))
        }
        Some(Ok(_)) => {
            let why = "the image has only the name of a task, no process";
            Some((Exit::Refused, Refusal::without_errno(why.into())))
        }
        // Nobody can tell whether that was before the call was over, or just behind.
        None if is_ending(child.pid) => sys::killed_by(child.pid)
            .doing(|| "cannot wait for a child".into())?
            .map(|signal| {
                let why = format!("killed by signal {signal}");
                (killed(signal), Refusal::without_errno(why))
            }),
        None => None,
    };
    if let Some((exit, refusal)) = failure {
        supervisor.wait(child)?;
        say(args, out, image, Err(&refusal))?;
        return Ok(exit);
    }

    // From here on the process is there, and goes on, whatever becomes of this command.
    let told = args
        .pidfile
        .as_deref()
        .map_or(Ok(()), |path| write_pidfile(path, child.pid))
        .and_then(|()| say(args, out, image, Ok(child.pid)));
    if terminals.any_of(child.pid) {
        // What it had drawn is not on this terminal.
        let _ = sys::kill(child.pid, libc::SIGWINCH);
    }
    told?;
    if args.detach {
        return Ok(Exit::Ok);
    }
    supervisor.wait(child)
}

/// What is known of the image before it is restored.
#[derive(Clone, Copy)]
struct Image {
    head: Head,
    processes: Option<usize>,
}

/// Prints what came of it.
fn say(
    args: &Args,
    out: &mut Out,
    image: Image,
    result: Result<i32, &Refusal>,
) -> Result<(), Error> {
    let Image { head, processes } = image;
    if args.json {
        let report = Report {
            schema: "ckpt.restart.v1",
            ok: result.is_ok(),
            pid: result.ok(),
            id: head.crid,
            image_pid: head.pid,
            tasks: head.tasks,
            processes,
            error: result.err(),
        };
        if !args.detach {
            json_to_stderr(&report);
            return Ok(());
        }
        out.json(&report)?;
        out.flush()?;
    }
    if let Err(refusal) = result {
        refusal.complain(format_args!("cannot restart process {}", head.pid));
    }
    Ok(())
}

/// Waits until nobody has the pids of these, or for too long.
fn wait_for_pids(tasks: &[Task]) {
    let start = Instant::now();
    for task in tasks {
        while sys::exists(task.pid) && start.elapsed() < GOING {
            thread::sleep(LOOK);
        }
    }
}

/// Has a child come to its end, or is about to?
///
/// It closes its descriptors, which looks as if it had been restored, before it can be waited for.
fn is_ending(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // Its name may have spaces and parentheses; behind it are state, ppid, pgrp, session, tty_nr,
    // tpgid and flags.
    let flags = stat.ok().and_then(|stat| {
        let (_, fields) = stat.rsplit_once(") ")?;
        fields.split(' ').nth(6)?.parse::<u32>().ok()
    });
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// Why there is no process to restore to.
fn cannot_start(error: io::Error, pid: Pid) -> Error {
    let what = match (error.raw_os_error(), pid) {
        (Some(libc::EEXIST), Pid::Chosen(pid)) => {
            format!("pid {pid} is taken (--new-pid takes another)")
        }
        (Some(libc::EPERM), Pid::Chosen(pid)) => format!(
            "cannot choose pid {pid} without CAP_CHECKPOINT_RESTORE (--new-pid takes another)"
        ),
        (Some(libc::EINVAL), Pid::Chosen(pid)) => {
            format!("there can be no pid {pid} here (--new-pid takes another)")
        }
        (Some(libc::EPERM), Pid::Init) => "cannot make the pid namespace of a container without \
             CAP_SYS_ADMIN (--new-pid needs none)"
            .into(),
        _ => "cannot start a process".into(),
    };
    Error::System(what, error)
}

/// What the process gets as standard input in place of the image.
fn other_stdin() -> Result<File, Error> {
    if io::stdout().is_terminal() || io::stderr().is_terminal() {
        let tty = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open("/dev/tty");
        if let Ok(tty) = tty {
            return Ok(tty);
        }
    }
    File::open("/dev/null").doing(|| "/dev/null".into())
}

/// The terminals among the standard descriptors of a process that is to be restored.
struct Terminals(Vec<File>);

impl Terminals {
    fn find(stdin: Option<&File>) -> Self {
        let (own, out, err) = (io::stdin(), io::stdout(), io::stderr());
        let fds = [
            stdin.map_or(own.as_fd(), File::as_fd),
            out.as_fd(),
            err.as_fd(),
        ];
        let terminal = |fd: BorrowedFd<'_>| {
            let file = fd.is_terminal().then(|| fd.try_clone_to_owned());
            file?.ok().map(File::from)
        };
        Terminals(fds.into_iter().filter_map(terminal).collect())
    }

    /// Gives up the controlling terminal, if it is among these, for the process to take.
    fn hand_over(&self) -> Option<File> {
        let tty = self
            .0
            .iter()
            .find(|tty| sys::give_up_terminal(tty.as_fd()).is_ok())?;
        tty.try_clone().ok()
    }

    /// Does process `pid` have one of them?
    fn any_of(&self, pid: i32) -> bool {
        let device = |file: io::Result<fs::Metadata>| file.ok().map(|meta| meta.rdev());
        let ours: Vec<u64> = self
            .0
            .iter()
            .filter_map(|tty| device(tty.metadata()))
            .collect();
        (0..3).any(|fd| {
            device(fs::metadata(format!("/proc/{pid}/fd/{fd}")))
                .is_some_and(|theirs| ours.contains(&theirs))
        })
    }
}
