// SPDX-License-Identifier: GPL-2.0

//! What a task is besides all that it has: its name, its life and death, its statistics.
//!
//! A caller that keeps running after restart(2) keeps its own statistics, which resource limits and
//! accounting count on. Its numbers and its parent are the caller's, as after execve(2), and so are its
//! control groups and namespaces. The other tasks have the numbers that they had, by which they were
//! made, and what they had used up counts for their processes; what tells the parent of the end of each
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
        tree::{
            JobKind,
            Kin, //
        },
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
        outside,
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
    vfork: Pid,
    sysvsem: u32,
}

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    comm: Option<Comm>,
    /// The record before was that of the task. Paths of files are texts, too.
    name_is_next: bool,
    /// What is said of the task, if it lives and is not a thread of another's process.
    task: Option<image::Task>,
    /// It has a list for `SEM_UNDO`, which is that of the task with this number before, or its own.
    sysvsem: Option<u32>,
}

/// What is committed.
pub(crate) struct Prepared {
    comm: Option<Comm>,
    /// Which signal the parent gets when the task ends, and `CR_TASK_*`.
    end: Option<(i32, u32)>,
}

/// Makes of a record what the kernel takes.
pub(crate) fn stats(record: &image::TaskStats) -> uapi::cr_hdr_task_stats {
    uapi::cr_hdr_task_stats {
        utime: record.utime,
        stime: record.stime,
        utimescaled: record.utimescaled,
        stimescaled: record.stimescaled,
        gtime: record.gtime,
        prev_utime: record.prev_utime,
        prev_stime: record.prev_stime,
        nvcsw: record.nvcsw,
        nivcsw: record.nivcsw,
        start_time: record.start_time,
        start_boottime: record.start_boottime,
        min_flt: record.min_flt,
        maj_flt: record.maj_flt,
    }
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
        let Self { kin, relations, .. } = self;

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
            vfork: relations.vfork,
            sysvsem: relations.sysvsem,
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

/// Returns the `CR_TASK_*` of a task.
fn flags(member: &Member, is_root: bool) -> u32 {
    let mut flags = member.kin.flags;

    if !member.has_process() {
        flags &= !(uapi::CR_TASK_TTY | uapi::CR_TASK_FOREGROUND);
    }
    if member.is_outlived() {
        flags |= uapi::CR_TASK_OUTLIVED;
    }
    if member.kin.sysvsem != 0 {
        flags |= uapi::CR_TASK_SYSVSEM;
    }
    // Of the first it is not saved.
    if !is_root {
        flags |= uapi::CR_TASK_USAGE;
    }
    flags
}

/// Refuses a process group or session that somebody leads outside of the tree, unless it is that of the
/// first task, for which the restarter has one.
fn check_jobs(cx: &mut Collect<'_>, member: &Member) -> Result {
    let tree = cx.tree;
    let Some(root) = tree.members().first() else {
        return Err(EINVAL);
    };
    if !member.is_leader() {
        return Ok(());
    }
    let (own, first) = (&member.kin, &root.kin);

    for (kind, what, id, root) in [
        (JobKind::Group, "process group", own.pgid, first.pgid),
        (JobKind::Session, "session", own.sid, first.sid),
    ] {
        if id == root || tree.process(id).is_some() {
            continue;
        }
        // Its number is kept by those who are in it, if there is nobody.
        match cx.task.job_leader(kind) {
            Some(leader) => cx.refuse_further(format_args!(
                "{what} {id}, led by task {} ({}), which is not in the tree,",
                leader.vpid(),
                leader.comm()
            ))?,
            None if id == 0 => {
                cx.refuse_further(format_args!("a {what} of another pid namespace"))?
            }
            None => (),
        }
    }
    if own.flags & uapi::CR_TASK_TTY != 0 && own.sid != first.sid && member.has_process() {
        cx.refuse_further(format_args!(
            "a controlling terminal of session {}, which is not that of the first task,",
            own.sid
        ))?;
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
            cx.refuse_further(format_args!(
                "another pid namespace than that of the first task"
            ))?;
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
        let known = cx.tree.users(&member.kin, |kin| kin.sysvsem);
        if member.is_alive() && task.undo_users() > known {
            outside::refuse_table(cx, member.kin.sysvsem, "a list for SEM_UNDO that is shared")?;
        }
        Ok(Found::of(
            task,
            Relations {
                ppid: parent,
                flags: flags(member, cx.is_root()),
                mm: member.mm,
                files: member.files,
                fs: member.fs,
                sighand: member.sighand,
                vfork: cx.tree.vfork(member),
                sysvsem: member.sysvsem,
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
            image.task = task.is_alive().then_some(*task);
            image.sysvsem = task.has_sysvsem().then_some(task.sysvsem);
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        // What the parent of the caller gets is what it asked for, and of a task that has ended it is
        // told when it has: see `restore.rs`.
        let leader = image.task.filter(|task| task.is_leader() && !cx.is_root());

        match image.sysvsem {
            None => (),
            // That of the caller is another program's, which may have something to undo.
            Some(_) if cx.is_root() && cx.caller.has_undo() => {
                return Err(cx.fail(EINVAL, format_args!("the caller has used SEM_UNDO")));
            }
            // Those that it shares it with are none of the image.
            Some(_) if cx.is_root() && cx.caller.undo_users() > 1 => {
                return Err(cx.fail(
                    EINVAL,
                    format_args!("the caller shares its list for SEM_UNDO"),
                ));
            }
            Some(0) => {
                let caller = cx.caller;

                caller.share_undo(caller)?;
                cx.undo
                    .try_create_and_insert(cx.number, (&**caller).into(), GFP_KERNEL_ACCOUNT)?;
            }
            Some(number) => {
                let shared = match cx.undo.get(&number) {
                    Some(of) => cx.caller.share_undo(of),
                    None => Err(EINVAL),
                };

                shared.map_err(|e| {
                    cx.fail(e, format_args!("task {number} has no list for SEM_UNDO"))
                })?;
            }
        }
        Ok(Prepared {
            comm: image.comm,
            end: leader.map(|leader| (leader.exit_signal, leader.flags)),
        })
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(comm) = prepared.comm {
            caller.set_comm(&comm);
        }
        if let Some((signal, flags)) = prepared.end {
            caller.set_end(signal, flags);
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
