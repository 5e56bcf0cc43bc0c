// SPDX-License-Identifier: GPL-2.0

//! Files of a task: where paths begin, the descriptor table, locks, who is told when a file is ready,
//! and what instances of epoll(7) and inotify(7) wait for.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    creds::NO_ID,
    signals::SIGNAL_MAX,
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

/// Descriptor table; `CR_HDR_FD`, `CR_HDR_LOCK`, `CR_HDR_OWNER`, `CR_HDR_EPOLL_ITEM` and
/// `CR_HDR_WATCH` follow, each as often as is said here.
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
    /// Open files that send a signal when they are ready.
    pub nr_owners: u32,
    /// What all epoll(7) instances wait for.
    pub nr_epoll_items: u32,
    /// What all inotify(7) instances watch.
    pub nr_watches: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for Files {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("count", self.count, 0, uapi::CR_FDS_MAX)?;
        Reason::unless_in("nr_locks", self.nr_locks, 0, uapi::CR_LOCKS_MAX)?;
        Reason::unless_in("nr_owners", self.nr_owners, 0, uapi::CR_OWNERS_MAX)?;
        Reason::unless_in(
            "nr_epoll_items",
            self.nr_epoll_items,
            0,
            uapi::CR_EPOLL_ITEMS_MAX,
        )?;
        Reason::unless_in("nr_watches", self.nr_watches, 0, uapi::CR_WATCHES_MAX)
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
    /// First byte; 0 for `CR_LOCK_FLOCK` and `CR_LOCK_LEASE`.
    pub start: i64,
    /// Last byte; the largest number for all bytes from `start` on, as for `CR_LOCK_FLOCK` and
    /// `CR_LOCK_LEASE`.
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
            uapi::CR_LOCK_FLOCK | uapi::CR_LOCK_LEASE => {
                Reason::unless_equal("start", self.start, 0)?;
                Reason::unless_equal("end", self.end, i64::MAX)
            }
            found => Err(Reason::unknown("kind", found)),
        }
    }
}

/// `F_OWNER_PGRP`: the largest of `F_OWNER_*`.
const F_OWNER_PGRP: u32 = 2;

/// Who gets a signal when a file is ready, ascending by `objref`: fcntl(`F_SETOWN_EX`) and
/// fcntl(`F_SETSIG`).
///
/// C: `struct cr_hdr_owner`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_OWNER, abi = cr_hdr_owner)]
pub struct Owner {
    /// The `CR_HDR_FILE`.
    pub objref: u32,
    /// `F_OWNER_*`
    pub kind: u32,
    /// Pid of the thread, process or process group, in the pid namespace of the checkpointer; 0 if
    /// there is none.
    pub pid: i32,
    /// The signal, 0 for `SIGIO` without a siginfo.
    pub signal: i32,
    /// Real user id of who said so, in the user namespace of the checkpointer.
    pub uid: u32,
    /// Effective user id, likewise.
    pub euid: u32,
}

impl Validate for Owner {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_object("objref", self.objref)?;
        if self.kind > F_OWNER_PGRP {
            return Err(Reason::unknown("kind", self.kind));
        }
        Reason::unless_in("pid", self.pid, 0, i32::MAX)?;
        Reason::unless_in("signal", self.signal, 0, SIGNAL_MAX)?;
        for (field, id) in [("uid", self.uid), ("euid", self.euid)] {
            if id == NO_ID {
                return Err(Reason::NoId { field });
            }
        }
        Ok(())
    }
}

/// What an epoll(7) instance waits for, ascending by `objref`. Those that are ready come in the
/// order in which they became so.
///
/// C: `struct cr_hdr_epoll_item`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_EPOLL_ITEM, abi = cr_hdr_epoll_item)]
pub struct EpollItem {
    /// The `CR_HDR_FILE` of the instance, a `CR_FILE_EPOLL`.
    pub objref: u32,
    /// The `CR_HDR_FILE` that it waits for.
    pub target: u32,
    /// The descriptor by which epoll_ctl(2) knows it.
    pub fd: i32,
    /// `EPOLL*`
    pub events: u32,
    /// What `struct epoll_event` has.
    pub data: u64,
    /// `CR_EPOLL_*`
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for EpollItem {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_object("objref", self.objref)?;
        context.unless_object("target", self.target)?;
        Reason::unless_in("fd", self.fd, 0, i32::MAX)?;
        // epoll_ctl(2) takes any events, and waits for those that there are.
        Reason::unless_bits("flags", self.flags, uapi::CR_EPOLL_READY)
    }
}

/// What may be in the mask of a watch: `IN_ALL_EVENTS`, `IN_EXCL_UNLINK` and `IN_ONESHOT`.
const WATCH_MASK: u32 = 0x8400_0fff;

/// What an inotify(7) instance watches, ascending by `objref` and `wd`.
///
/// C: `struct cr_hdr_watch`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_WATCH, abi = cr_hdr_watch)]
pub struct Watch {
    /// The `CR_HDR_FILE` of the instance, a `CR_FILE_INOTIFY`.
    pub objref: u32,
    /// The `CR_HDR_FILE` of what it watches, a `CR_FILE_PATH`.
    pub target: u32,
    /// Watch descriptor.
    pub wd: i32,
    /// `IN_*`
    pub mask: u32,
}

impl Validate for Watch {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_object("objref", self.objref)?;
        context.unless_object("target", self.target)?;
        Reason::unless_in("wd", self.wd, 1, i32::MAX)?;
        Reason::unless_bits("mask", self.mask, WATCH_MASK)
    }
}
