// SPDX-License-Identifier: GPL-2.0

//! How a task is scheduled.

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

/// `SCHED_*` that sched_setattr(2) knows; 4 is none.
const SCHED_NORMAL: u32 = 0;
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
const SCHED_IDLE: u32 = 5;
const SCHED_DEADLINE: u32 = 6;
const SCHED_EXT: u32 = 7;

const NICE_MIN: i32 = -20;
const NICE_MAX: i32 = 19;

/// The largest static priority of a user task.
const PRIORITY_MAX: u32 = 99;

/// `SCHED_CAPACITY_SCALE`: all of a processor.
const UTIL_MAX: u32 = 1024;

/// `IOPRIO_CLASS_IDLE`, and bits below the class.
const IOPRIO_CLASS_MAX: u32 = 3;
const IOPRIO_CLASS_SHIFT: u32 = 13;

const FLAGS: u32 = uapi::CR_SCHED_RESET_ON_FORK
    | uapi::CR_SCHED_RECLAIM
    | uapi::CR_SCHED_DL_OVERRUN
    | uapi::CR_SCHED_UTIL_MIN
    | uapi::CR_SCHED_UTIL_MAX
    | uapi::CR_SCHED_SLICE;

/// Scheduling, as sched_getattr(2) reports it; `CR_HDR_AFFINITY` follows if `affinity_len` is not 0.
///
/// C: `struct cr_hdr_sched`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SCHED, abi = cr_hdr_sched)]
pub struct Sched {
    /// `SCHED_*`
    pub policy: u32,
    /// Nice value.
    pub nice: i32,
    /// Static priority of `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// `CR_SCHED_*`
    pub flags: u32,
    /// Nanoseconds; of `SCHED_DEADLINE`, or with `CR_SCHED_SLICE`.
    pub runtime: u64,
    /// Nanoseconds, of `SCHED_DEADLINE`.
    pub deadline: u64,
    /// Nanoseconds, of `SCHED_DEADLINE`.
    pub period: u64,
    /// Utilization clamp.
    pub util_min: u32,
    /// Utilization clamp.
    pub util_max: u32,
    /// As ioprio_get(2) has it.
    pub ioprio: u32,
    /// Bytes of `CR_HDR_AFFINITY`, a multiple of 8; 0 if sched_setaffinity(2) was not called.
    pub affinity_len: u32,
    /// Nanoseconds, as prctl(`PR_SET_TIMERSLACK`) has them.
    pub timer_slack: u64,
    /// Nanoseconds, what 0 stands for there.
    pub default_timer_slack: u64,
}

impl Sched {
    /// Returns how many bytes of `CR_HDR_AFFINITY` follow.
    pub fn affinity_len(&self) -> usize {
        self.affinity_len as usize
    }
}

impl Validate for Sched {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        let deadline = self.policy == SCHED_DEADLINE;
        let mut flags = FLAGS;
        let (min, max) = match self.policy {
            SCHED_FIFO | SCHED_RR => (1, PRIORITY_MAX),
            SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE | SCHED_EXT => (0, 0),
            found => return Err(Reason::unknown("policy", found)),
        };
        Reason::unless_in("priority", self.priority, min, max)?;
        Reason::unless_in("nice", self.nice, NICE_MIN, NICE_MAX)?;

        if !deadline {
            flags &= !(uapi::CR_SCHED_RECLAIM | uapi::CR_SCHED_DL_OVERRUN);
        }
        // The others keep one for when they are over.
        if deadline {
            flags &= !uapi::CR_SCHED_SLICE;
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        if !deadline {
            if self.flags & uapi::CR_SCHED_SLICE == 0 {
                Reason::unless_max("runtime", self.runtime, 0)?;
            }
            Reason::unless_max("deadline", self.deadline, 0)?;
            Reason::unless_max("period", self.period, 0)?;
        }
        Reason::unless_in("util_min", self.util_min, 0, UTIL_MAX)?;
        Reason::unless_in("util_max", self.util_max, 0, UTIL_MAX)?;
        if self.ioprio >> IOPRIO_CLASS_SHIFT > IOPRIO_CLASS_MAX {
            return Err(Reason::unknown("ioprio", self.ioprio));
        }
        Reason::unless_in(
            "affinity_len",
            self.affinity_len,
            0,
            uapi::CR_AFFINITY_LEN_MAX,
        )?;
        Reason::unless_multiple("affinity_len", self.affinity_len, uapi::CR_ALIGN)
    }
}
