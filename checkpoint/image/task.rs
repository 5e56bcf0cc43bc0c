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
    /// 0
    pub state: u32,
    /// `CR_EXIT_ZOMBIE`, 0 if the task lives.
    pub exit_state: u32,
    /// As wait4(2) reports it, 0 if the task lives.
    pub exit_code: i32,
    /// Signal that the parent gets when the task ends, -1 if the task is a thread that is not the
    /// leader of its group.
    pub exit_signal: i32,

    /// Bytes of the `CR_HDR_STRING` that follows: from 1 to `CR_COMM_LEN_MAX`.
    pub task_comm_len: i32,
    /// Pid of the task, in the pid namespace of the first task.
    pub pid: i32,
    /// Process group of the task, likewise; 0 if it is of another namespace.
    pub pgid: i32,
    /// Session of the task, likewise.
    pub sid: i32,

    /// Pid of the leader of its thread group, likewise.
    pub tgid: i32,
    /// Pid of the task that is its parent, which comes before it; 0 of the first task, and of
    /// threads that are not the leader of their group.
    pub ppid: i32,
    /// `CR_TASK_*`
    pub flags: u32,
    /// Number of the task before this whose address space it has, 1 is the first; 0 if it has its
    /// own, or none.
    pub mm: u32,

    /// Likewise for its descriptor table.
    pub files: u32,
    /// Likewise for the place where its paths begin.
    pub fs: u32,
    /// Likewise for the actions of its signals.
    pub sighand: u32,
    /// Pid of the task that its vfork(2) waits for, 0 if it is in none.
    pub vfork: i32,
    /// Number of the task before it that has the same list for `SEM_UNDO`, if it is `CR_TASK_SYSVSEM`;
    /// 0 if none has.
    pub sysvsem: u32,
    /// 0
    pub reserved: u32,
}

impl Task {
    /// Returns how many bytes the comm has that follows; 0 if the record is not valid.
    pub fn comm_len(&self) -> usize {
        usize::try_from(self.task_comm_len).unwrap_or(0)
    }

    /// Tells whether the task lives.
    pub const fn is_alive(&self) -> bool {
        self.exit_state == 0
    }

    /// Tells whether the task leads its thread group.
    pub const fn is_leader(&self) -> bool {
        self.pid == self.tgid
    }

    /// Tells whether what its process has in common belongs to this task: it leads its thread
    /// group, of which a thread lives.
    pub const fn is_process(&self) -> bool {
        self.is_leader() && (self.is_alive() || self.flags & uapi::CR_TASK_OUTLIVED != 0)
    }

    /// Tells whether an address space of its own belongs to this task.
    pub const fn has_mm(&self) -> bool {
        self.is_process() && self.mm == 0
    }

    /// Tells whether a descriptor table of its own belongs to this task.
    pub const fn has_files(&self) -> bool {
        self.is_alive() && self.files == 0
    }

    /// Tells whether a place where paths begin belongs to this task.
    pub const fn has_fs(&self) -> bool {
        self.is_alive() && self.fs == 0
    }

    /// Tells whether the task has a list for `SEM_UNDO`, be it its own or not.
    pub const fn has_sysvsem(&self) -> bool {
        self.flags & uapi::CR_TASK_SYSVSEM != 0
    }

    /// Tells whether such a list belongs to this task.
    pub const fn has_undo_list(&self) -> bool {
        self.has_sysvsem() && self.sysvsem == 0
    }
}

impl Validate for Task {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // A task that lives is at the edge of user mode.
        Reason::unless_equal("state", self.state, 0u32)?;
        match self.exit_state {
            0 => Reason::unless_equal("exit_code", self.exit_code, 0)?,
            uapi::CR_EXIT_ZOMBIE => {
                Reason::unless_in("exit_code", self.exit_code, 0, u32::from(u16::MAX))?
            }
            other => return Err(Reason::unknown("exit_state", other)),
        }
        let mut flags = match self.is_alive() {
            true => uapi::CR_TASK_USAGE | uapi::CR_TASK_SYSVSEM,
            false => uapi::CR_TASK_USAGE | uapi::CR_TASK_OUTLIVED,
        };
        if self.is_leader() {
            flags |= uapi::CR_TASK_AUTOREAP | uapi::CR_TASK_STRANGER;
        }
        if self.is_process() {
            flags |= uapi::CR_TASK_TTY;
        }
        if self.flags & uapi::CR_TASK_TTY != 0 {
            flags |= uapi::CR_TASK_FOREGROUND;
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        Reason::unless_in("exit_signal", self.exit_signal, -1, SIGNAL_MAX)?;
        Reason::unless_in(
            "task_comm_len",
            self.task_comm_len,
            1,
            uapi::CR_COMM_LEN_MAX,
        )?;
        Reason::unless_in("pid", self.pid, 1, i32::MAX)?;
        Reason::unless_in("pgid", self.pgid, 0, i32::MAX)?;
        Reason::unless_in("sid", self.sid, 0, i32::MAX)?;
        Reason::unless_in("tgid", self.tgid, 1, i32::MAX)?;
        Reason::unless_in("ppid", self.ppid, 0, i32::MAX)?;
        let max = match self.is_alive() {
            true => i32::MAX,
            false => 0,
        };
        Reason::unless_in("vfork", self.vfork, 0, max)?;
        if self.is_leader() {
            return Reason::unless_in("exit_signal", self.exit_signal, 0, SIGNAL_MAX);
        }
        // A thread that has ended is nobody's any more, unless it leads its group.
        Reason::unless_equal("exit_state", self.exit_state, 0u32)?;
        Reason::unless_equal("exit_signal", self.exit_signal, -1)?;
        Reason::unless_equal("ppid", self.ppid, 0)
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

/// How many `CR_USAGE_*` there are.
const NR_USAGE: usize = uapi::CR_NR_USAGE as usize;

/// What has been used up by others than a task.
///
/// C: `struct cr_hdr_usage`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_USAGE, abi = cr_hdr_usage)]
pub struct Usage {
    /// By `CR_USAGE_*`, of a leader: by threads of its process that have ended. Blocks, pages and time
    /// on a processor are with those of the task itself.
    pub threads: [u64; NR_USAGE],
    /// Likewise by its children that it has waited for.
    pub children: [u64; NR_USAGE],
}

impl Validate for Usage {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // As of a task.
        Ok(())
    }
}
