// SPDX-License-Identifier: GPL-2.0

//! Tasks: the state of one, and what it has used up.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    signals::SIGNAL_MAX,
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// A task; a `CR_HDR_STRING` with its comm follows.
///
/// C: `struct cr_hdr_task`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TASK, abi = cr_hdr_task)]
pub struct Task {
    /// `TASK_*` state of the task, 0 is running.
    pub state: u32,
    /// `EXIT_*` state, 0 if the task lives.
    pub exit_state: u32,
    /// As wait4(2) reports it, 0 if the task lives.
    pub exit_code: i32,
    /// Signal that the parent gets when the task ends, -1 if the task is a thread that is not the
    /// leader of its group.
    pub exit_signal: i32,

    /// Bytes of the `CR_HDR_STRING` that follows: from 1 to `CR_COMM_LEN_MAX`.
    pub task_comm_len: i32,
    /// Pid of the task, in the pid namespace of the checkpointer.
    pub pid: i32,
    /// Process group of the task, likewise.
    pub pgid: i32,
    /// Session of the task, likewise; 0 if its leader is of another namespace.
    pub sid: i32,
}

impl Task {
    /// Returns how many bytes the comm has that follows; 0 if the record is not valid.
    pub fn comm_len(&self) -> usize {
        usize::try_from(self.task_comm_len).unwrap_or(0)
    }
}

impl Validate for Task {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // Nothing but a living, running task can be restored yet.
        Reason::unless_equal("state", self.state, 0u32)?;
        Reason::unless_equal("exit_state", self.exit_state, 0u32)?;
        Reason::unless_equal("exit_code", self.exit_code, 0)?;
        Reason::unless_in("exit_signal", self.exit_signal, -1, SIGNAL_MAX)?;
        Reason::unless_in(
            "task_comm_len",
            self.task_comm_len,
            1,
            uapi::CR_COMM_LEN_MAX,
        )?;
        Reason::unless_in("pid", self.pid, 1, i32::MAX)?;
        Reason::unless_in("pgid", self.pgid, 0, i32::MAX)?;
        Reason::unless_in("sid", self.sid, 0, i32::MAX)
    }
}

/// What a task has used up.
///
/// C: `struct cr_hdr_task_stats`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TASK_STATS, abi = cr_hdr_task_stats)]
pub struct TaskStats {
    /// Nanoseconds in user mode.
    pub utime: u64,
    /// Nanoseconds in the kernel.
    pub stime: u64,
    /// `utime` scaled by processor frequency; `utime` where the architecture does not scale.
    pub utimescaled: u64,
    /// `stime`, likewise.
    pub stimescaled: u64,
    /// Nanoseconds in guest mode.
    pub gtime: u64,
    /// Nanoseconds in user mode as last reported.
    pub prev_utime: u64,
    /// Nanoseconds in the kernel as last reported.
    pub prev_stime: u64,
    /// Voluntary context switches.
    pub nvcsw: u64,
    /// Involuntary context switches.
    pub nivcsw: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC` when the task started.
    pub start_time: u64,
    /// Nanoseconds of `CLOCK_BOOTTIME` when the task started.
    pub start_boottime: u64,
    /// Page faults that needed no I/O.
    pub min_flt: u64,
    /// Page faults that needed I/O.
    pub maj_flt: u64,
}

impl Validate for TaskStats {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // These are counters: any value can have been reached.
        Ok(())
    }
}
