// SPDX-License-Identifier: GPL-2.0

//! What a task is besides all that it has: its name, its life and death, its statistics.
//!
//! The statistics of an image are checked and shown by the tools: a caller that keeps running after
//! restart(2) keeps its own, which resource limits and accounting count on. Its numbers and its parent
//! are the caller's, as after execve(2), and so are its control groups and namespaces. The other tasks
//! have the numbers that they had, by which they were made; what tells the parent of the end of each
//! is set here.
//!
//! What a task may have, and no image holds, is refused here.

use kernel::{
    prelude::*,
    task::{
        state::{
            Comm,
            Life,
            Usage, //
        },
        tree::Kin,
        CurrentTask,
        Pid,
        Task, //
    }, //
};

use crate::{
    image::{
        self,
        Item,
        Text, //
    },
    resource::{
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
    tree::Member,
    uapi, //
};

pub(crate) struct TaskState;

/// What was found.
pub(crate) struct Found {
    comm: Comm,
    life: Life,
    usage: Usage,
    kin: Kin,
    relations: Relations,
}

/// By which numbers a task refers to others.
#[derive(Clone, Copy, Default)]
struct Relations {
    ppid: Pid,
    flags: u32,
    mm: u32,
    files: u32,
    fs: u32,
    sighand: u32,
}

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    comm: Option<Comm>,
    /// The record before was that of the task. Paths of files are texts, too.
    name_is_next: bool,
    /// The signal that the parent gets when the task ends, if it leads its group.
    exit_signal: Option<i32>,
}

/// What is committed.
pub(crate) struct Prepared {
    comm: Option<Comm>,
    exit_signal: Option<i32>,
}

impl Found {
    fn of(task: &Task, relations: Relations) -> Self {
        Self {
            comm: task.comm(),
            life: task.life(),
            usage: task.usage(),
            kin: task.kin(),
            relations,
        }
    }

    /// The state is not that of standing still for the checkpoint: where the task is at the edge of
    /// user mode, it runs. That job control has stopped it is said with its signals.
    fn task(&self) -> image::Task {
        let Self {
            kin, relations, ..
        } = self;

        image::Task {
            state: 0,
            exit_state: match kin.exit_state {
                0 => 0,
                _ => uapi::CR_EXIT_ZOMBIE,
            },
            exit_code: kin.exit_code,
            exit_signal: match kin.pid == kin.tgid {
                true => self.life.exit_signal,
                false => -1,
            },
            task_comm_len: self.comm.as_bytes().len() as i32,
            pid: kin.pid,
            pgid: kin.pgid,
            sid: kin.sid,
            tgid: kin.tgid,
            ppid: relations.ppid,
            flags: relations.flags,
            mm: relations.mm,
            files: relations.files,
            fs: relations.fs,
            sighand: relations.sighand,
            reserved: 0,
        }
    }

    fn stats(&self) -> image::TaskStats {
        let usage = &self.usage;

        image::TaskStats {
            utime: usage.cputime.0,
            stime: usage.cputime.1,
            utimescaled: usage.cputime_scaled.0,
            stimescaled: usage.cputime_scaled.1,
            gtime: usage.gtime,
            prev_utime: usage.prev_cputime.0,
            prev_stime: usage.prev_cputime.1,
            nvcsw: usage.nvcsw,
            nivcsw: usage.nivcsw,
            start_time: usage.start_time,
            start_boottime: usage.start_boottime,
            min_flt: usage.min_flt,
            maj_flt: usage.maj_flt,
        }
    }
}

/// Returns the place of a task with a number.
fn place_of(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

/// Refuses a process group or session that nobody of the tree leads, unless it is that of the first
/// task, for which the restarter has one.
fn check_jobs(cx: &mut Collect<'_>, member: &Member) -> Result {
    let tree = cx.tree;
    let Some(root) = tree.members().first() else {
        return Err(EINVAL);
    };
    if !member.is_leader() {
        return Ok(());
    }
    let (own, first) = (&member.kin, &root.kin);

    for (what, id, root) in [
        ("process group", own.pgid, first.pgid),
        ("session", own.sid, first.sid),
    ] {
        if id != root && tree.process(id).is_none() {
            cx.refuse_further(format_args!("{what} {id}, of which the leader is not in the tree,"))?;
        }
    }
    Ok(())
}

impl Resource for TaskState {
    const SCOPE: Scope = Scope::Task;

    type Found = Found;
    type Image = Image;
    type Prepared = Prepared;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let task = cx.task;

        let member = cx.member()?;
        let parent = place_of(member.parent)
            .and_then(|place| cx.tree.members().get(place))
            .map_or(0, |parent| parent.kin.pid);

        let first = cx.tree.members().first().map(|root| root.kin.pid_ns);
        if first != Some(member.kin.pid_ns) {
            cx.refuse_further(format_args!("another pid namespace than that of the first task"))?;
        }
        if member.is_alive() {
            if task.is_kernel() {
                return Err(cx.refuse(format_args!("a kernel thread")));
            }
            for what in task.obstacles().iter() {
                cx.refuse_further(format_args!("{what}"))?;
            }
        }
        check_jobs(cx, member)?;
        Ok(Found::of(
            task,
            Relations {
                ppid: parent,
                flags: match member.is_outlived() {
                    true => uapi::CR_TASK_OUTLIVED,
                    false => 0,
                },
                mm: member.mm,
                files: member.files,
                fs: member.fs,
                sighand: member.sighand,
            },
        ))
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.task())?;
        to.text(Text::new(found.comm.as_bytes()).ok_or(EINVAL)?)?;
        to.record(&found.stats())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let (true, Item::Text(name)) = (image.name_is_next, item) {
            image.comm = Some(Comm::new(name));
        }
        image.name_is_next = matches!(item, Item::Task(_));
        if let Item::Task(task) = item {
            image.exit_signal = task.is_leader().then_some(task.exit_signal);
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        Ok(Prepared {
            comm: image.comm,
            // What the parent of the caller gets is what it asked for.
            exit_signal: image.exit_signal.filter(|_| !cx.is_root()),
        })
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(comm) = prepared.comm {
            caller.set_comm(&comm);
        }
        if let Some(signal) = prepared.exit_signal {
            caller.set_exit_signal(signal);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_task)]
mod tests {
    use super::*;

    #[test]
    fn found_task_is_the_caller() {
        let caller = current!();
        let found = Found::of(caller, Relations::default());

        assert!(found.task().pid == caller.vpid());
        assert!(found.task().task_comm_len == 16);
        // Whoever runs this has been switched to, some time after the machine started.
        let stats = found.stats();
        assert!(stats.start_time > 0 && stats.start_boottime >= stats.start_time);
    }

    #[test]
    fn only_the_name_behind_the_task_is_taken() -> Result {
        let mut image = Image::default();

        TaskState::take(&mut image, &Item::Text(b"/a/path"))?;
        assert!(image.comm.is_none());
        TaskState::take(&mut image, &Item::Task(image::Task::default()))?;
        TaskState::take(&mut image, &Item::Text(b"name\0rest"))?;
        TaskState::take(&mut image, &Item::TaskStats(image::TaskStats::default()))?;
        TaskState::take(&mut image, &Item::Text(b"[heap]"))?;
        assert!(image.comm == Some(Comm::new(b"name")));
        Ok(())
    }

    #[test]
    fn name_is_cut_to_15_bytes() {
        let comm = Comm::new(b"0123456789abcdefgh");

        assert_eq!(comm.as_bytes(), b"0123456789abcde\0");
    }

    #[test]
    fn name_ends_at_the_first_nul() {
        assert_eq!(
            Comm::new(b"ab\0cd").as_bytes(),
            b"ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        assert_eq!(Comm::new(b"").as_bytes(), &[0; 16]);
    }
}
