// SPDX-License-Identifier: GPL-2.0

//! What a task is besides all that it has: its name, its life and death, its statistics.
//!
//! Only the name is brought back. The statistics of an image are checked and shown by the tools:
//! a caller that keeps running after restart(2) keeps its own, which resource limits and
//! accounting count on. Its numbers and its parent are the caller's, as after execve(2), and so are
//! its control groups and namespaces.
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
        Saving, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

pub(crate) struct TaskState;

/// What was found.
pub(crate) struct Found {
    comm: Comm,
    life: Life,
    usage: Usage,
    pid: Pid,
    job_control: (Pid, Pid),
}

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    comm: Option<Comm>,
    /// The record before was that of the task. Paths of files are texts, too.
    name_is_next: bool,
}

impl Found {
    fn of(task: &Task) -> Self {
        Self {
            comm: task.comm(),
            life: task.life(),
            usage: task.usage(),
            pid: task.vpid(),
            job_control: task.job_control(),
        }
    }

    /// The state is not that of standing still for the checkpoint: where the task is at the edge of
    /// user mode, it runs. That job control has stopped it is said with its signals.
    fn task(&self) -> image::Task {
        image::Task {
            state: 0,
            exit_state: 0,
            exit_code: 0,
            exit_signal: self.life.exit_signal,
            task_comm_len: self.comm.as_bytes().len() as i32,
            pid: self.pid,
            pgid: self.job_control.0,
            sid: self.job_control.1,
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

impl Resource for TaskState {
    type Found = Found;
    type Image = Image;
    type Prepared = Option<Comm>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let task = cx.task;

        if task.is_kernel() {
            return Err(cx.refuse(format_args!("a kernel thread")));
        }
        if task.life().exit_state != 0 {
            return Err(cx.refuse(format_args!("a zombie")));
        }
        if task.is_exiting() {
            return Err(cx.fail(ESRCH, format_args!("the task is about to exit")));
        }
        let threads = task.thread_count();
        if threads != 1 {
            cx.refuse_further(format_args!("a process of {threads} threads"))?;
        }
        if let Some(child) = task.first_child() {
            cx.refuse_further(format_args!("child {} ({})", child.vpid(), child.comm()))?;
        }
        for what in task.obstacles().iter() {
            cx.refuse_further(format_args!("{what}"))?;
        }
        Ok(Found::of(task))
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
        Ok(())
    }

    fn prepare(image: Self::Image, _cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        Ok(image.comm)
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(comm) = prepared {
            caller.set_comm(&comm);
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
        let found = Found::of(caller);

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
