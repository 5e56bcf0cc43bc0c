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
        tree::{
            Kin,
            Process, //
        },
        Pid,
        Task, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
    uapi, //
};

use crate::log::Log;

/// How long the tasks may take to come to the edge of user mode.
const PARK_LIMIT: Delta = Delta::from_millis(5000);

/// With which tasks of an image something comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// With every task.
    Task,
    /// With every task that lives.
    Thread,
    /// With the leader of every thread group of which a thread lives. Such a leader may have ended.
    Process,
    /// With the first of the tasks that have one address space.
    Mm,
    /// Likewise of a descriptor table.
    Files,
    /// Likewise of the place where paths begin.
    Fs,
}

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
    /// Number of the task that its vfork(2) waits for; 0 if it is in none.
    vfork: u32,
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

    /// Tells whether what its process has in common comes with this task.
    pub(crate) fn has_process(&self) -> bool {
        self.is_leader() && (self.is_alive() || self.is_outlived())
    }

    /// Tells whether what has a scope comes with this task.
    fn has(&self, scope: Scope) -> bool {
        let is_process = self.has_process();

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
    /// Of what is shared: how many tasks live that have it.
    users: RBTree<usize, usize>,
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
        self.users.get(&shared(of)).copied().unwrap_or(0)
    }

    /// Returns the number of the task that vfork(2) of a member waits for, 0 if it is in none.
    pub(crate) fn vfork(&self, member: &Member) -> i32 {
        let place = (member.vfork as usize).checked_sub(1);

        place
            .and_then(|place| self.members.get(place))
            .map_or(0, |child| child.kin.pid)
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
    fn new(tasks: KVVec<ARef<Task>>, park: &Park) -> Result<Self> {
        let mut members = KVVec::<Member>::with_capacity(tasks.len(), GFP_KERNEL_ACCOUNT)?;
        let mut places = RBTree::<usize, u32>::new();
        let mut users = RBTree::<usize, usize>::new();
        // Of each kind: what it is, and the number of the first task that has it.
        let mut shared: [RBTree<usize, u32>; 5] = core::array::from_fn(|_| RBTree::new());

        for task in tasks {
            let kin = task.kin();
            let is_caller = task.as_ptr() == current!().as_ptr();
            // At most CR_TASKS_MAX.
            let number = members.len() as u32 + 1;

            // All of them are different objects in memory.
            for id in [kin.mm, kin.files, kin.fs, kin.sighand, kin.sysvsem] {
                if id == 0 || kin.exit_state != 0 {
                    continue;
                }
                match users.get_mut(&id) {
                    Some(nr) => *nr += 1,
                    None => {
                        users.try_create_and_insert(id, 1, GFP_KERNEL_ACCOUNT)?;
                    }
                }
            }
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
                    vfork: 0,
                    sysvsem: 0,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }

        for (task, child) in park.vforks() {
            let place = places.get(task).and_then(|number| number.checked_sub(1));
            let member = place.and_then(|place| members.get_mut(place as usize));

            if let Some(member) = member {
                member.vfork = places.get(child).copied().unwrap_or(0);
            }
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
        Ok(Self { members, users })
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
        Unparked::Frozen => "is frozen in the middle of a system call",
        Unparked::Taken | Unparked::Restarting => {
            "another checkpoint of it, or its restart, is under way"
        }
        Unparked::Interrupted => "interrupted by a signal",
        Unparked::NoMemory => "no memory",
    }
}

/// Logs why a task does not stand still.
fn unparked(task: &Task, why: Unparked, log: &mut Log) -> Error {
    log.task(task, format_args!("{}", reason(why)));
    why.into()
}

/// Makes a process and all its descendants stand still, as far as they live. `pid` is what the caller
/// called it.
///
/// No task may die before [`Park::let_die`]. The caller may be one of them, and goes on.
pub(crate) fn stop(process: &Process, pid: Pid, log: &mut Log) -> Result<(Park, Tree)> {
    let mut park = Park::new()?;
    // Those that were asked, and those that were seen to have ended. Each is held, so that its number
    // is not that of another.
    let mut known = RBTree::<usize, ARef<Task>>::new();
    let since = Instant::<Monotonic>::now();
    let mut micros = 0;

    loop {
        let tasks = process
            .tree()
            .inspect_err(|_| log.line(format_args!("pid {pid}: is about to exit")))?;
        let root = tasks.first().ok_or(ESRCH)?;
        let mut new = false;
        // That it has died is known when it has come to its end, which a core dump delays.
        let mut dying = None;
        // It is in user mode soon, but for one that waits for its image.
        let mut restarting = None;

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
            if known.get(&task.id()).is_none() && !task.has_ended() {
                check_fit(task, log)?;
            }
        }
        for task in &tasks {
            if known.get(&task.id()).is_some() {
                continue;
            }
            // What it made between the walk and its end is in the next walk.
            if !task.has_ended() {
                if task.is_killed() {
                    dying = Some(task);
                    continue;
                }
                match park.add(task.clone()) {
                    Ok(()) => (),
                    // The next walk finds it as one that has ended, or not at all.
                    Err(Unparked::Gone) => {
                        dying = Some(task);
                        continue;
                    }
                    Err(Unparked::Restarting) => {
                        restarting = Some(task);
                        continue;
                    }
                    Err(why) => return Err(unparked(task, why, log)),
                }
            }
            new = true;
            known.try_create_and_insert(task.id(), task.clone(), GFP_KERNEL_ACCOUNT)?;
        }
        park.settle(since, PARK_LIMIT)
            .map_err(|(task, why)| unparked(task.as_deref().unwrap_or(root), why, log))?;

        if since.elapsed() > PARK_LIMIT {
            if let Some(task) = restarting {
                return Err(unparked(task, Unparked::Restarting, log));
            }
            let task = dying.unwrap_or(root);

            log.task(
                task,
                format_args!("does not come to rest: its tree changes all the time"),
            );
            return Err(EBUSY);
        }
        if dying.is_some() || restarting.is_some() {
            Park::pause(&mut micros).map_err(|why| unparked(root, why, log))?;
            continue;
        }
        if new {
            continue;
        }
        match park.find_vforks() {
            Ok(()) => (),
            Err(None) => return Err(ENOMEM),
            Err(Some(task)) if task.is_vforking() => {
                log.task(
                    &task,
                    format_args!("vfork(2) of a task outside of the tree is not supported"),
                );
                return Err(EOPNOTSUPP);
            }
            // It has been let go.
            Err(Some(_)) => continue,
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
            let tasks = process.tree()?;
            if tasks
                .iter()
                .all(|task| task.has_ended() || known.get(&task.id()).is_some())
            {
                let tree = Tree::new(tasks, &park)?;
                return Ok((park, tree));
            }
            // A last walk saw none that is not held, and those that are held make none: what made this one
            // is gone, and others are not asked while the tree is held.
            log.task(root, format_args!("its tree changes all the time"));
            return Err(EBUSY);
        }
    }
}
