// SPDX-License-Identifier: GPL-2.0

//! checkpoint(2) and restart(2).
//!
//! checkpoint(2) saves a process to a file descriptor, restart(2) makes the caller what such an
//! image says. Data goes one way:
//!
//! ```text
//! kernel objects -> resource/ -> stream.rs -> file
//! file -> stream.rs -> image/ (checks) -> resource/ -> kernel objects
//! ```
//!
//! This module holds the entry points. It is the only one that may say `unsafe`, and only because
//! exporting a symbol to C takes it: the functions take numbers and trust none.
//!
//! Documentation: [`Documentation/checkpoint/`](srctree/Documentation/checkpoint/index.rst)
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

#![deny(unsafe_code)]

use core::sync::atomic::{
    AtomicI32,
    Ordering, //
};

use kernel::{
    checkpoint::capable,
    crc32::crc32c,
    macros::Record,
    prelude::*,
    uapi, //
};

use log::Log;

pub mod image;
mod log;
mod outside;
mod resource;
mod restore;
mod save;
mod stream;
mod tree;

/// The sysctl `kernel.checkpoint_unprivileged`: with 0, both calls need `CAP_CHECKPOINT_RESTORE`.
#[allow(non_upper_case_globals, unsafe_code)]
#[no_mangle]
static sysctl_checkpoint_unprivileged: AtomicI32 = AtomicI32::new(1);

/// The checks that both calls begin with, in the order that the man pages give. Opens the log.
fn begin(call: &'static str, flags: c_ulong, known: u32, logfd: c_int) -> Result<Log> {
    let opened = Log::open(call, flags, logfd);
    let (mut log, opened) = match opened {
        Ok(log) => (log, Ok(())),
        Err(e) => (Log::silent(call), Err(e)),
    };

    let unknown = flags & !(known as c_ulong);
    if unknown != 0 {
        log.line(format_args!("flags {unknown:#x}: unknown"));
        return Err(EINVAL);
    }
    if sysctl_checkpoint_unprivileged.load(Ordering::Relaxed) == 0 && !capable() {
        log.line(format_args!(
            "closed to the unprivileged by the sysctl kernel.checkpoint_unprivileged"
        ));
        return Err(EPERM);
    }
    match opened {
        Ok(()) => Ok(log),
        Err(unfit) => Err(log.unfit("logfd", logfd, unfit)),
    }
}

/// Turns a result into what a system call returns.
fn syscall_result(result: Result<c_long>) -> c_long {
    match result {
        Ok(value) => value,
        Err(e) => e.to_errno() as c_long,
    }
}

/// checkpoint(2); see `Documentation/checkpoint/man/checkpoint.2`.
#[allow(unsafe_code)]
#[export]
pub extern "C" fn do_checkpoint(pid: c_int, fd: c_int, flags: c_ulong, logfd: c_int) -> c_long {
    syscall_result(
        begin("checkpoint", flags, uapi::CHECKPOINT_FLAGS, logfd)
            .and_then(|mut log| save::checkpoint(pid, fd, flags, &mut log).map(|id| id as c_long)),
    )
}

/// restart(2); see `Documentation/checkpoint/man/restart.2`.
#[allow(unsafe_code)]
#[export]
pub extern "C" fn do_restart(crid: c_int, fd: c_int, flags: c_ulong, logfd: c_int) -> c_long {
    syscall_result(
        begin("restart", flags, uapi::RESTART_FLAGS, logfd)
            .and_then(|mut log| restore::restart(crid, fd, flags, &mut log)),
    )
}
