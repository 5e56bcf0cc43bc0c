// SPDX-License-Identifier: GPL-2.0

//! Processes, their threads, and all that they have descended to.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    CurrentTask,
    Pid,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};
use core::{
    fmt,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};

/// How a task is related to others.
///
/// What two tasks share has the same number with both, as long as they live; 0 is nothing. The numbers
/// mean nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kin {
    /// The leader of its thread group.
    pub leader: usize,
    /// The task that is its parent.
    pub parent: usize,
    /// Its address space.
    pub mm: usize,
    /// Its descriptor table.
    pub files: usize,
    /// Where its paths begin.
    pub fs: usize,
    /// What its signals do.
    pub sighand: usize,
    /// Its list for `SEM_UNDO`.
    pub sysvsem: usize,
    /// The pid namespace that it is in.
    pub pid_ns: usize,
    /// Its number in its own pid namespace.
    pub pid: Pid,
    /// Likewise that of its process.
    pub tgid: Pid,
    /// Likewise that of its process group; 0 if it has none.
    pub pgid: Pid,
    /// Likewise that of its session.
    pub sid: Pid,
    /// `EXIT_*` state; 0 while the task lives.
    pub exit_state: u32,
    /// What wait4(2) reports of a task that has ended.
    pub exit_code: i32,
    /// `CR_TASK_*` of a leader, but for `CR_TASK_OUTLIVED`.
    pub flags: u32,
}

/// What a process is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// A process group.
    Group,
    /// A session.
    Session,
}

/// What has a number.
pub enum Taken {
    /// A task.
    Task(ARef<Task>),
    /// A process group or a session of which the leader is gone.
    Group,
}

impl fmt::Display for Taken {
    /// Writes as much as the current task may know: /proc may hide the other one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group => f.write_str("a process group or a session"),
            Self::Task(task) if task.may_look_at() => {
                write!(f, "task {} ({})", task.vpid(), task.comm())
            }
            Self::Task(task) => write!(f, "task {}", task.vpid()),
        }
    }
}

impl Task {
    /// Returns what the task is called in the numbers of [`Kin`].
    pub fn id(&self) -> usize {
        self.as_ptr() as usize
    }

    /// Returns how the task is related to others.
    pub fn kin(&self) -> Kin {
        let mut kin = bindings::checkpoint_kin::default();

        // SAFETY: `self` is a valid task. The function takes the locks that it needs, and fills in
        // the structure.
        unsafe { bindings::checkpoint_kin_get(self.as_ptr(), &mut kin) };
        Kin {
            leader: kin.leader,
            parent: kin.parent,
            mm: kin.mm,
            files: kin.files,
            fs: kin.fs,
            sighand: kin.sighand,
            sysvsem: kin.sysvsem,
            pid_ns: kin.pid_ns,
            pid: kin.pid,
            tgid: kin.tgid,
            pgid: kin.pgid,
            sid: kin.sid,
            exit_state: kin.exit_state,
            exit_code: kin.exit_code,
            flags: kin.flags,
        }
    }

    /// Returns the process that leads the group or the session of the task, [`None`] if it is gone.
    pub fn job_leader(&self, kind: JobKind) -> Option<ARef<Task>> {
        // SAFETY: `self` is a valid task. The function takes the RCU lock that it needs.
        let leader = NonNull::new(unsafe {
            bindings::checkpoint_job_leader(self.as_ptr(), kind == JobKind::Session)
        })?;

        // SAFETY: The reference that the function took is handed over. `Task` is a transparent wrapper
        // of `struct task_struct`.
        Some(unsafe { ARef::from_raw(leader.cast()) })
    }

    /// Tells whether the task has ended, so far that nothing of it changes any more.
    pub fn has_ended(&self) -> bool {
        // SAFETY: `self` is a valid task.
        unsafe { bindings::checkpoint_has_ended(self.as_ptr()) }
    }

    /// Tells whether the task, which is not the current one, is in vfork(2).
    pub fn is_vforking(&self) -> bool {
        // SAFETY: `self` is a valid task. The function takes the locks that it needs.
        !unsafe { bindings::checkpoint_vfork_child(self.as_ptr()) }.is_null()
    }

    /// Returns what has a number in the pid namespace of the current task, if anything has.
    pub fn taken(pid: Pid) -> Option<Taken> {
        let mut by = null_mut();

        // SAFETY: The function takes the RCU lock that it needs, and writes to `by`.
        let taken = unsafe { bindings::checkpoint_pid_taken(pid, &raw mut by) };
        // SAFETY: The reference that the function took is handed over. `Task` is a transparent
        // wrapper of `struct task_struct`.
        let task = NonNull::new(by).map(|task| unsafe { ARef::<Task>::from_raw(task.cast()) });

        taken.then(|| task.map_or(Taken::Group, Taken::Task))
    }

    /// Tells whether the current task may look at what this one is, by the rules of ptrace(2) for
    /// its credentials for files. Without that, /proc may hide the task.
    #[doc(alias = "ptrace_may_access")]
    pub fn may_look_at(&self) -> bool {
        // SAFETY: `self` is a valid task; the function takes the locks that it needs.
        unsafe { bindings::ptrace_may_access(self.as_ptr(), bindings::PTRACE_MODE_READ_FSCREDS) }
    }

    /// Tells whether the task has been killed: it ends without coming to user mode again. That may
    /// take a while, as a core dump does.
    pub fn is_killed(&self) -> bool {
        // SAFETY: `self` is a valid task.
        unsafe { bindings::checkpoint_is_killed(self.as_ptr()) }
    }
}

impl CurrentTask {
    /// Returns the leader of the current task's thread group.
    pub fn group(&self) -> ARef<Task> {
        // SAFETY: The leader of a task that lives is there. `Task` is a transparent wrapper of
        // `struct task_struct`.
        let leader: &Task = unsafe { &*(*self.as_ptr()).group_leader.cast() };

        leader.into()
    }
}

/// A process, whichever of its threads leads it.
///
/// # Invariants
///
/// The pointer is a reference.
pub struct Process(NonNull<bindings::pid>);

impl Process {
    /// Returns the process of a task, [`None`] if that is gone.
    pub fn of(task: &Task) -> Option<Self> {
        // SAFETY: `task` is a valid task. The function takes the RCU lock that it needs.
        let process = unsafe { bindings::checkpoint_process_of(task.as_ptr()) };

        // INVARIANT: The reference that the function took is handed over.
        NonNull::new(process).map(Self)
    }

    /// Finds the process that has a task with this number in the pid namespace of the current task.
    pub fn find(pid: Pid) -> Option<Self> {
        // SAFETY: The function has no requirements; it takes the RCU lock that it needs.
        let process = unsafe { bindings::checkpoint_process_find(pid) };

        // INVARIANT: The reference that the function took is handed over.
        NonNull::new(process).map(Self)
    }

    /// Returns the process with all that it has descended to: each task after its parent, threads
    /// behind the leader of their group, and the children of a task in their order.
    ///
    /// It is what was there at one moment. Tasks that end or begin meanwhile make it out of date.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the process is gone.
    pub fn tree(&self) -> Result<KVVec<ARef<Task>>> {
        let mut room = 64;

        loop {
            let mut found = KVVec::from_elem(null_mut(), room, GFP_KERNEL)?;
            // SAFETY: By the type invariants this is a valid process, and the vector has as many
            // places as the function is told. It takes the lock that it needs.
            let nr = unsafe {
                bindings::checkpoint_tree_find(self.0.as_ptr(), found.as_mut_ptr(), room as c_uint)
            };

            if nr == -(bindings::ENOSPC as c_int) {
                room = room.checked_mul(4).ok_or(ENOMEM)?;
                continue;
            }
            to_result(nr.min(0))?;
            found.truncate(nr as usize);

            let mut tasks = KVVec::new();
            let room = tasks.reserve(found.len(), GFP_KERNEL);
            for task in found {
                let Some(task) = NonNull::new(task) else {
                    continue;
                };
                // SAFETY: The reference that the function took is handed over.
                let task = unsafe { ARef::<Task>::from_raw(task.cast()) };

                if room.is_ok() {
                    tasks.push(task, GFP_KERNEL)?;
                }
            }
            room?;
            return Ok(tasks);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is given back.
        unsafe { bindings::put_pid(self.0.as_ptr()) };
    }
}
