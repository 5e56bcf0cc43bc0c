// SPDX-License-Identifier: GPL-2.0

//! All tasks of an image together: whose child, thread and sharer each of them is.
//!
//! A [`Checker`](super::Checker) sees one task at a time. What takes all of them is checked here,
//! in memory of the reader's, for the kernel and for the host alike.

use super::{
    Reason,
    Task, //
};

/// The tasks of an image, which are a tree.
///
/// # Invariants
///
/// `by_pid` has the place of every task in `tasks`, ascending by pid; all pids are different.
/// Everything that [`Self::check`] tells holds.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    tasks: &'a [Task],
    by_pid: &'a [u32],
}

/// What of another task a task may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Its address space.
    Mm,
    /// Its descriptor table.
    Files,
    /// The place where its paths begin.
    Fs,
    /// The actions of its signals.
    Sighand,
    /// Its list for `SEM_UNDO`.
    Sysvsem,
}

impl Shared {
    /// All of them.
    pub const ALL: [Shared; 5] = [
        Shared::Mm,
        Shared::Files,
        Shared::Fs,
        Shared::Sighand,
        Shared::Sysvsem,
    ];

    /// Returns the name of its field in [`Task`].
    pub const fn field(self) -> &'static str {
        match self {
            Shared::Mm => "mm",
            Shared::Files => "files",
            Shared::Fs => "fs",
            Shared::Sighand => "sighand",
            Shared::Sysvsem => "sysvsem",
        }
    }

    /// Returns the number of the task that `task` has it of, 0 if of none.
    const fn number(self, task: &Task) -> u32 {
        match self {
            Shared::Mm => task.mm,
            Shared::Files => task.files,
            Shared::Fs => task.fs,
            Shared::Sighand => task.sighand,
            Shared::Sysvsem => task.sysvsem,
        }
    }

    /// Tells whether one of its own belongs to `task`.
    const fn is_own(self, task: &Task) -> bool {
        match self {
            Shared::Mm => task.has_mm(),
            Shared::Files => task.has_files(),
            Shared::Fs => task.has_fs(),
            Shared::Sighand => task.is_process() && task.sighand == 0,
            Shared::Sysvsem => task.has_undo_list(),
        }
    }

    /// Tells whether `task` has one, be it its own or not.
    const fn is_of(self, task: &Task) -> bool {
        match self {
            Shared::Mm | Shared::Sighand => task.is_alive() || task.is_process(),
            Shared::Files | Shared::Fs => task.is_alive(),
            Shared::Sysvsem => task.has_sysvsem(),
        }
    }

    /// Returns what a task has to be that others have it of.
    const fn expected(self) -> &'static str {
        match self {
            Shared::Mm => "number of a task that came with an address space",
            Shared::Files => "number of a task that came with a descriptor table",
            Shared::Fs => "number of a task that came with paths",
            Shared::Sighand => "number of a task that came with signal actions",
            Shared::Sysvsem => "number of a task that came with a list for SEM_UNDO",
        }
    }
}

impl<'a> Tree<'a> {
    /// Checks all tasks of an image, in their order, each of which a
    /// [`Checker`](super::Checker) has taken.
    ///
    /// - No two have one pid.
    /// - A thread comes behind the leader of its group and the threads of that, and no other task is
    ///   between them. It is of the process group and session of its leader.
    /// - Threads come behind a leader that has ended if, and only if, it is `CR_TASK_OUTLIVED`.
    /// - A parent comes before its children, and lives.
    /// - What a task shares came with the task that it names, and a task that has ended shares
    ///   nothing, but for what the threads of its process live on with.
    /// - What a task waits for by vfork(2) comes behind it, and lives.
    /// - A thread has the address space and the signal actions of its leader. Whoever has the signal
    ///   actions of another task has the address space of that, too: clone(2) has it so.
    ///
    /// `by_pid` is as long as `tasks`; what is in it does not matter.
    ///
    /// Fails with the index of the first task that is wrong. Takes `n log(n)` steps for `n` tasks.
    pub fn check(tasks: &'a [Task], by_pid: &'a mut [u32]) -> Result<Self, (usize, Reason)> {
        if by_pid.len() != tasks.len() || u32::try_from(tasks.len()).is_err() {
            return Err((0, Reason::Protocol));
        }
        for (place, index) in by_pid.iter_mut().zip(0..) {
            *place = index;
        }
        // Those with one pid in the order of the image, so that the second is the wrong one.
        sort(by_pid, |index| (pid_at(tasks, index), index));

        let tree = Self { tasks, by_pid };
        // Where the leader is of the group that the tasks are in.
        let mut leader = 0;
        for (index, task) in tasks.iter().enumerate() {
            if task.is_leader() {
                tree.check_group(leader, index)?;
                leader = index;
            }
            tree.check_task(index, task, leader)
                .map_err(|reason| (index, reason))?;
        }
        tree.check_group(leader, tasks.len())?;
        Ok(tree)
    }

    /// Returns how many tasks there are.
    pub const fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns whether there is no task.
    pub const fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Returns the index of the task with `pid`, [`None`] if it is of none.
    pub fn find(&self, pid: i32) -> Option<usize> {
        let place = self
            .by_pid
            .partition_point(|&index| pid_at(self.tasks, index) < pid);
        let index = *self.by_pid.get(place)? as usize;
        (self.tasks.get(index)?.pid == pid).then_some(index)
    }

    /// Returns the index of the parent of a task, [`None`] of the first task and of threads.
    pub fn parent(&self, index: usize) -> Option<usize> {
        self.find(self.tasks.get(index)?.ppid)
    }

    /// Returns the index of the leader of the thread group of a task, which may be that task.
    pub fn leader(&self, index: usize) -> Option<usize> {
        self.find(self.tasks.get(index)?.tgid)
    }

    /// Returns the index of the task that came with what a task has, which may be that task.
    /// [`None`] if it has none, because it has ended.
    pub fn owner(&self, index: usize, shared: Shared) -> Option<usize> {
        owner(index, self.tasks.get(index)?, shared)
    }

    /// Checks a task whose leader is thought to be that at `leader`.
    fn check_task(&self, index: usize, task: &Task, leader: usize) -> Result<(), Reason> {
        if self.find(task.pid) != Some(index) {
            return Err(Reason::Taken {
                field: "pid",
                found: task.pid,
            });
        }
        if !task.is_leader() {
            self.check_thread(task, leader)?;
        } else if index > 0 {
            let parent = self.before(index, task.ppid);
            if !parent.is_some_and(Task::is_alive) {
                return Err(Reason::WrongTask {
                    field: "ppid",
                    found: task.ppid.unsigned_abs(),
                    expected: "pid of a task before it that lives",
                });
            }
        }
        for shared in Shared::ALL {
            self.check_shared(index, task, shared)?;
        }
        // Who waits is there before what it waits for.
        let waits = task.vfork != 0;
        let child = self.find(task.vfork).filter(|&child| child > index);
        if waits && !self.child(child).is_some_and(Task::is_alive) {
            return Err(Reason::WrongTask {
                field: "vfork",
                found: task.vfork.unsigned_abs(),
                expected: "pid of a task behind it that lives",
            });
        }
        Ok(())
    }

    /// Returns the task that another waits for.
    fn child(&self, index: Option<usize>) -> Option<&'a Task> {
        self.tasks.get(index?)
    }

    /// Checks what a task has because it is a thread of the process of another.
    fn check_thread(&self, task: &Task, leader: usize) -> Result<(), Reason> {
        let of = |expected| Reason::WrongTask {
            field: "tgid",
            found: task.tgid.unsigned_abs(),
            expected,
        };
        let before = self.tasks.get(leader).ok_or(Reason::Protocol)?;
        if before.pid != task.tgid {
            return Err(of("pid of the leader before it"));
        }
        if !before.is_process() {
            return Err(of("pid of a leader whose threads live on"));
        }
        Reason::unless_equal("pgid", task.pgid, before.pgid)?;
        Reason::unless_equal("sid", task.sid, before.sid)?;
        for shared in [Shared::Mm, Shared::Sighand] {
            let number = owner(leader, before, shared).map_or(0, |owner| owner.saturating_add(1));
            let number = u32::try_from(number).map_err(|_| Reason::Protocol)?;
            Reason::unless_equal(shared.field(), shared.number(task), number)?;
        }
        Ok(())
    }

    /// Checks what a task has of another.
    fn check_shared(&self, index: usize, task: &Task, shared: Shared) -> Result<(), Reason> {
        let number = shared.number(task);
        if !shared.is_of(task) {
            return Reason::unless_equal(shared.field(), number, 0u32);
        }
        let Some(owner) = owner(index, task, shared).filter(|&owner| owner != index) else {
            return Ok(());
        };
        let wrong = |expected| Reason::WrongTask {
            field: shared.field(),
            found: number,
            expected,
        };
        let of = self
            .tasks
            .get(..index)
            .and_then(|before| before.get(owner))
            .filter(|of| shared.is_own(of))
            .ok_or(wrong(shared.expected()))?;
        if shared == Shared::Sighand && self.owner(index, Shared::Mm) != mm_owner(owner, of) {
            return Err(wrong("number of a task with the same address space"));
        }
        Ok(())
    }

    /// Checks a thread group that is complete: the tasks from `leader` up to `end`.
    fn check_group(&self, leader: usize, end: usize) -> Result<(), (usize, Reason)> {
        match self.tasks.get(leader..end) {
            Some([task]) if task.is_process() && !task.is_alive() => {
                Err((leader, Reason::NoThread))
            }
            _ => Ok(()),
        }
    }

    /// Returns the task with `pid` if it comes before that at `index`.
    fn before(&self, index: usize, pid: i32) -> Option<&'a Task> {
        let before = self.find(pid).filter(|&before| before < index)?;
        self.tasks.get(before)
    }
}

/// Returns the index of the task that came with what the task at `index` has.
fn owner(index: usize, task: &Task, shared: Shared) -> Option<usize> {
    match shared.number(task) {
        0 => shared.is_own(task).then_some(index),
        number => (number as usize).checked_sub(1),
    }
}

/// Returns the index of the task that came with the address space of the task at `index`.
fn mm_owner(index: usize, task: &Task) -> Option<usize> {
    owner(index, task, Shared::Mm)
}

/// Returns the pid of a task.
fn pid_at(tasks: &[Task], index: u32) -> i32 {
    tasks.get(index as usize).map_or(0, |task| task.pid)
}

/// Sorts by a heap: in place, and on a stack of a size that no image has a say in, which is not so
/// of what `core` has.
fn sort<K: Ord>(items: &mut [u32], key: impl Fn(u32) -> K) {
    for top in (0..items.len().div_ceil(2)).rev() {
        sift_down(items, top, &key);
    }
    let mut heap = items;
    while let Some(last) = heap.len().checked_sub(1) {
        heap.swap(0, last);
        heap = heap.split_at_mut(last).0;
        sift_down(heap, 0, &key);
    }
}

/// Moves what is at `top` down to where nothing below it is greater.
fn sift_down<K: Ord>(heap: &mut [u32], mut top: usize, key: &impl Fn(u32) -> K) {
    loop {
        let left = top.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let at = |place: usize| heap.get(place).map(|&item| key(item));
        let child = if at(right) > at(left) { right } else { left };
        // Nothing is less than anything: that ends it where there is no child.
        if at(child) <= at(top) {
            return;
        }
        heap.swap(top, child);
        top = child;
    }
}
