// SPDX-License-Identifier: GPL-2.0

//! State of open files that have no path: each of these belongs to the file before it.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    signals::UNBLOCKABLE,
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// The clocks that timerfd_create(2) takes.
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const CLOCK_BOOTTIME: u32 = 7;
const CLOCK_REALTIME_ALARM: u32 = 8;
const CLOCK_BOOTTIME_ALARM: u32 = 9;

/// State of the eventfd(2) before.
///
/// C: `struct cr_hdr_eventfd`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_EVENTFD, abi = cr_hdr_eventfd)]
pub struct EventFd {
    /// What read(2) returns, or from what it takes 1.
    pub count: u64,
    /// `CR_EVENTFD_*`
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for EventFd {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // Any count can have been reached: the largest stands for an overflow.
        Reason::unless_bits("flags", self.flags, uapi::CR_EVENTFD_SEMAPHORE)
    }
}

/// State of the timerfd before.
///
/// C: `struct cr_hdr_timerfd`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TIMERFD, abi = cr_hdr_timerfd)]
pub struct TimerFd {
    /// `CLOCK_*`
    pub clock: u32,
    /// `CR_TIMERFD_*`
    pub flags: u32,
    /// Nanoseconds until it expires, or when it does.
    pub expires: i64,
    /// Nanoseconds.
    pub interval: i64,
    /// Expirations that wait to be read.
    pub ticks: u64,
}

impl Validate for TimerFd {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        match self.clock {
            CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_REALTIME_ALARM
            | CLOCK_BOOTTIME_ALARM => (),
            found => return Err(Reason::unknown("clock", found)),
        }
        Reason::unless_bits(
            "flags",
            self.flags,
            uapi::CR_TIMERFD_ARMED
                | uapi::CR_TIMERFD_ABSTIME
                | uapi::CR_TIMERFD_CANCEL
                | uapi::CR_TIMERFD_CANCELED,
        )?;
        // To be set to 0 is not to be armed.
        let (min, max) = match self.flags & uapi::CR_TIMERFD_ARMED {
            0 => (0, 0),
            _ => (1, i64::MAX),
        };
        Reason::unless_in("expires", self.expires, min, max)?;
        Reason::unless_in("interval", self.interval, 0, i64::MAX)
    }
}

/// State of the signalfd(2) before.
///
/// C: `struct cr_hdr_signalfd`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SIGNALFD, abi = cr_hdr_signalfd)]
pub struct SignalFd {
    /// Signals that it takes, bit 0 is signal 1.
    pub mask: u64,
}

impl Validate for SignalFd {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("mask", self.mask, !UNBLOCKABLE)
    }
}

/// State of the inotify(7) instance before; events that wait to be read are in `CR_HDR_DATA`, as
/// read(2) returns them.
///
/// C: `struct cr_hdr_inotify`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_INOTIFY, abi = cr_hdr_inotify)]
pub struct Inotify {
    /// The watch descriptor that was given last, 0 if none was.
    pub last_wd: i32,
    /// Events that wait.
    pub nr_events: u32,
}

impl Validate for Inotify {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("last_wd", self.last_wd, 0, i32::MAX)
    }
}

/// The process of the pidfd before.
///
/// C: `struct cr_hdr_pidfd`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_PIDFD, abi = cr_hdr_pidfd)]
pub struct PidFd {
    /// Its pid, in the pid namespace of the checkpointer.
    pub pid: i32,
    /// 0
    pub reserved: u32,
    /// Number of the inode of the pidfd, which no other process has.
    pub ino: u64,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`; 0 for a task of the image.
    pub start_boottime: u64,
}

impl Validate for PidFd {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("pid", self.pid, 1, i32::MAX)
    }
}
