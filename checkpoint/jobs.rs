// SPDX-License-Identifier: GPL-2.0

//! Job control of a tree: process groups and sessions, who leads them, and their terminal.
//!
//! The group and the session of the first task are those that the caller has. Any other is led by a task
//! of the image, or its leader is gone: then a task is made that has the number until others are in the
//! group or session, and keep it.
//!
//! Locks: none is held here.

use kernel::{
    prelude::*,
    rbtree::RBTree,
    task::{
        crew::{
            Job,
            Member,
            Relation,
            Worker, //
        },
        CurrentTask,
        Pid,
        Task, //
    }, //
};

use crate::{
    image::{
        self,
        Tree, //
    },
    resource::Restart,
    uapi, //
};

/// What job control there is among the tasks of an image.
pub(crate) struct Jobs {
    /// The numbers of groups and sessions of which the leader is gone.
    leaderless: KVVec<Pid>,
    /// Who leads each of them, and of those that others than the first lead.
    leaders: RBTree<Pid, Leader>,
    /// The task that leads the group of the first, if that is another one.
    root_joins: Option<usize>,
}

/// Who leads a group or a session, by the place of it.
#[derive(Clone, Copy)]
enum Leader {
    Task(usize),
    Leaderless(usize),
}

/// Returns the place of the process with a number.
fn process(tree: &Tree<'_>, tasks: &[image::Task], pid: Pid) -> Option<usize> {
    tree.find(pid)
        .filter(|&place| tasks.get(place).is_some_and(image::Task::is_leader))
}

impl Jobs {
    /// Checks that system calls could have made the groups and sessions of an image. Nothing is made
    /// yet.
    pub(crate) fn check(
        cx: &mut Restart<'_>,
        caller: &Task,
        tree: &Tree<'_>,
        tasks: &[image::Task],
    ) -> Result<Self> {
        let first = tasks.first().ok_or(EINVAL)?;
        let mut sessions = RBTree::<Pid, Pid>::new();
        let mut leaders = RBTree::<Pid, Leader>::new();
        let mut leaderless = KVVec::new();

        for task in tasks.iter().filter(|task| task.is_leader()) {
            let pid = task.pid;
            let session = match sessions.get(&task.pgid) {
                Some(session) => *session,
                None => {
                    sessions.try_create_and_insert(task.pgid, task.sid, GFP_KERNEL_ACCOUNT)?;
                    task.sid
                }
            };
            let led = |id| process(tree, tasks, id).and_then(|place| tasks.get(place));
            let fits = session == task.sid
                && led(task.pgid).is_none_or(|leader| leader.sid == task.sid)
                && led(task.sid).is_none_or(|leader| leader.sid == leader.pid)
                && (pid != task.sid || pid == task.pgid);
            if !fits {
                return Err(cx.fail(
                    EINVAL,
                    format_args!(
                        "task {pid}: process group {} is not one of session {}",
                        task.pgid, task.sid
                    ),
                ));
            }

            for (what, id, own) in [
                ("process group", task.pgid, first.pgid),
                ("session", task.sid, first.sid),
            ] {
                if leaders.get(&id).is_some() {
                    continue;
                }
                match process(tree, tasks, id) {
                    Some(0) => continue,
                    Some(place) => {
                        leaders.try_create_and_insert(
                            id,
                            Leader::Task(place),
                            GFP_KERNEL_ACCOUNT,
                        )?;
                        continue;
                    }
                    None if id == own => continue,
                    None => (),
                }
                // A thread has the number, or nobody has.
                if tree.find(id).is_some() || id == 0 {
                    return Err(
                        cx.fail(EINVAL, format_args!("task {pid}: nobody leads {what} {id}"))
                    );
                }
                if cx.flags & uapi::RESTART_NEW_PIDS == 0 {
                    if let Some(by) = Task::taken(id) {
                        return Err(cx.fail(
                            EEXIST,
                            format_args!("{what} {id}: the number is taken by {by}"),
                        ));
                    }
                }
                let leader = Leader::Leaderless(leaderless.len());
                leaders.try_create_and_insert(id, leader, GFP_KERNEL_ACCOUNT)?;
                leaderless.push(id, GFP_KERNEL_ACCOUNT)?;
            }
        }

        let root_joins = process(tree, tasks, first.pgid).filter(|&place| place != 0);
        let kin = caller.kin();
        if root_joins.is_some() && kin.pid == kin.sid {
            return Err(cx.fail(
                EPERM,
                format_args!(
                    "process group {}: the caller leads a session, and cannot be of another's group",
                    first.pgid
                ),
            ));
        }
        Ok(Self {
            leaderless,
            leaders,
            root_joins,
        })
    }

    /// Makes the tasks that have the numbers of groups and sessions without a leader.
    pub(crate) fn places<T: Member>(&self, cx: &mut Restart<'_>) -> Result<KVVec<Worker<T>>> {
        let mut places = KVVec::with_capacity(self.leaderless.len(), GFP_KERNEL_ACCOUNT)?;
        let chosen = cx.flags & uapi::RESTART_NEW_PIDS == 0;

        for &id in &self.leaderless {
            let relation = Relation::Child { sighand: false };
            match Worker::create(relation, chosen.then_some(id), |_, _| ()) {
                Ok((worker, ())) => places.push(worker, GFP_KERNEL_ACCOUNT)?,
                Err(e) if e == EEXIST => {
                    return Err(cx.fail(e, format_args!("process group {id}: the number is taken")))
                }
                Err(e) if e == EPERM => {
                    return Err(cx.fail(
                        e,
                        format_args!("process group {id}: the caller may not choose its number"),
                    ))
                }
                Err(e) => {
                    return Err(cx.fail(
                        e,
                        format_args!("process group {id}: it cannot be made: {e:?}"),
                    ))
                }
            }
        }
        Ok(places)
    }

    /// Makes every process one of its group and session. What has the numbers of those without a leader
    /// is not needed any more after this.
    pub(crate) fn join<'a, T: Member + 'a>(
        &self,
        caller: &CurrentTask,
        places: &[Worker<T>],
        tasks: impl Iterator<Item = &'a image::Task> + Clone,
        workers: &[Option<Worker<T>>],
    ) {
        let Some(first) = tasks.clone().next() else {
            return;
        };
        let worker = |place: usize| {
            place
                .checked_sub(1)
                .and_then(|place| workers.get(place))
                .and_then(Option::as_ref)
        };
        let job = |id: Pid, own: Pid| {
            let found = self.leaders.get(&id).and_then(|leader| match *leader {
                Leader::Task(place) => worker(place),
                Leader::Leaderless(place) => places.get(place),
            });

            match found.map(|worker| Job::Led(worker.task())) {
                Some(job) => job,
                // The first has left the group that it led.
                None if id == first.pid && id != own => Job::Led(caller),
                None => Job::Of(caller),
            }
        };

        let others = || tasks.clone().enumerate().skip(1);
        for (place, task) in others().filter(|(_, task)| task.is_leader()) {
            let Some(worker) = worker(place) else {
                continue;
            };

            worker.join(job(task.pgid, first.pgid), job(task.sid, first.sid));
            // It has that of the caller, from whom it descends.
            let lost = first.flags & !task.flags & uapi::CR_TASK_TTY != 0;
            if lost && task.sid == first.sid {
                worker.drop_tty();
            }
        }

        let in_front = others().find(|(_, task)| {
            task.flags & uapi::CR_TASK_FOREGROUND != 0
                && (task.pgid != first.pgid || self.root_joins.is_some())
        });
        if let Some(worker) = in_front.and_then(|(place, _)| worker(place)) {
            worker.foreground(caller);
        }
        if let Some(leader) = self.root_joins.and_then(worker) {
            caller.join(Job::Led(leader.task()));
        }
    }
}
