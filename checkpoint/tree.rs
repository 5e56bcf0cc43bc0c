// SPDX-License-Identifier: GPL-2.0

//! The tasks that a checkpoint saves: making all of them stand still, and what they share.
//!
//! Tasks begin and end until all of them stand still. So the tree is walked again and again, and the
//! tasks that are new are stopped, until a walk finds none. A task that has ended by then is saved as
//! its parent is going to find it.
//!
//! Locks: none is held here.

use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::aref::ARef,
    task::{
        park::{
            Park,
            Unparked, //
        },
        tree::Kin,
        Task, //
    },
    time::Msecs,
    uapi, //
};

use crate::{
    log::Log,
    resource::Scope, //
};

/// How long the tasks may take to come to the edge of user mode, in milliseconds.
const PARK_LIMIT: Msecs = 5000;

/// A task of the tree.
pub(crate) struct Member {
    /// The task.
    pub(crate) task: ARef<Task>,
    /// How it is related to others.
    pub(crate) kin: Kin,
    /// It takes the checkpoint.
    pub(crate) is_caller: bool,
    /// It has ended, and threads of its process live: the place of the first.
    living: Option<usize>,
    /// Number of its parent, 1 is the first; 0 if it has none in the tree, or is not the leader of
    /// its group.
    pub(crate) parent: u32,
    /// Number of the first task with the same address space; 0 if this is it. The next are
    /// likewise.
    pub(crate) mm: u32,
    pub(crate) files: u32,
    pub(crate) fs: u32,
    pub(crate) sighand: u32,
    pub(crate) sysvsem: u32,
}

impl Member {
    /// Tells whether the task lives.
    pub(crate) fn is_alive(&self) -> bool {
        self.kin.exit_state == 0
    }

    /// Tells whether the task leads its thread group.
    pub(crate) fn is_leader(&self) -> bool {
        self.kin.leader == self.task.id()
    }

    /// Tells whether the task has ended, and threads of its process live.
    pub(crate) fn is_outlived(&self) -> bool {
        self.living.is_some()
    }

    /// Tells whether what has a scope comes with this task.
    fn has(&self, scope: Scope) -> bool {
        let is_process = self.is_leader() && (self.is_alive() || self.is_outlived());

        match scope {
            Scope::Task => true,
            Scope::Thread => self.is_alive(),
            Scope::Process => is_process,
            Scope::Mm => is_process && self.mm == 0,
            Scope::Files => self.is_alive() && self.files == 0,
            Scope::Fs => self.is_alive() && self.fs == 0,
        }
    }
}

/// All tasks that a checkpoint saves, in the order that the image has them.
pub(crate) struct Tree {
    members: KVVec<Member>,
}

impl Tree {
    /// Returns the tasks in their order.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the task that has a scope at the place of a member, [`None`] if another member has.
    pub(crate) fn owner(&self, place: usize, scope: Scope) -> Option<&Task> {
        let member = self.members.get(place).filter(|member| member.has(scope))?;

        match (scope, member.living) {
            (Scope::Mm, Some(living)) => self.members.get(living),
            _ => Some(member),
        }
        .map(|member| &*member.task)
    }

    /// Returns how many tasks live that `shared` is the same of.
    pub(crate) fn users(&self, of: &Kin, shared: impl Fn(&Kin) -> usize) -> usize {
        self.members
            .iter()
            .filter(|member| member.is_alive() && shared(&member.kin) == shared(of))
            .count()
    }

    /// Returns the place of a task, if it is in the tree.
    pub(crate) fn place_of(&self, task: &Task) -> Option<usize> {
        self.members
            .iter()
            .position(|member| member.task.id() == task.id())
    }

    /// Returns the place of the process with a number, if it is in the tree.
    pub(crate) fn process(&self, pid: i32) -> Option<usize> {
        self.members
            .iter()
            .position(|member| member.is_leader() && member.kin.pid == pid)
    }

    /// Finds out what the tasks share.
    fn new(tasks: KVVec<ARef<Task>>) -> Result<Self> {
        let mut members = KVVec::<Member>::with_capacity(tasks.len(), GFP_KERNEL_ACCOUNT)?;
        let mut places = RBTree::<usize, u32>::new();
        // Of each kind: what it is, and the number of the first task that has it.
        let mut shared: [RBTree<usize, u32>; 5] = core::array::from_fn(|_| RBTree::new());

        for task in tasks {
            let kin = task.kin();
            let is_caller = task.as_ptr() == current!().as_ptr();
            // At most CR_TASKS_MAX.
            let number = members.len() as u32 + 1;

            places.try_create_and_insert(task.id(), number, GFP_KERNEL_ACCOUNT)?;
            let parent = match kin.leader == task.id() {
                true => places.get(&kin.parent).copied().unwrap_or(0),
                false => 0,
            };
            members.push(
                Member {
                    task,
                    kin,
                    is_caller,
                    living: None,
                    parent,
                    mm: 0,
                    files: 0,
                    fs: 0,
                    sighand: 0,
                    sysvsem: 0,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }

        for place in 0..members.len() {
            let Some(member) = members.get(place) else {
                continue;
            };
            let leads = member.is_leader();
            let mut kin = member.kin;

            // What a process has is with its leader, even if only another thread lives.
            if leads && !member.is_alive() {
                let group = members.get(place + 1..).unwrap_or(&[]);
                let living = group
                    .iter()
                    .take_while(|other| other.kin.leader == kin.leader)
                    .position(Member::is_alive);
                if let Some(living) = living {
                    let living = place + 1 + living;

                    kin.mm = members.get(living).map_or(0, |thread| thread.kin.mm);
                    if let Some(member) = members.get_mut(place) {
                        member.living = Some(living);
                    }
                } else {
                    // Nothing is left of it.
                    continue;
                }
            }
            let number = place as u32 + 1;
            let mut refs = [0; 5];
            let ids = [kin.mm, kin.files, kin.fs, kin.sighand, kin.sysvsem];
            for ((first, id), objref) in shared.iter_mut().zip(ids).zip(&mut refs) {
                if id == 0 {
                    continue;
                }
                match first.get(&id) {
                    Some(number) => *objref = *number,
                    None => {
                        first.try_create_and_insert(id, number, GFP_KERNEL_ACCOUNT)?;
                    }
                }
            }
            if let Some(member) = members.get_mut(place) {
                [
                    member.mm,
                    member.files,
                    member.fs,
                    member.sighand,
                    member.sysvsem,
                ] = refs;
            }
        }
        Ok(Self { members })
    }
}

/// Checks that the caller may look at all of a task.
fn check_access(task: &Task, log: &mut Log) -> Result {
    if task.may_attach() {
        return Ok(());
    }
    // Not the name: /proc may hide the task from the caller.
    log.line(format_args!(
        "pid {}: the caller may not trace it",
        task.vpid()
    ));
    Err(EPERM)
}

/// Refuses a task that does not stand still by itself, or not for the caller.
fn check_fit(task: &Task, log: &mut Log) -> Result {
    check_access(task, log)?;
    if task.is_kernel_thread() {
        log.task(task, format_args!("a kernel thread is not supported"));
        return Err(EOPNOTSUPP);
    }
    // It waits for its tracer, and does not come to the edge of user mode by itself.
    if task.is_traced() {
        log.task(task, format_args!("a traced task is not supported"));
        return Err(EOPNOTSUPP);
    }
    Ok(())
}

/// Says why a task does not stand still.
fn reason(why: Unparked) -> &'static str {
    match why {
        Unparked::Gone => "is about to exit",
        Unparked::Late => "does not come to rest: it sleeps uninterruptibly",
        Unparked::Taken => "another checkpoint of it is under way",
        Unparked::Interrupted => "interrupted by a signal",
        Unparked::NoMemory => "no memory",
    }
}

/// Logs why a task does not stand still.
fn unparked(task: &Task, why: Unparked, log: &mut Log) -> Error {
    log.task(task, format_args!("{}", reason(why)));
    why.into()
}

/// Makes a process and all its descendants stand still, as far as they live.
///
/// No task may die before [`Park::let_die`]. The caller may be one of them, and goes on.
pub(crate) fn stop(root: &Task, log: &mut Log) -> Result<(Park, Tree)> {
    let mut park = Park::new()?;
    let mut asked = RBTree::<usize, ()>::new();
    let mut left = PARK_LIMIT;

    loop {
        let tasks = root.tree()?;
        let mut new = false;

        if tasks.len() > uapi::CR_TASKS_MAX as usize {
            log.task(
                root,
                format_args!("a tree of {} tasks is not supported", tasks.len()),
            );
            return Err(EOPNOTSUPP);
        }
        if root.has_ended() && tasks.len() <= 1 {
            return Err(unparked(root, Unparked::Gone, log));
        }
        // Asked before, so that nobody is held up by a stranger.
        for task in &tasks {
            if asked.get(&task.id()).is_none() && !task.has_ended() {
                check_fit(task, log)?;
            }
        }
        for task in &tasks {
            if asked.get(&task.id()).is_some() || task.has_ended() {
                continue;
            }
            new = true;
            match park.add(task.clone()) {
                Ok(()) => {
                    asked.try_create_and_insert(task.id(), (), GFP_KERNEL_ACCOUNT)?;
                }
                // The next walk finds it as one that has ended, or not at all.
                Err(Unparked::Gone) if left > 0 => left -= 1,
                Err(why) => return Err(unparked(task, why, log)),
            }
        }
        park.settle(&mut left)
            .map_err(|(task, why)| unparked(task.as_deref().unwrap_or(root), why, log))?;
        if new {
            continue;
        }
        // An execve(2) that was under way may have given a task other credentials, and another
        // memory.
        for task in &tasks {
            if !task.has_ended() {
                check_fit(task, log)?;
            }
        }
        if park.hold() {
            // What has ended in the meantime is known now.
            let tasks = root.tree()?;
            if tasks
                .iter()
                .all(|task| task.has_ended() || asked.get(&task.id()).is_some())
            {
                return Ok((park, Tree::new(tasks)?));
            }
            // It was made by a task that is gone, and is not asked for while others are held.
            log.task(root, format_args!("its tree changes all the time"));
            return Err(EBUSY);
        }
    }
}
