// SPDX-License-Identifier: GPL-2.0

//! System calls that the standard library has no face for, and the counter. All of the program's
//! `unsafe` is here.

#![allow(unsafe_code)]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("checkpoint(2) exists on x86-64 only");

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::AtomicU64;

use crate::case::PAGE;

/// Number of checkpoint(2), the same on every architecture that has it.
const NR_CHECKPOINT: libc::c_long = 500;
/// Number of restart(2).
const NR_RESTART: libc::c_long = 501;

/// `CHECKPOINT_LOG`: the last argument is a descriptor for the lines that tell what went wrong.
const LOG: libc::c_ulong = 1;

/// The result of a system call as libc gives it: -1 and errno, or a number.
fn answer<T: PartialEq + From<i8>>(ret: T) -> io::Result<T> {
    if ret == T::from(-1) {
        return Err(io::Error::last_os_error());
    }
    Ok(ret)
}

/// A call of four numbers, none of them an address.
fn call(nr: libc::c_long, id: i32, fd: i32, flags: libc::c_ulong, log: i32) -> io::Result<()> {
    // SAFETY: This is only called with the numbers of checkpoint(2) and restart(2), whose
    // arguments are all plain numbers. The former changes nothing in this process. The latter
    // comes back only if it failed; otherwise nothing of this process is left that could be wrong.
    let ret = unsafe {
        libc::syscall(
            nr,
            libc::c_long::from(id),
            libc::c_long::from(fd),
            flags,
            libc::c_long::from(log),
        )
    };
    answer(ret).map(drop)
}

/// checkpoint(2) of the process `pid`, which goes on.
pub(crate) fn checkpoint(pid: i32, fd: BorrowedFd<'_>, log: BorrowedFd<'_>) -> io::Result<()> {
    call(NR_CHECKPOINT, pid, fd.as_raw_fd(), LOG, log.as_raw_fd())
}

/// restart(2) of any image. Comes back only if it failed.
pub(crate) fn restart(fd: BorrowedFd<'_>, log: BorrowedFd<'_>) -> io::Result<()> {
    call(NR_RESTART, 0, fd.as_raw_fd(), LOG, log.as_raw_fd())
}

/// Returns which of the two calls the kernel lacks. Flags are looked at first, so that flags which
/// no kernel knows have no effect.
pub(crate) fn missing() -> Option<&'static str> {
    [(NR_CHECKPOINT, "checkpoint(2)"), (NR_RESTART, "restart(2)")]
        .into_iter()
        .find(|&(nr, _)| {
            let error = call(nr, 0, -1, libc::c_ulong::MAX, -1).err();
            error.and_then(|error| error.raw_os_error()) == Some(libc::ENOSYS)
        })
        .map(|(_, name)| name)
}

/// fork(2). Returns the child's pid, and `None` in the child.
///
/// If the process has other threads, the child may neither allocate nor panic.
pub(crate) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: Callers keep to what a child may do.
    let pid = answer(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// fork(2), with a pid for the child. Returns whether this is the child.
///
/// The child may neither allocate nor panic.
pub(crate) fn fork_as(pid: i32) -> io::Result<bool> {
    let tid: libc::pid_t = pid;
    // SAFETY: `clone_args` is numbers, for which zeros are a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    args.set_tid = &raw const tid as u64;
    args.set_tid_size = 1;

    // SAFETY: `args` and the pid that it points to live until the call is over. Without flags it
    // is a fork(2), and callers keep to what a child may do.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            std::mem::size_of_val(&args),
        )
    };
    answer(ret).map(|pid| pid == 0)
}

/// Ends the process at once.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: _exit(2) takes a number.
    unsafe { libc::_exit(code) }
}

/// Waits until the child `pid` has ended.
pub(crate) fn wait(pid: i32) -> io::Result<ExitStatus> {
    let mut status = 0;

    // SAFETY: `status` is valid for writes.
    answer(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(ExitStatus::from_raw(status))
}

/// Kills the child `pid`, which has not been waited for.
pub(crate) fn kill(pid: i32) {
    // SAFETY: kill(2) takes numbers. It can only fail if the child is not there.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Sends a signal to the process `pid`; to a group, if it is negative.
pub(crate) fn signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers.
    answer(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Gives the process a session of its own.
pub(crate) fn new_session() -> io::Result<()> {
    // SAFETY: setsid(2) takes no argument.
    answer(unsafe { libc::setsid() }).map(drop)
}

/// Makes orphans among the descendants of this process its children.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: This one takes a number.
    answer(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }).map(drop)
}

/// Tells whether the child `pid` has ended. It is not waited for.
pub(crate) fn has_ended(pid: i32) -> io::Result<bool> {
    // SAFETY: `siginfo_t` is numbers, for which zeros are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;

    // SAFETY: `info` is valid for writes.
    answer(unsafe { libc::waitid(libc::P_PID, pid.unsigned_abs(), &raw mut info, options) })?;
    // SAFETY: A call that succeeded wrote the pid, or left the zero.
    Ok(unsafe { info.si_pid() } != 0)
}

/// Waits for children that have ended, no matter whose in the program they are. Tells whether there
/// are none left.
pub(crate) fn reap() -> io::Result<bool> {
    loop {
        let options = libc::__WALL | libc::WNOHANG;
        // SAFETY: The status may be a null pointer.
        match answer(unsafe { libc::waitpid(-1, ptr::null_mut(), options) }) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether `path` is in a tmpfs.
pub(crate) fn is_tmpfs(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `statfs` is numbers, for which zeros are a value.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };

    // SAFETY: `path` is a C string, `stat` valid for writes.
    answer(unsafe { libc::statfs(path.as_ptr(), &raw mut stat) })?;
    Ok(stat.f_type == libc::TMPFS_MAGIC)
}

/// Executes `program`. Comes back only if that failed.
pub(crate) fn execute(program: &CStr, args: &[&CStr; 2]) -> io::Error {
    let list = [args[0].as_ptr(), args[1].as_ptr(), ptr::null()];

    // SAFETY: `program` is a C string, `list` an array of them with a null pointer at its end.
    unsafe { libc::execv(program.as_ptr(), list.as_ptr()) };
    io::Error::last_os_error()
}

/// Makes `fd` the descriptor `number`, which stays open at exec.
pub(crate) fn dup_to(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: dup2(2) takes numbers. Callers replace standard streams of a process that does not
    // use them as what they were.
    answer(unsafe { libc::dup2(fd.as_raw_fd(), number) }).map(drop)
}

/// Makes the process one that stands alone: in a session of its own, with nothing open but the
/// standard streams. Returns its standard input and output.
///
/// To be called first of all, and once: whoever else has a descriptor open loses it.
pub(crate) fn stand_alone() -> io::Result<(File, File)> {
    // SAFETY: Nothing has been opened yet that could be used later.
    answer(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) })?;
    // SAFETY: setsid(2) takes no argument.
    answer(unsafe { libc::setsid() })?;
    // SAFETY: std sees to it that both are open when main() begins. Nothing else in the process
    // uses them.
    Ok(unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) })
}

/// Private memory of its own mapping, zeros at first.
pub(crate) struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    /// Memory in pages of any size, accounted for.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        Self::with_flags(len, 0)
    }

    /// Memory in small pages, of which few will be used.
    pub(crate) fn sparse(len: usize) -> io::Result<Self> {
        let mapping = Self::with_flags(len, libc::MAP_NORESERVE)?;

        // SAFETY: The advice is for this mapping, and changes none of its contents.
        answer(unsafe { libc::madvise(mapping.start.cast(), mapping.len, libc::MADV_NOHUGEPAGE) })?;
        Ok(mapping)
    }

    fn with_flags(len: usize, flags: i32) -> io::Result<Self> {
        let len = len.max(1);

        // SAFETY: The kernel chooses a place where nothing is.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping {
            start: start.cast(),
            len,
        })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: The mapping is readable, owned by `self`, and at most isize::MAX bytes long, as
        // user mode has no more addresses.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: As above, and it is writable.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Nobody refers to the memory any more.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// A number that children of this process share with it. It is never freed.
pub(crate) fn shared_number() -> io::Result<&'static AtomicU64> {
    // SAFETY: The kernel chooses a place where nothing is.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: It is a page of zeros, which is aligned, large enough and stays mapped.
    Ok(unsafe { &*start.cast::<AtomicU64>() })
}

/// The time stamp counter.
pub(crate) fn ticks() -> u64 {
    // SAFETY: Every x86-64 has the instruction, and Linux lets user mode use it.
    unsafe { _rdtsc() }
}

/// Ticks of a loop of `rounds` times two instructions.
pub(crate) fn ticks_of_loop(rounds: u64) -> u64 {
    let begin = ticks();

    // SAFETY: The loop changes the one register that it is given, and the flags.
    unsafe {
        asm!(
            "2:",
            "dec {0}",
            "jnz 2b",
            inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
    ticks().wrapping_sub(begin)
}

/// Ticks of copying `N` bytes by one string instruction.
pub(crate) fn ticks_of_string<const N: usize>() -> u64 {
    let from = [1u8; N];
    let mut to = [0u8; N];
    let begin = ticks();

    // SAFETY: Both arrays have `N` bytes, and the direction flag is clear, as the ABI has it.
    unsafe {
        asm!(
            "rep movsb",
            inout("rsi") from.as_ptr() => _,
            inout("rdi") to.as_mut_ptr() => _,
            inout("rcx") N => _,
            options(nostack, preserves_flags),
        );
    }
    let end = ticks();
    core::hint::black_box(&to);
    end.wrapping_sub(begin)
}

/// `CLOCK_MONOTONIC_RAW`, in nanoseconds.
pub(crate) fn nanoseconds() -> u64 {
    time_of(libc::CLOCK_MONOTONIC_RAW)
}

/// `CLOCK_REALTIME`, in nanoseconds: what workload.c looks at.
pub(crate) fn wall_clock() -> u64 {
    time_of(libc::CLOCK_REALTIME)
}

fn time_of(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    // SAFETY: `now` is valid for writes. Both clocks exist since Linux 2.6.28.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// A file in memory that nobody else can see.
pub(crate) fn memfd(name: &CStr) -> io::Result<File> {
    // SAFETY: `name` is a C string that outlives the call.
    let fd = answer(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: The call succeeded, so `fd` is an open descriptor that nothing else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A pipe: the end to read from, and the end to write to.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let mut fds = [-1; 2];

    // SAFETY: `fds` is valid for writes of two descriptors.
    answer(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: The call succeeded, so both are open descriptors that nothing else owns.
    let (reader, writer) = unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) };
    Ok((reader, writer))
}

/// Tells how many bytes can be read at once from a pipe.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;

    // SAFETY: `bytes` is valid for writes of an int, which is what this request writes.
    answer(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// What [`poll`] waits for.
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    Read,
    Write,
}

/// Waits until `fd` is ready, or has an end or an error to tell of, but no longer than
/// `milliseconds`. Tells whether it is.
pub(crate) fn poll(fd: BorrowedFd<'_>, what: Ready, milliseconds: i32) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: match what {
            Ready::Read => libc::POLLIN,
            Ready::Write => libc::POLLOUT,
        },
        revents: 0,
    };

    // SAFETY: `poll` is one `pollfd`, valid for reads and writes.
    let ready = answer(unsafe { libc::poll(&raw mut poll, 1, milliseconds) })?;
    Ok(ready > 0)
}

/// Release and version of the running kernel.
pub(crate) fn uname() -> io::Result<(String, String)> {
    fn text(field: &[libc::c_char]) -> String {
        let bytes: Vec<u8> = field
            .iter()
            .take_while(|&&c| c != 0)
            .map(|c| c.to_ne_bytes()[0])
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    // SAFETY: `utsname` is arrays of `c_char`, for which zeros are a value.
    let mut uts: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `uts` is valid for writes of a whole `utsname`.
    answer(unsafe { libc::uname(&raw mut uts) })?;
    Ok((text(&uts.release), text(&uts.version)))
}

/// What runs this machine, as its CPU tells: "TCG", "KVM", the name of another hypervisor, or
/// "hardware".
pub(crate) fn hypervisor() -> String {
    const LEAF: u32 = 0x4000_0000;

    // Newer compilers have made it safe.
    #[allow(unused_unsafe)]
    // SAFETY: Every x86-64 has the instruction.
    let (features, name) = unsafe { (__cpuid(1), __cpuid(LEAF)) };
    if features.ecx & 1 << 31 == 0 {
        return "hardware".into();
    }
    let bytes: Vec<u8> = [name.ebx, name.ecx, name.edx]
        .iter()
        .flat_map(|register| register.to_le_bytes())
        .take_while(|&byte| byte != 0)
        .collect();
    match bytes.as_slice() {
        b"TCGTCGTCGTCG" => "TCG".into(),
        b"KVMKVMKVM" => "KVM".into(),
        other => String::from_utf8_lossy(other).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    #[test]
    fn memory_is_zeros_and_takes_writes() {
        let mut mapping = Mapping::new(3 * PAGE).unwrap();
        assert!(mapping.iter().all(|&byte| byte == 0));
        mapping.fill(7);
        assert_eq!(mapping[3 * PAGE - 1], 7);

        let mut sparse = Mapping::sparse(1 << 40).unwrap();
        sparse[1 << 39] = 1;
        assert_eq!(sparse[(1 << 40) - 1], 0);
    }

    #[test]
    fn child_shares_the_number() {
        let number = shared_number().unwrap();
        let Some(pid) = fork().unwrap() else {
            number.store(5, Ordering::Relaxed);
            leave(3);
        };
        assert_eq!(wait(pid).unwrap().code(), Some(3));
        assert_eq!(number.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn pipe_tells_what_is_in_it() {
        let (reader, mut writer) = pipe().unwrap();
        assert!(!poll(reader.as_fd(), Ready::Read, 0).unwrap());
        assert!(poll(writer.as_fd(), Ready::Write, 0).unwrap());
        writer.write_all(&vec![0; 65536]).unwrap();
        assert_eq!(readable(reader.as_fd()).unwrap(), 65536);
        assert!(poll(reader.as_fd(), Ready::Read, 0).unwrap());
        assert!(!poll(writer.as_fd(), Ready::Write, 0).unwrap());
    }
}
