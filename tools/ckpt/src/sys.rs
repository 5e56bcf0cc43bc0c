// SPDX-License-Identifier: GPL-2.0

//! System calls that the standard library has no face for. All of ckpt's `unsafe` is here.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

mod child;

pub(crate) use child::{checkpoint as start_checkpoint, Caller, Inherit, Pid, Report, Restored};

/// Number of checkpoint(2), the same on every architecture that has it.
pub(crate) const NR_CHECKPOINT: libc::c_long = 500;
/// Number of restart(2).
pub(crate) const NR_RESTART: libc::c_long = 501;

/// The result of a system call as libc gives it: -1 and errno, or a number.
fn answer(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// A call of four numbers, none of them an address.
fn call(nr: libc::c_long, id: i32, fd: i32, flags: u64, logfd: i32) -> io::Result<i32> {
    // SAFETY: This is only called with the numbers of checkpoint(2) and restart(2), whose
    // arguments are all plain numbers: they touch no memory of this process that an argument
    // points to. Neither replaces the caller's memory: checkpoint(2) never does, and restart(2)
    // of an image with memory does not come back here, which is what execve(2) does, too.
    let ret = unsafe {
        libc::syscall(
            nr,
            libc::c_long::from(id),
            libc::c_long::from(fd),
            flags,
            libc::c_long::from(logfd),
        )
    };
    answer(ret).and_then(|ret| i32::try_from(ret).map_err(io::Error::other))
}

/// checkpoint(2) of `pid` (0: the caller) to `fd`.
pub(crate) fn checkpoint(
    pid: i32,
    fd: BorrowedFd<'_>,
    flags: u64,
    log: BorrowedFd<'_>,
) -> io::Result<i32> {
    call(NR_CHECKPOINT, pid, fd.as_raw_fd(), flags, log.as_raw_fd())
}

/// checkpoint(2) of `pid` that only tells whether it could be done.
pub(crate) fn check(pid: i32, flags: u64, log: &File) -> io::Result<()> {
    call(NR_CHECKPOINT, pid, -1, flags, log.as_raw_fd()).map(drop)
}

/// restart(2) of the image `crid` (0: any) from `fd`.
pub(crate) fn restart(
    crid: i32,
    fd: BorrowedFd<'_>,
    flags: u64,
    log: BorrowedFd<'_>,
) -> io::Result<i32> {
    call(NR_RESTART, crid, fd.as_raw_fd(), flags, log.as_raw_fd())
}

/// checkpoint(2) of `pid` with arguments that it must refuse: `fd` need not be open.
pub(crate) fn checkpoint_badly(pid: i32, fd: i32, flags: u64) -> io::Result<i32> {
    call(NR_CHECKPOINT, pid, fd, flags, -1)
}

/// restart(2) with arguments that it must refuse: `fd` need not be open.
pub(crate) fn restart_badly(fd: i32, flags: u64) -> io::Result<i32> {
    call(NR_RESTART, 0, fd, flags, -1)
}

/// Calls `nr` with flags that no kernel knows: EINVAL where the call is there, ENOSYS where not.
///
/// Flags are looked at first, so this has no effect, whoever asks.
pub(crate) fn probe(nr: libc::c_long) -> io::Error {
    match call(nr, 0, -1, u64::MAX, -1) {
        Ok(_) => io::Error::other("unknown flags were taken"),
        Err(error) => error,
    }
}

/// What uname(2) tells. The bytes are as the kernel gave them, up to the NUL.
pub(crate) struct Uname {
    pub(crate) sysname: Vec<u8>,
    pub(crate) release: Vec<u8>,
    pub(crate) version: Vec<u8>,
    pub(crate) machine: Vec<u8>,
}

pub(crate) fn uname() -> io::Result<Uname> {
    fn bytes(field: &[libc::c_char]) -> Vec<u8> {
        field
            .iter()
            .take_while(|&&c| c != 0)
            .map(|c| c.to_ne_bytes()[0])
            .collect()
    }

    // SAFETY: `utsname` is arrays of `c_char`, for which zeros are a value.
    let mut uts: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `uts` is valid for writes of a whole `utsname`.
    answer(libc::c_long::from(unsafe { libc::uname(&raw mut uts) }))?;
    Ok(Uname {
        sysname: bytes(&uts.sysname),
        release: bytes(&uts.release),
        version: bytes(&uts.version),
        machine: bytes(&uts.machine),
    })
}

/// Bytes per page of the running kernel.
pub(crate) fn page_size() -> io::Result<u32> {
    // SAFETY: sysconf(3) takes a number and returns one.
    let size = answer(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })?;
    u32::try_from(size).map_err(io::Error::other)
}

/// A file in memory that nobody else can see, closed on exec.
pub(crate) fn memfd(name: &CStr) -> io::Result<File> {
    // SAFETY: `name` is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The call succeeded, so `fd` is an open descriptor that nothing else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Is there such a descriptor?
pub(crate) fn is_open(fd: i32) -> bool {
    // SAFETY: fcntl(2) takes and returns numbers here.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Waits until `fd` has something to read, or an end.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: `poll` is one `pollfd`, valid for reads and writes.
    answer(libc::c_long::from(unsafe {
        libc::poll(&raw mut poll, 1, -1)
    }))
    .map(drop)
}

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ready {
    /// There is something to read, or an end.
    pub(crate) read: bool,
    /// Nobody writes to the other end any more.
    pub(crate) hangup: bool,
}

/// Waits until one of `fds` is ready, at most for `limit`. An interruption counts as the end of
/// the wait.
pub(crate) fn poll<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    limit: Option<Duration>,
) -> io::Result<[Ready; N]> {
    let mut polls = fds.map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN | libc::POLLRDHUP,
        revents: 0,
    });
    let millis = limit.map_or(-1, |limit| {
        i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
    });
    // SAFETY: `polls` is an array of `N` `pollfd`, valid for reads and writes.
    let done = answer(libc::c_long::from(unsafe {
        libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, millis)
    }));
    match done {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([Ready::default(); N]),
        Err(error) => Err(error),
        Ok(_) => Ok(polls.map(|poll| Ready {
            read: poll.revents != 0,
            hangup: poll.revents & (libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR) != 0,
        })),
    }
}

/// A pipe: the end to read from and the end to write to, both closed on exec.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` is valid for writes of two descriptors.
    answer(libc::c_long::from(unsafe {
        libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC)
    }))?;
    // SAFETY: The call succeeded, so these are open descriptors that nothing else owns.
    let [read, write] = fds.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
    Ok((read, write))
}

/// Bytes that can be read at once from a pipe or a socket.
pub(crate) fn readable_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one `int`, for which `bytes` is valid.
    answer(libc::c_long::from(unsafe {
        libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut bytes)
    }))?;
    usize::try_from(bytes).map_err(io::Error::other)
}

/// Copies up to `len` bytes from a pipe to another and leaves them in the first.
pub(crate) fn tee(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    // SAFETY: tee(2) takes numbers only.
    let done = unsafe {
        libc::tee(
            from.as_raw_fd(),
            to.as_raw_fd(),
            len,
            libc::SPLICE_F_NONBLOCK,
        )
    };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// Receives from a socket what stays there to be received again.
pub(crate) fn recv_peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buf` is valid for writes of its length.
    let done = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// A set of signals.
fn signal_set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: `sigset_t` is an array of integers, for which zeros are a value; sigemptyset(3) and
    // sigaddset(3) get a valid pointer to it, and a wrong signal changes nothing.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Blocks or unblocks signals for this thread, or sets the mask. Returns the mask that was.
fn mask(how: libc::c_int, set: libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut old = signal_set(&[]);
    // SAFETY: `set` is valid for reads, and `old` for writes.
    let error = unsafe { libc::pthread_sigmask(how, &raw const set, &raw mut old) };
    match error {
        0 => Ok(old),
        _ => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Does `work` while this thread, and threads that it starts, get no signals: those threads never
/// will.
pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let mut all = signal_set(&[]);
    // SAFETY: `all` is valid for writes.
    unsafe { libc::sigfillset(&raw mut all) };
    let before = mask(libc::SIG_BLOCK, all)?;
    let done = work();
    mask(libc::SIG_SETMASK, before)?;
    Ok(done)
}

/// A signal that has arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signal {
    pub(crate) number: i32,
    /// The process that sent it; `None` if it comes from the kernel, as those of a terminal do.
    pub(crate) sender: Option<i32>,
}

/// Signals that are read in place of being delivered.
pub(crate) struct Signals {
    file: File,
    /// The mask before.
    mask: libc::sigset_t,
}

impl Signals {
    /// Blocks `signals` for this thread, and for threads that it makes.
    pub(crate) fn block(signals: &[i32]) -> io::Result<Self> {
        let set = signal_set(signals);
        let mask = mask(libc::SIG_BLOCK, set)?;
        // SAFETY: `set` is valid for reads.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: The call succeeded, so `fd` is an open descriptor that nothing else owns.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Signals { file, mask })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The next signal, if one has arrived.
    pub(crate) fn next(&self) -> io::Result<Option<Signal>> {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        match (&self.file).read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other.map(drop)?,
        }
        let field = |at: usize| {
            let field = bytes
                .get(at..at + 4)
                .and_then(|field| field.try_into().ok());
            i32::from_ne_bytes(field.unwrap_or_default())
        };
        let code = field(std::mem::offset_of!(libc::signalfd_siginfo, ssi_code));
        let sender = field(std::mem::offset_of!(libc::signalfd_siginfo, ssi_pid));
        Ok(Some(Signal {
            number: field(std::mem::offset_of!(libc::signalfd_siginfo, ssi_signo)),
            // SI_USER is 0, what other calls send is below, and what the kernel sends above.
            sender: (code <= libc::SI_USER).then_some(sender),
        }))
    }
}

/// Stops this process as job control does: not if its process group is orphaned, as nobody would
/// continue it. Returns when it goes on.
pub(crate) fn suspend() -> io::Result<()> {
    // SAFETY: kill(2) and getpid(2) take and return numbers.
    answer(libc::c_long::from(unsafe {
        libc::kill(libc::getpid(), libc::SIGTSTP)
    }))?;
    let set = signal_set(&[libc::SIGTSTP]);
    mask(libc::SIG_UNBLOCK, set)?;
    mask(libc::SIG_BLOCK, set).map(drop)
}

/// The pid of a child, as the calls here take it.
pub(crate) fn pid_of(child: &Child) -> i32 {
    i32::from_ne_bytes(child.id().to_ne_bytes())
}

/// Sends a signal to a child that has not been waited for, so that it is no other process, or to
/// the process group -`pid`.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers.
    answer(libc::c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// Is there a process of this pid, alive or not yet waited for?
pub(crate) fn exists(pid: i32) -> bool {
    // No signal is sent; that one may not be sent tells of a process, too.
    kill(pid, 0).map_or_else(|error| error.raw_os_error() != Some(libc::ESRCH), |()| true)
}

/// What has become of a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Exited(u8),
    Killed(i32),
    Stopped,
    Continued,
}

/// What has become of a child since the last time, without waiting for it.
pub(crate) fn changed(pid: i32) -> io::Result<Option<Change>> {
    let mut status = 0;
    let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
    // SAFETY: `status` is valid for writes of an `int`.
    let found = answer(libc::c_long::from(unsafe {
        libc::waitpid(pid, &raw mut status, options)
    }))?;
    Ok(match found {
        0 => None,
        _ if libc::WIFEXITED(status) => {
            // The status is one of 8 bits.
            Some(Change::Exited(libc::WEXITSTATUS(status).to_le_bytes()[0]))
        }
        _ if libc::WIFSIGNALED(status) => Some(Change::Killed(libc::WTERMSIG(status))),
        _ if libc::WIFSTOPPED(status) => Some(Change::Stopped),
        _ => Some(Change::Continued),
    })
}

/// Waits for the end of a child.
pub(crate) fn reap(pid: i32) -> io::Result<()> {
    loop {
        // SAFETY: The status is not asked for, so there is no memory to write to.
        let done = answer(libc::c_long::from(unsafe {
            libc::waitpid(pid, std::ptr::null_mut(), 0)
        }));
        match done {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(drop),
        }
    }
}

/// What waitid(2) tells of a child.
fn child_state(pid: i32, options: libc::c_int) -> io::Result<(i32, i32)> {
    let id = libc::id_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: `siginfo_t` is made of integers and addresses, for which zeros are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid for writes of a `siginfo_t`.
    answer(libc::c_long::from(unsafe {
        libc::waitid(libc::P_PID, id, &raw mut info, options)
    }))?;
    // SAFETY: waitid(2) fills in what it tells of a child, or leaves the zeros.
    Ok((info.si_code, unsafe { info.si_status() }))
}

/// Has a child stopped since the last time that it was asked for?
pub(crate) fn has_stopped(pid: i32) -> io::Result<bool> {
    match child_state(pid, libc::WSTOPPED | libc::WNOHANG) {
        Ok((code, _)) => Ok(code == libc::CLD_STOPPED),
        // One that has ended will not stop.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for the end of a child that has begun to end, and returns the signal that killed it, if
/// one did. The child can still be waited for.
pub(crate) fn killed_by(pid: i32) -> io::Result<Option<i32>> {
    let (code, status) = child_state(pid, libc::WEXITED | libc::WNOWAIT)?;
    let killed = code == libc::CLD_KILLED || code == libc::CLD_DUMPED;
    Ok(killed.then_some(status))
}

/// Is this process the leader of its session?
pub(crate) fn leads_session() -> bool {
    // SAFETY: Both take and return numbers.
    unsafe { libc::getsid(0) == libc::getpid() }
}

/// Gives up the controlling terminal `tty` of the session that this process leads. What the
/// kernel tells the session about it is not for this process.
pub(crate) fn give_up_terminal(tty: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCNOTTY takes no argument. Setting an action of these two signals is safe, as
    // neither SIG_IGN nor SIG_DFL is a function; it discards the ones that wait.
    unsafe {
        answer(libc::c_long::from(libc::ioctl(
            tty.as_raw_fd(),
            libc::TIOCNOTTY,
        )))?;
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGHUP, libc::SIG_DFL);
        libc::signal(libc::SIGCONT, libc::SIG_DFL);
    }
    Ok(())
}

/// Has the program that `command` starts get none of this process's descriptors but 0, 1 and 2,
/// the signal mask that was before `signals`, and a session of its own, if that is asked for.
pub(crate) fn isolate(command: &mut Command, signals: &Signals, own_session: bool) {
    let before = signals.mask;
    let isolate = move || {
        mask(libc::SIG_SETMASK, before)?;
        // SAFETY: Both calls take numbers, and change nothing of this process's memory.
        unsafe {
            if own_session {
                answer(libc::c_long::from(libc::setsid()))?;
            }
            answer(libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            ))?;
        }
        Ok(())
    };
    // SAFETY: The closure makes three system calls and nothing else, which is allowed after fork(2).
    unsafe { command.pre_exec(isolate) };
}

/// Closes all descriptors from 3 on, whoever owns them: for the begin of a process that has opened
/// none itself, but may have got some.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: The call takes numbers. As this process has opened no file yet, no owner of a
    // descriptor is left with a number that stands for nothing.
    answer(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) }).map(drop)
}
