// SPDX-License-Identifier: GPL-2.0

//! System calls as data, and the counter. All of the program's `unsafe` is here.
//!
//! A measured call goes through one and the same loop, whichever it is, and not through libc, so
//! that what is around the kernel is the same few instructions in every case.

#![allow(unsafe_code)]

#[cfg(not(target_arch = "x86_64"))]
compile_error!("checkpoint(2) exists on x86-64 only");

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Number of checkpoint(2), the same on every architecture that has it.
const NR_CHECKPOINT: libc::c_long = 500;
/// Number of restart(2).
const NR_RESTART: libc::c_long = 501;

/// Greatest error number: a call that returns -4095 to -1 failed.
const MAX_ERRNO: i64 = 4095;

/// A system call with its arguments, and which answers are right.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    nr: i64,
    args: [i64; 4],
    good: (i64, i64),
}

/// A call that did not answer as it should.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// What the kernel returned.
    pub(crate) answer: i64,
}

impl Wrong {
    /// Returns the error that the answer stands for, if it is one.
    pub(crate) fn error(&self) -> Option<io::Error> {
        i32::try_from(-self.answer)
            .ok()
            .filter(|_| (-MAX_ERRNO..0).contains(&self.answer))
            .map(io::Error::from_raw_os_error)
    }
}

/// A length or an address, as a register holds it.
fn register(number: usize) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn descriptor(fd: &impl AsRawFd) -> i64 {
    fd.as_raw_fd().into()
}

impl Call {
    pub(crate) fn getpid() -> Self {
        Call {
            nr: libc::SYS_getpid,
            args: [0; 4],
            good: (1, i64::MAX),
        }
    }

    /// checkpoint(2) of the caller.
    pub(crate) fn checkpoint(fd: &impl AsRawFd) -> Self {
        Call {
            nr: NR_CHECKPOINT,
            args: [0, descriptor(fd), 0, 0],
            good: (1, i64::MAX),
        }
    }

    /// restart(2) of any image. The images here hold no memory, so it comes back.
    pub(crate) fn restart(fd: &impl AsRawFd) -> Self {
        Call {
            nr: NR_RESTART,
            args: [0, descriptor(fd), 0, 0],
            good: (0, 0),
        }
    }

    /// checkpoint(2) that is refused for its flags, which are looked at first.
    pub(crate) fn checkpoint_flags() -> Self {
        Call::checkpoint_fd().with_flags(-1, libc::EINVAL)
    }

    /// checkpoint(2) that is refused for its descriptor.
    pub(crate) fn checkpoint_fd() -> Self {
        Call {
            nr: NR_CHECKPOINT,
            args: [0, -1, 0, 0],
            good: (0, 0),
        }
        .with_flags(0, libc::EBADF)
    }

    /// restart(2) that is refused for its descriptor.
    pub(crate) fn restart_fd() -> Self {
        Call {
            nr: NR_RESTART,
            ..Call::checkpoint_fd()
        }
    }

    fn with_flags(mut self, flags: i64, refused: i32) -> Self {
        self.args[2] = flags;
        self.good = (-i64::from(refused), -i64::from(refused));
        self
    }

    pub(crate) fn write(fd: &impl AsRawFd, from: &'static [u8]) -> Self {
        let len = register(from.len());
        Call {
            nr: libc::SYS_write,
            args: [descriptor(fd), register(from.as_ptr() as usize), len, 0],
            good: (len, len),
        }
    }

    pub(crate) fn read(fd: &impl AsRawFd, to: &'static mut [u8]) -> Self {
        let len = register(to.len());
        Call {
            nr: libc::SYS_read,
            args: [descriptor(fd), register(to.as_mut_ptr() as usize), len, 0],
            good: (len, len),
        }
    }

    pub(crate) fn rewind(fd: &impl AsRawFd) -> Self {
        Call {
            nr: libc::SYS_lseek,
            args: [descriptor(fd), 0, libc::SEEK_SET.into(), 0],
            good: (0, 0),
        }
    }

    /// prctl(2) that gives the caller a name.
    pub(crate) fn set_name(name: &'static CStr) -> Self {
        let name = register(name.as_ptr() as usize);
        Call {
            nr: libc::SYS_prctl,
            args: [libc::PR_SET_NAME.into(), name, 0, 0],
            good: (0, 0),
        }
    }

    /// getrusage(2) of the caller.
    pub(crate) fn usage(to: &'static mut libc::rusage) -> Self {
        let to = register(&raw mut *to as usize);
        Call {
            nr: libc::SYS_getrusage,
            args: [libc::RUSAGE_THREAD.into(), to, 0, 0],
            good: (0, 0),
        }
    }

    /// Makes the call.
    #[inline]
    fn make(&self) -> i64 {
        let answer: i64;

        // SAFETY: Only the functions above make a `Call`. Those that name memory which the kernel
        // writes own it for good; the bytes that the kernel reads are never changed. None of the
        // calls touches other memory of this process, or replaces it.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") self.nr => answer,
                in("rdi") self.args[0],
                in("rsi") self.args[1],
                in("rdx") self.args[2],
                in("r10") self.args[3],
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        answer
    }

    #[inline]
    fn judge(&self, answer: i64) -> Result<(), Wrong> {
        if answer < self.good.0 || answer > self.good.1 {
            return Err(Wrong { answer });
        }
        Ok(())
    }

    /// Makes the call once, and returns the answer if it is right.
    pub(crate) fn once(&self) -> Result<i64, Wrong> {
        let answer = self.make();
        self.judge(answer).map(|()| answer)
    }
}

/// Makes all of `calls`, `times` over. Ends at the first wrong answer.
///
/// With `REAL` unset it does all that, and leaves the calls out: what is left is the cost of the
/// loop.
#[inline(never)]
pub(crate) fn repeat<const REAL: bool>(calls: &[Call], times: u32) -> Result<(), Wrong> {
    for _ in 0..times {
        for call in calls {
            let answer = if REAL {
                call.make()
            } else {
                core::hint::black_box(call.good.0)
            };
            call.judge(answer)?;
        }
    }
    Ok(())
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
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    // SAFETY: `now` is valid for writes. The clock exists since Linux 2.6.28.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// A `rusage` for the kernel to write to.
pub(crate) fn new_usage() -> &'static mut libc::rusage {
    // SAFETY: It is numbers, for which zeros are a value.
    Box::leak(Box::new(unsafe { std::mem::zeroed() }))
}

/// A file in memory that nobody else can see.
pub(crate) fn memfd(name: &CStr) -> io::Result<File> {
    // SAFETY: `name` is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The call succeeded, so `fd` is an open descriptor that nothing else owns.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A pipe: the end to read from, which never blocks, and the end to write to.
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let mut fds = [-1; 2];

    // SAFETY: `fds` is valid for writes of two descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The call succeeded, so both are open descriptors that nothing else owns.
    let (reader, writer) = unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) };
    Ok((reader, writer))
}

/// Tells how many bytes can be read at once from a pipe or socket.
pub(crate) fn readable(fd: &impl AsRawFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;

    // SAFETY: `bytes` is valid for writes of an int, which is what this request writes.
    if unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut bytes) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Keeps this process on the CPU that it is on.
pub(crate) fn stay_on_cpu() -> io::Result<()> {
    // SAFETY: The set is numbers, for which zeros are a value. The CPU is one that exists, so it is
    // within the set.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let cpu = usize::try_from(libc::sched_getcpu()).unwrap_or(0);
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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
    if unsafe { libc::uname(&raw mut uts) } < 0 {
        return Err(io::Error::last_os_error());
    }
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
