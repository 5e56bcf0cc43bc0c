// SPDX-License-Identifier: GPL-2.0

//! The checkpoint pipeline: find the task, make it stand still, look at everything it has, write.
//!
//! Nothing is written before all of the task is known to be fit. The task goes on when the image
//! is complete or the call has failed, whichever comes first; what the flags ask to happen to it
//! happens before that.

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
    task::{
        park::{
            Park,
            Unparked, //
        },
        Task, //
    },
    time::{
        ClockSource,
        Msecs,
        RealTime,
        NSEC_PER_SEC, //
    },
    uts::UtsName, //
};

use crate::{
    image,
    log::Log,
    resource::{
        self,
        Collect,
        Found,
        Saving, //
    },
    stream::{
        running_kernel,
        Failure,
        ImageWriter,
        Transport, //
    },
    uapi, //
};

/// How long a task may take to come to the edge of user mode, in milliseconds.
const PARK_LIMIT: Msecs = 5000;

/// The flags that say what becomes of the task.
const FATE: c_ulong = (uapi::CHECKPOINT_KILL | uapi::CHECKPOINT_STOP) as c_ulong;

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
    check_access(&task, pid, log)?;
    if task.is_kernel_thread() {
        log.task(&task, format_args!("a kernel thread is not supported"));
        return Err(EOPNOTSUPP);
    }
    // It waits for its tracer, and does not come to the edge of user mode by itself.
    if task.is_traced() {
        log.task(&task, format_args!("a traced task is not supported"));
        return Err(EOPNOTSUPP);
    }
    Ok(task)
}

/// Checks that the caller may look at all of the task.
fn check_access(task: &Task, pid: c_int, log: &mut Log) -> Result {
    if task.may_attach() {
        return Ok(());
    }
    // Not the name: /proc may hide the task from the caller.
    log.line(format_args!("pid {pid}: the caller may not trace it"));
    Err(EPERM)
}

/// Checks that the flags fit each other, and the task.
fn check_flags(flags: c_ulong, to_self: bool, log: &mut Log) -> Result {
    let fate = flags & FATE;

    if fate != 0 && flags & uapi::CHECKPOINT_CHECK as c_ulong != 0 {
        log.line(format_args!(
            "flags: nothing happens to a task that is only checked"
        ));
        return Err(EINVAL);
    }

    if fate == FATE {
        log.line(format_args!(
            "flags: CHECKPOINT_KILL and CHECKPOINT_STOP exclude each other"
        ));
        return Err(EINVAL);
    }
    if fate != 0 && to_self {
        log.line(format_args!(
            "flags: the caller itself can neither be killed nor stopped"
        ));
        return Err(EINVAL);
    }
    Ok(())
}

/// What checkpoint(2) does once its flags are checked. Returns the id of the image, 0 without one.
pub(crate) fn checkpoint(pid: c_int, fd: c_int, flags: c_ulong, log: &mut Log) -> Result<i32> {
    let file = match flags & uapi::CHECKPOINT_CHECK as c_ulong {
        0 => Some(
            StreamFile::from_fd(fd, Direction::Write)
                .map_err(|unfit| log.unfit("fd", fd, unfit))?,
        ),
        _ => None,
    };
    let task = resolve(pid, log)?;
    let to_self = task.as_ptr() == current!().as_ptr();
    check_flags(flags, to_self, log)?;

    let park = if to_self {
        None
    } else {
        let park = Park::new(task.clone(), PARK_LIMIT).map_err(|why| {
            log.task(&task, format_args!("{}", reason(why)));
            Error::from(why)
        })?;
        // Asked before, so that nobody is held up by a stranger; but an execve(2) that was under
        // way may have given the task other credentials, and another memory.
        check_access(&task, pid, log)?;
        Some(park)
    };

    let image = file.as_ref().map(StreamFile::file);
    let inherit = flags & uapi::CHECKPOINT_INHERIT as c_ulong != 0;
    let mut cx = Collect::new(&task, to_self, inherit, image, log);
    let found = resource::collect(&mut cx).map_err(|e| cx.ended(e))?;
    let Some(file) = &file else {
        return Ok(0);
    };
    let id = new_id();
    let objects = cx.objects;
    let pid = task.vpid();
    if let Some(park) = &park {
        park.let_die();
    }

    let saving = Saving { objects: &objects };
    let result = write(&found, &saving, file, flags, id, pid).and_then(|()| match &park {
        Some(park) => decide(park, flags),
        None => Ok(()),
    });
    result.map_err(|failure| {
        if !matches!(failure, Failure::Logged(_)) {
            log.task(&task, format_args!("{failure}"));
        }
        failure.error()
    })?;
    Ok(id)
}

/// Says why a task did not stand still.
fn reason(why: Unparked) -> &'static str {
    match why {
        Unparked::Gone => "is about to exit",
        Unparked::Late => "does not come to rest: it sleeps uninterruptibly",
        Unparked::Interrupted => "interrupted by a signal",
        Unparked::NoMemory => "no memory",
    }
}

/// Does to the task what the flags ask for; the image is complete.
fn decide(park: &Park, flags: c_ulong) -> Result<(), Failure> {
    // Killed meanwhile: what the image says ran on, up to that, and might do so twice.
    if !park.is_alive() {
        return Err(ESRCH.into());
    }
    if flags & uapi::CHECKPOINT_KILL as c_ulong != 0 {
        park.signal(uapi::SIGKILL)?;
    } else if flags & uapi::CHECKPOINT_STOP as c_ulong != 0 {
        park.signal(uapi::SIGSTOP)?;
    }
    Ok(())
}

/// Writes a whole image.
fn write<T: Transport>(
    found: &Found,
    cx: &Saving<'_>,
    file: &T,
    flags: c_ulong,
    id: i32,
    pid: i32,
) -> Result<(), Failure> {
    let uts = UtsName::running();
    let time = RealTime::ktime_get() / NSEC_PER_SEC;
    let mut to = ImageWriter::new(file);

    to.record(&image::Head::new(
        &running_kernel(&uts),
        time as u64,
        flags as u64,
        id,
        pid,
    ))?;
    found.save(cx, &mut to)?;
    found.save_bulk(cx, &mut to)?;
    to.finish()
}
