// SPDX-License-Identifier: GPL-2.0

//! What a task is besides all that it has: its name, its life and death, its statistics.
//!
//! Only the name is brought back. The statistics of an image are checked and shown by the tools:
//! a caller that keeps running after restart(2) keeps its own, which resource limits and
//! accounting count on.

use kernel::{
    prelude::*,
    task::{
        state::Comm,
        CurrentTask,
        Task, //
    }, //
};

use crate::{
    image::{
        self,
        Item,
        Text, //
    },
    resource::Resource,
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

pub(crate) struct TaskState;

impl Resource for TaskState {
    type Image = Option<Comm>;
    type Prepared = Option<Comm>;

    fn save<T: Transport>(task: &Task, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        let life = task.life();
        let comm = task.comm();
        let usage = task.usage();

        to.record(&image::Task {
            state: life.state,
            exit_state: life.exit_state,
            // Until a task ends, this is where a tracer keeps a signal.
            exit_code: if life.exit_state == 0 { 0 } else { life.exit_code },
            exit_signal: life.exit_signal,
            task_comm_len: comm.as_bytes().len() as i32,
            reserved: 0,
        })?;
        to.text(Text::new(comm.as_bytes()).ok_or(EINVAL)?)?;
        to.record(&image::TaskStats {
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
        })
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let Item::Text(name) = item {
            *image = Some(Comm::new(name));
        }
        Ok(())
    }

    fn prepare(image: Self::Image) -> Result<Self::Prepared> {
        Ok(image)
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(comm) = prepared {
            caller.set_comm(&comm);
        }
    }
}
