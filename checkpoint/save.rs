// SPDX-License-Identifier: GPL-2.0

//! The checkpoint pipeline: which task, then its records, front to back.

use core::sync::atomic::{
    AtomicU32,
    Ordering, //
};

use kernel::{
    fs::rw::{
        Direction,
        StreamFile, //
    },
    prelude::*,
    sync::aref::ARef,
    task::Task,
    time::{
        ClockSource,
        RealTime,
        NSEC_PER_SEC, //
    },
    uts::UtsName, //
};

use crate::{
    image,
    log::Log,
    resource,
    stream::{
        running_kernel,
        Failure,
        ImageWriter,
        Transport, //
    }, //
};

/// Checkpoints that were begun since the machine started.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Returns a number above 0 that no other checkpoint has, until 2^31 - 1 of them were begun.
fn new_id() -> i32 {
    loop {
        let id = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & (i32::MAX as u32);
        if id != 0 {
            return id as i32;
        }
    }
}

/// Finds the task that `pid` names and checks that the caller may save it.
fn resolve(pid: c_int, log: &mut Log) -> Result<ARef<Task>> {
    if pid < 0 {
        log.line(format_args!("pid {pid}: negative"));
        return Err(EINVAL);
    }
    if pid == 0 || pid == current!().vpid() || pid == current!().vtgid() {
        return Ok(ARef::from(&**current!()));
    }

    let Some(task) = Task::find(pid) else {
        log.line(format_args!("pid {pid}: no such task"));
        return Err(ESRCH);
    };
    if !task.may_attach() {
        // Not the name: /proc may hide the task from the caller.
        log.line(format_args!("pid {pid}: the caller may not trace it"));
        return Err(EPERM);
    }
    log.task(
        &task,
        format_args!("another task than the caller is not supported"),
    );
    Err(EOPNOTSUPP)
}

/// What checkpoint(2) does once its flags are checked. Returns the id of the image.
pub(crate) fn checkpoint(pid: c_int, fd: c_int, flags: c_ulong, log: &mut Log) -> Result<i32> {
    let file =
        StreamFile::from_fd(fd, Direction::Write).map_err(|unfit| log.unfit("fd", fd, unfit))?;
    let task = resolve(pid, log)?;
    let id = new_id();

    write(&task, &file, flags, id).map_err(|failure| {
        log.task(&task, format_args!("{failure}"));
        failure.error()
    })?;
    Ok(id)
}

/// Writes a whole image.
fn write<T: Transport>(task: &Task, file: &T, flags: c_ulong, id: i32) -> Result<(), Failure> {
    let uts = UtsName::running();
    let time = RealTime::ktime_get() / NSEC_PER_SEC;
    let mut to = ImageWriter::new(file);

    to.record(&image::Head::new(
        &running_kernel(&uts),
        time as u64,
        flags as u64,
        id,
    ))?;
    resource::save(task, &mut to)?;
    to.finish()
}
