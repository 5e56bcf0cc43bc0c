// SPDX-License-Identifier: GPL-2.0

//! The state of a task that outlives it in a checkpoint: name, life and death, statistics.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/sched/cputime.h`](srctree/include/linux/sched/cputime.h)

use super::{
    CurrentTask,
    Pid,
    Task, //
};
use crate::{
    bindings,
    prelude::*,
    sync::aref::ARef, //
};
use core::{
    fmt,
    ptr::{
        addr_of,
        NonNull, //
    },
};

/// Bytes in the name of a task, with the `NUL` at its end.
pub const COMM_LEN: usize = bindings::TASK_COMM_LEN as usize;

/// The name of a task.
///
/// # Invariants
///
/// The last byte is `NUL`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; COMM_LEN]);

impl Comm {
    /// Makes a name of the bytes before the first `NUL`, cut to 15 bytes.
    pub fn new(name: &[u8]) -> Self {
        let mut comm = [0; COMM_LEN];

        // INVARIANT: At most `COMM_LEN - 1` bytes are copied over the zeros.
        for (to, from) in comm
            .iter_mut()
            .zip(name.iter().take_while(|c| **c != 0))
            .take(COMM_LEN - 1)
        {
            *to = *from;
        }
        Self(comm)
    }

    /// Returns the name with all the zeros behind it.
    pub fn as_bytes(&self) -> &[u8; COMM_LEN] {
        &self.0
    }
}

impl fmt::Display for Comm {
    /// Writes the name, with `?` for what does not print: a name is any bytes, and this one goes
    /// to logs and terminals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;

        for &c in self.0.iter().take_while(|c| **c != 0) {
            let printable = c == b' ' || c.is_ascii_graphic();
            f.write_char(if printable { char::from(c) } else { '?' })?;
        }
        Ok(())
    }
}

/// What a task is doing, or how it ended.
pub struct Life {
    /// `TASK_*` state; 0 is running.
    pub state: u32,
    /// `EXIT_*` state; 0 while the task lives.
    pub exit_state: u32,
    /// What wait4(2) reports of a task that has ended.
    pub exit_code: i32,
    /// The signal that the parent gets at the end; -1 for a thread that does not lead its group.
    pub exit_signal: i32,
}

/// What a task has used up. Times are in nanoseconds.
#[derive(Default)]
pub struct Usage {
    /// Time in user mode and in the kernel.
    pub cputime: (u64, u64),
    /// Likewise, scaled by processor frequency where the architecture does that.
    pub cputime_scaled: (u64, u64),
    /// Time in guest mode.
    pub gtime: u64,
    /// Time in user mode and in the kernel as last reported: these never run backwards.
    pub prev_cputime: (u64, u64),
    /// Voluntary context switches.
    pub nvcsw: u64,
    /// Involuntary context switches.
    pub nivcsw: u64,
    /// `CLOCK_MONOTONIC` when the task started.
    pub start_time: u64,
    /// `CLOCK_BOOTTIME` when the task started.
    pub start_boottime: u64,
    /// Page faults that needed no I/O.
    pub min_flt: u64,
    /// Page faults that needed I/O.
    pub maj_flt: u64,
}

/// How many `CR_USAGE_*` there are.
const NR_USAGE: usize = bindings::CR_NR_USAGE as usize;

/// What has been used up by others than a task, by `CR_USAGE_*`.
#[derive(Default)]
pub struct OthersUsage {
    /// By threads of its process that have ended.
    pub threads: [u64; NR_USAGE],
    /// By children that were waited for.
    pub children: [u64; NR_USAGE],
}

impl Task {
    /// Finds a task by its number in the pid namespace of the current task.
    #[doc(alias = "find_get_task_by_vpid")]
    pub fn find(pid: Pid) -> Option<ARef<Task>> {
        // SAFETY: The function has no requirements; it takes the RCU lock that it needs.
        let task = NonNull::new(unsafe { bindings::find_get_task_by_vpid(pid) })?;

        // SAFETY: The reference that the function took is handed to the `ARef`. `Task` is a
        // transparent wrapper of `struct task_struct`.
        Some(unsafe { ARef::from_raw(task.cast()) })
    }

    /// Tells whether the current task may read and change all of this one, by the rules of
    /// ptrace(2) for its real credentials.
    #[doc(alias = "ptrace_may_access")]
    pub fn may_attach(&self) -> bool {
        // SAFETY: `self` is a valid task; the function takes the locks that it needs.
        unsafe {
            bindings::ptrace_may_access(self.as_ptr(), bindings::PTRACE_MODE_ATTACH_REALCREDS)
        }
    }

    /// Returns the number of the task in the pid namespace of the current one; 0 if it has none
    /// there, or is gone.
    pub fn vpid(&self) -> Pid {
        // SAFETY: `self` is a valid task, and a null namespace stands for that of the current one.
        // The function takes the RCU lock that it needs.
        unsafe {
            bindings::__task_pid_nr_ns(
                self.as_ptr(),
                bindings::pid_type_PIDTYPE_PID,
                core::ptr::null_mut(),
            )
        }
    }

    /// Returns the name of the task. It may change meanwhile, and can then be a mix of both.
    pub fn comm(&self) -> Comm {
        let mut comm = [0; COMM_LEN];

        // SAFETY: `self` is a valid task. Its name may be written meanwhile, by bytes, which is how
        // C reads it as well.
        let from = unsafe { addr_of!((*self.as_ptr()).comm) }.cast::<u8>();
        for (i, to) in comm.iter_mut().take(COMM_LEN - 1).enumerate() {
            // SAFETY: `i` is less than `COMM_LEN`, the length of the array behind `from`.
            *to = unsafe { from.add(i).read_volatile() };
        }
        // What is behind the first NUL may be the rest of an older name.
        Comm::new(&comm)
    }

    /// Tells whether the task has no user mode: a kernel thread, or a worker of a user task.
    pub fn is_kernel_thread(&self) -> bool {
        // SAFETY: `self` is a valid task; these flags never change.
        let flags = unsafe { addr_of!((*self.as_ptr()).flags).read_volatile() };

        flags & (bindings::PF_KTHREAD | bindings::PF_USER_WORKER) != 0
    }

    /// Returns what the task is doing, or how it ended.
    pub fn life(&self) -> Life {
        let task = self.as_ptr();

        // SAFETY: `self` is a valid task. The fields are plain numbers that are read once each, as
        // READ_ONCE() does.
        unsafe {
            Life {
                state: addr_of!((*task).__state).read_volatile(),
                exit_state: addr_of!((*task).exit_state).read_volatile() as u32,
                exit_code: addr_of!((*task).exit_code).read_volatile(),
                exit_signal: addr_of!((*task).exit_signal).read_volatile(),
            }
        }
    }

    /// Returns what has been used up by others than the task, which has not been reaped.
    pub fn usage_of_others(&self) -> OthersUsage {
        let mut usage = OthersUsage::default();

        // SAFETY: `self` is a valid task, and the out pointers are those of local variables of the
        // lengths that the function expects. It takes the locks that it needs.
        unsafe {
            bindings::checkpoint_usage_get(
                self.as_ptr(),
                usage.threads.as_mut_ptr(),
                usage.children.as_mut_ptr(),
            )
        };
        usage
    }

    /// Returns what the task has used up.
    pub fn usage(&self) -> Usage {
        let task = self.as_ptr();
        let mut usage = Usage::default();

        // SAFETY: `self` is a valid task, and the out pointers are those of local variables. The
        // functions take the locks that they need; the fields are plain counters, which are read
        // once each, or never change (the start times).
        unsafe {
            let (u, s) = &mut usage.cputime;
            bindings::task_cputime(task, u, s);
            let (u, s) = &mut usage.cputime_scaled;
            bindings::task_cputime_scaled(task, u, s);
            let (u, s) = &mut usage.prev_cputime;
            bindings::task_cputime_adjusted(task, u, s);
            usage.gtime = bindings::task_gtime(task);
            usage.nvcsw = addr_of!((*task).nvcsw).read_volatile() as u64;
            usage.nivcsw = addr_of!((*task).nivcsw).read_volatile() as u64;
            usage.start_time = addr_of!((*task).start_time).read_volatile();
            usage.start_boottime = addr_of!((*task).start_boottime).read_volatile();
            usage.min_flt = addr_of!((*task).min_flt).read_volatile() as u64;
            usage.maj_flt = addr_of!((*task).maj_flt).read_volatile() as u64;
        }
        usage
    }
}

impl CurrentTask {
    /// Gives the current task a name.
    #[doc(alias = "set_task_comm")]
    pub fn set_comm(&self, comm: &Comm) {
        // SAFETY: `self` is the current task, and `comm` is `COMM_LEN` bytes that end with a `NUL`,
        // by the invariant of its type. The function takes the task's alloc_lock.
        unsafe { bindings::__set_task_comm(self.as_ptr(), comm.0.as_ptr().cast(), false) };
    }

    /// Returns the number of the current task's thread group in its own pid namespace.
    pub fn vtgid(&self) -> Pid {
        self.tgid_nr_ns(None)
    }

    /// Returns what the system call that the current task is in, or the one that its registers
    /// have been set to, leaves in the register for return values.
    #[doc(alias = "regs_return_value")]
    pub fn return_value(&self) -> c_long {
        // SAFETY: The registers of user mode of the current task are on its stack.
        unsafe { bindings::current_return_value() as c_long }
    }

    /// Tells whether the current task is the only one in its thread group.
    pub fn is_single_threaded(&self) -> bool {
        // SAFETY: The signal structure of the current task lives as long as the task. The number
        // can only grow by what the current task itself does if it is 1.
        unsafe { addr_of!((*(*self.as_ptr()).signal).nr_threads).read_volatile() == 1 }
    }
}
