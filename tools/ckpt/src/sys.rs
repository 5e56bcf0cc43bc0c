// SPDX-License-Identifier: GPL-2.0

//! System calls that the standard library has no face for. All of ckpt's `unsafe` is here.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// restart(2) of the image `crid` (0: any) from `fd`.
pub(crate) fn restart(
    crid: i32,
    fd: BorrowedFd<'_>,
    flags: u64,
    log: BorrowedFd<'_>,
) -> io::Result<i32> {
    call(NR_RESTART, crid, fd.as_raw_fd(), flags, log.as_raw_fd())
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

/// Has this process end with SIGALRM in `seconds`, whatever it is doing then.
pub(crate) fn alarm(seconds: u32) {
    // SAFETY: alarm(2) takes a number; the signal's action is the default one, as ckpt sets none.
    unsafe { libc::alarm(seconds) };
}
