// SPDX-License-Identifier: GPL-2.0

//! Files of a task: where paths begin, the descriptor table, and locks.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// Where paths begin.
///
/// C: `struct cr_hdr_fs`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_FS, abi = cr_hdr_fs)]
pub struct Fs {
    /// umask(2)
    pub umask: u32,
    /// The objref of the working directory, a `CR_FILE_PATH`.
    pub cwd: u32,
    /// The objref of the root directory, a `CR_FILE_PATH`; 0 if it is that of the checkpointer.
    pub root: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for Fs {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("umask", self.umask, 0o777u32)?;
        context.unless_object("cwd", self.cwd)?;
        match self.root {
            0 => Ok(()),
            root => context.unless_object("root", root),
        }
    }
}

/// Descriptor table; `count` `CR_HDR_FD` and then `nr_locks` `CR_HDR_LOCK` follow.
///
/// C: `struct cr_hdr_files`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_FILES, abi = cr_hdr_files)]
pub struct Files {
    /// Open descriptors.
    pub count: u32,
    /// Locks on open files.
    pub nr_locks: u32,
}

impl Validate for Files {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("count", self.count, 0, uapi::CR_FDS_MAX)?;
        Reason::unless_in("nr_locks", self.nr_locks, 0, uapi::CR_LOCKS_MAX)
    }
}

/// A descriptor, ascending by `fd`.
///
/// C: `struct cr_hdr_fd`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_FD, abi = cr_hdr_fd)]
pub struct Fd {
    /// Its number.
    pub fd: i32,
    /// `CR_FD_*`
    pub flags: u32,
    /// Its `CR_HDR_FILE`.
    pub objref: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for Fd {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("fd", self.fd, 0, i32::MAX)?;
        Reason::unless_bits("flags", self.flags, uapi::CR_FD_CLOEXEC)?;
        context.unless_object("objref", self.objref)
    }
}

/// `F_WRLCK`: an exclusive lock. A shared one, `F_RDLCK`, is 0.
const F_WRLCK: u32 = 1;

/// A lock on some bytes of a file, ascending by `objref`, `kind` and `start`. Those of one `objref`
/// and `kind` do not overlap.
///
/// C: `struct cr_hdr_lock`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_LOCK, abi = cr_hdr_lock)]
pub struct Lock {
    /// The `CR_HDR_FILE` by which it was taken.
    pub objref: u32,
    /// `CR_LOCK_*`: whether the process has it, or the open file.
    pub kind: u32,
    /// `F_RDLCK` for a shared lock, `F_WRLCK` for an exclusive one.
    pub lock_type: u32,
    /// 0
    pub reserved: u32,
    /// First byte; 0 for `CR_LOCK_FLOCK`.
    pub start: i64,
    /// Last byte; the largest number for all bytes from `start` on, as for `CR_LOCK_FLOCK`.
    pub end: i64,
}

impl Validate for Lock {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_object("objref", self.objref)?;
        Reason::unless_in("lock_type", self.lock_type, 0, F_WRLCK)?;
        match self.kind {
            uapi::CR_LOCK_POSIX | uapi::CR_LOCK_OFD => {
                Reason::unless_in("start", self.start, 0, i64::MAX)?;
                Reason::unless_in("end", self.end, self.start, i64::MAX)
            }
            uapi::CR_LOCK_FLOCK => {
                Reason::unless_equal("start", self.start, 0)?;
                Reason::unless_equal("end", self.end, i64::MAX)
            }
            found => Err(Reason::unknown("kind", found)),
        }
    }
}
