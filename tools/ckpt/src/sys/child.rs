// SPDX-License-Identifier: GPL-2.0

//! Children that make the calls.
//!
//! A child is a copy of this process, which may have other threads at that time. So between its
//! begin and its end, or restart(2), it makes system calls and nothing else: it allocates nothing,
//! takes no lock and has no destructor run.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use super::{answer, mask, pipe, signal_set, NR_CHECKPOINT, NR_RESTART};

/// Bytes of a report: the result of the call, and how many nanoseconds it took.
const REPORT_BYTES: usize = 16;

/// What a child says when its call has returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// What the call returned: a number, or an errno.
    pub(crate) result: Result<i32, i32>,
    pub(crate) took: Duration,
}

impl Report {
    /// Reads what a child has said; `None` if it has gone without a word.
    pub(crate) fn read(mut from: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; REPORT_BYTES];
        match from.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let word = |at: usize| {
            let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
            i64::from_ne_bytes(word.unwrap_or_default())
        };
        let number = i32::try_from(word(0)).map_err(io::Error::other)?;
        Ok(Some(Report {
            result: if number < 0 { Err(-number) } else { Ok(number) },
            took: Duration::from_nanos(word(8).unsigned_abs()),
        }))
    }
}

/// A child that makes a call, and the pipe that its report comes from.
pub(crate) struct Caller {
    pub(crate) pid: i32,
    pub(crate) report: File,
}

/// Where a new process is to be.
enum Side {
    Parent(i32),
    Child,
}

/// Which pid a new process is to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pid {
    /// Any that is free.
    Any,
    /// This one.
    Chosen(i32),
    /// 1, in a pid namespace that is made for it; any in that of this process.
    Init,
}

/// clone3(2) as fork(2), with a pid that may be chosen.
///
/// # Safety
///
/// The child must only make system calls, as the head of this file says.
unsafe fn fork(pid: Pid) -> io::Result<Side> {
    let pids = match pid {
        Pid::Chosen(pid) => [pid],
        Pid::Any | Pid::Init => [0],
    };
    // SAFETY: `clone_args` is integers, for which zeros are a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    match pid {
        Pid::Any => {}
        Pid::Chosen(_) => {
            args.set_tid = pids.as_ptr() as u64;
            args.set_tid_size = pids.len() as u64;
        }
        Pid::Init => args.flags = libc::CLONE_NEWPID as u64,
    }
    // SAFETY: `args` is valid for reads of its size, and `set_tid` of `set_tid_size` pids. Without
    // CLONE_VM and a stack, the child goes on from here with a copy of the memory, as after
    // fork(2); what may be done there is up to the caller.
    let pid = answer(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    })?;
    match pid {
        0 => Ok(Side::Child),
        _ => i32::try_from(pid)
            .map(Side::Parent)
            .map_err(io::Error::other),
    }
}

/// Gives all signals their default action.
fn reset_signals() {
    // SAFETY: `sigaction` is integers and an address that may be 0; zeros are SIG_DFL.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: `default` is valid for reads, and holds no function. The action of some signals
        // cannot be set, which is an error that changes nothing.
        unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
    }
}

/// Lets all signals through.
fn unblock_signals() {
    // This cannot fail: the operation is one, and the set is valid.
    let _ = mask(libc::SIG_SETMASK, signal_set(&[]));
}

/// Nanoseconds of a clock that only goes forward.
fn now() -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec)
}

/// Makes a call, says what came of it and ends this process.
///
/// # Safety
///
/// `nr` must be checkpoint(2) or restart(2).
unsafe fn call_and_exit(
    nr: libc::c_long,
    id: i32,
    image: RawFd,
    flags: u64,
    log: RawFd,
    report: RawFd,
) -> ! {
    let start = now();
    // SAFETY: The arguments of these calls are all numbers, which point to no memory.
    let done = unsafe { libc::syscall(nr, libc::c_long::from(id), image, flags, log) };
    let value = if done < 0 {
        // SAFETY: errno is this thread's own.
        -i64::from(unsafe { *libc::__errno_location() })
    } else {
        done
    };
    let [a, b] = [value, now().wrapping_sub(start)].map(i64::to_ne_bytes);
    let mut bytes = [0; REPORT_BYTES];
    for (to, from) in bytes.iter_mut().zip(a.iter().chain(&b)) {
        *to = *from;
    }
    // SAFETY: `bytes` is valid for reads of its length. A pipe takes so few bytes at once; if the
    // parent has gone, there is nobody left to tell. _exit(2) does not return.
    unsafe {
        libc::write(report, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(0)
    }
}

/// A child that makes checkpoint(2) of `pid`.
///
/// It is killed when this process ends.
pub(crate) fn checkpoint(
    pid: i32,
    image: BorrowedFd<'_>,
    flags: u64,
    log: BorrowedFd<'_>,
) -> io::Result<Caller> {
    let (report, write) = pipe()?;
    let (image, log, to) = (image.as_raw_fd(), log.as_raw_fd(), write.as_raw_fd());
    // SAFETY: What the child does below is system calls.
    match unsafe { fork(Pid::Any) }? {
        Side::Parent(pid) => Ok(Caller { pid, report }),
        Side::Child => {
            reset_signals();
            // A reader of the image that goes away gives an errno, and does not end the child
            // without a word. Stopped, it could keep the process that is saved from going on.
            // SAFETY: prctl(2) gets numbers; SIG_IGN is no function.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
                for signal in [libc::SIGPIPE, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
                    libc::signal(signal, libc::SIG_IGN);
                }
            }
            unblock_signals();
            // SAFETY: This is the number of checkpoint(2).
            unsafe { call_and_exit(NR_CHECKPOINT, pid, image, flags, log, to) }
        }
    }
}

/// The process that an image is restored to.
pub(crate) struct Restored<'a> {
    pub(crate) image: BorrowedFd<'a>,
    pub(crate) flags: u64,
    pub(crate) log: BorrowedFd<'a>,
    /// The pid that it is to have.
    pub(crate) pid: Pid,
    /// What to have as descriptor 0 in place of the image.
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    /// Leads a session of its own.
    pub(crate) own_session: bool,
    /// Terminal that becomes the controlling one of that session, if nobody else has it.
    pub(crate) terminal: Option<BorrowedFd<'a>>,
    /// What takes the place of open files of the image.
    pub(crate) inherit: Vec<Inherit>,
}

/// A descriptor of this process that takes the place of one in an image: `RESTART_INHERIT`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Inherit {
    /// Its number in the image.
    pub(crate) number: RawFd,
    /// What it is here.
    pub(crate) fd: RawFd,
}

impl Restored<'_> {
    /// Starts a child that makes restart(2).
    ///
    /// It says nothing if it has been restored: its descriptors are replaced then, so that the
    /// pipe of the report ends.
    pub(crate) fn start(mut self) -> io::Result<Caller> {
        let (report, write) = pipe()?;
        // SAFETY: What the child does in `run` is system calls.
        match unsafe { fork(self.pid) }? {
            Side::Parent(pid) => Ok(Caller { pid, report }),
            Side::Child => self.run(write.as_raw_fd()),
        }
    }

    /// Puts what is inherited where the image has it, and sees to it that nothing else is.
    ///
    /// Descriptors that are in use here, but are none of those, are moved out of the way: returns
    /// them.
    fn hand_in<const N: usize>(&mut self, own: [RawFd; N]) -> [RawFd; N] {
        let highest = self.inherit.iter().map(|inherit| inherit.number).max();
        let Some(above) = highest.map(|highest| highest.saturating_add(1).max(3)) else {
            return own;
        };
        // It is 4.
        #[allow(clippy::cast_possible_wrap)]
        let cloexec = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
        // SAFETY: All of these take numbers.
        unsafe {
            libc::close_range(0, libc::c_uint::MAX, cloexec);
            let moved = own.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above));
            for inherit in &mut self.inherit {
                inherit.fd = libc::fcntl(inherit.fd, libc::F_DUPFD_CLOEXEC, above);
            }
            for inherit in &self.inherit {
                libc::dup2(inherit.fd, inherit.number);
            }
            moved
        }
    }

    /// What the child does.
    fn run(&mut self, report: RawFd) -> ! {
        reset_signals();
        let mut image = self.image.as_raw_fd();
        // SAFETY: All of these take numbers. Descriptors 0 to 2 are open, the standard library sees
        // to that, so that all others are above them, and dup2(2) closes none that is in use.
        unsafe {
            if let Some(stdin) = self.stdin {
                if image == 0 {
                    image = libc::fcntl(image, libc::F_DUPFD_CLOEXEC, 3);
                }
                libc::dup2(stdin.as_raw_fd(), 0);
            }
            if self.own_session {
                libc::setsid();
                if let Some(terminal) = self.terminal {
                    libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0);
                }
            }
        }
        let [image, log, report] = self.hand_in([image, self.log.as_raw_fd(), report]);
        unblock_signals();
        // SAFETY: This is the number of restart(2).
        unsafe { call_and_exit(NR_RESTART, 0, image, self.flags, log, report) }
    }
}
