// SPDX-License-Identifier: GPL-2.0

//! The checkpoint pipeline: find the tasks, make them stand still, look at everything they have, write.
//!
//! Nothing is written before all of the tree is known to be fit. The tasks go on when the image is
//! complete or the call has failed, whichever comes first; what the flags ask to happen to them happens
//! before that.

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
    task::{
        park::Park,
        tree::Process, //
    },
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
    resource::{
        files,
        object,
        outside::{
            self,
            Outside, //
        },
        Collect,
        CommonFound,
        Saving,
        TaskFound, //
    },
    stream::{
        running_kernel,
        Failure,
        ImageWriter,
        Transport, //
    },
    tree::{
        self,
        Tree, //
    },
    uapi, //
};

/// The flags that say what becomes of the tasks.
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

/// Finds the process that `pid` names.
fn resolve(pid: c_int, log: &mut Log) -> Result<Process> {
    if pid < 0 {
        log.line(format_args!("pid {pid}: negative"));
        return Err(EINVAL);
    }
    let found = match pid {
        0 => Process::of(current!()),
        _ => Process::find(pid),
    };
    found.ok_or_else(|| {
        log.line(format_args!("pid {pid}: no such task"));
        ESRCH
    })
}

/// Checks that the flags fit each other.
fn check_flags(flags: c_ulong, log: &mut Log) -> Result {
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
    let container = uapi::CHECKPOINT_CONTAINER as c_ulong;
    let both = container | uapi::CHECKPOINT_INHERIT as c_ulong;
    if flags & both == both {
        log.line(format_args!(
            "flags: CHECKPOINT_CONTAINER and CHECKPOINT_INHERIT exclude each other"
        ));
        return Err(EINVAL);
    }
    Ok(())
}

/// Checks that the flags fit the tasks.
fn check_fate(flags: c_ulong, tree: &Tree, log: &mut Log) -> Result {
    if flags & FATE != 0 && tree.members().iter().any(|member| member.is_caller) {
        log.line(format_args!(
            "flags: the caller itself can neither be killed nor stopped"
        ));
        return Err(EINVAL);
    }
    Ok(())
}

/// What was found of all tasks.
struct Found {
    common: KBox<CommonFound>,
    tasks: KVVec<KBox<TaskFound>>,
}

impl Found {
    /// Looks at all that the tasks have.
    fn collect(cx: &mut Collect<'_>) -> Result<Self> {
        let members = cx.tree.members().len();
        let mut tasks = KVVec::with_capacity(members, GFP_KERNEL_ACCOUNT)?;

        for place in 0..members {
            cx.turn_to(place);
            let surveyed = files::survey(cx);
            cx.tolerate(surveyed)?;
        }
        cx.turn_to(0);
        outside::survey(cx)?;
        let mut common = CommonFound::collect(cx)?;
        for place in 0..members {
            cx.turn_to(place);
            tasks.push(TaskFound::collect(cx)?, GFP_KERNEL_ACCOUNT)?;
        }
        for (place, task) in tasks.iter_mut().enumerate() {
            cx.turn_to(place);
            task.finish(cx)?;
        }
        cx.turn_to(0);
        common.finish(cx)?;
        outside::finish(cx)?;
        let unchanged = object::check(cx);
        cx.tolerate(unchanged)?;
        cx.verdict()?;
        Ok(Self { common, tasks })
    }

    /// Writes all records.
    fn save<T: Transport>(
        &self,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        self.common.save(cx, to)?;
        self.tasks.iter().try_for_each(|task| task.save(cx, to))
    }

    /// Writes all bulk data.
    fn save_bulk<T: Transport>(
        &self,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        self.common.save_bulk(cx, to)?;
        self.tasks
            .iter()
            .try_for_each(|task| task.save_bulk(cx, to))
    }
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
    check_flags(flags, log)?;
    let process = resolve(pid, log)?;
    let (park, tree) = tree::stop(&process, pid, log)?;
    let root = tree.members().first().ok_or(ESRCH)?.task.clone();
    check_fate(flags, &tree, log)?;

    let image = file.as_ref().map(StreamFile::file);
    let inherit = flags & uapi::CHECKPOINT_INHERIT as c_ulong != 0;
    let container = flags & uapi::CHECKPOINT_CONTAINER as c_ulong != 0;
    let outside = Outside::new(&tree, container)?;
    let mut cx = Collect::new(&tree, &root, inherit, outside, image, log);
    let found = Found::collect(&mut cx).map_err(|e| cx.ended(e))?;
    let objects = cx.objects;
    let mut spaces = cx.spaces;
    if let Some(task) = park.traced() {
        log.task(task, format_args!("a traced task is not supported"));
        return Err(EOPNOTSUPP);
    }
    let Some(file) = &file else {
        return Ok(0);
    };
    spaces.sort();
    let id = new_id();
    park.let_die();

    let saving = Saving {
        objects: &objects,
        spaces: &spaces,
    };
    // An image of what has been killed shall have no end, as far as that is known.
    let result = write(&found, &saving, file, flags, id, &tree)
        .and_then(|to| check_alive(&park, log).and_then(|()| to.finish()))
        .and_then(|()| decide(&park, flags, log));
    // They need not wait for what was found of them to be given back.
    drop(park);
    result.map_err(|failure| {
        if !matches!(failure, Failure::Logged(_)) {
            log.task(&root, format_args!("{failure}"));
        }
        failure.error()
    })?;
    Ok(id)
}

/// Refuses tasks that were killed meanwhile: somebody has ended them, and no image shall bring them
/// back.
fn check_alive(park: &Park, log: &mut Log) -> Result<(), Failure> {
    let Some(killed) = park.killed() else {
        return Ok(());
    };

    log.task(killed, format_args!("it was killed meanwhile"));
    Err(Failure::Logged(ESRCH))
}

/// Does to the tasks what the flags ask for; the image is complete.
fn decide(park: &Park, flags: c_ulong, log: &mut Log) -> Result<(), Failure> {
    check_alive(park, log)?;
    if flags & uapi::CHECKPOINT_KILL as c_ulong != 0 {
        park.signal(uapi::SIGKILL)?;
    } else if flags & uapi::CHECKPOINT_STOP as c_ulong != 0 {
        park.signal(uapi::SIGSTOP)?;
    }
    Ok(())
}

/// Writes an image up to its end.
fn write<'a, T: Transport>(
    found: &Found,
    cx: &Saving<'_>,
    file: &'a T,
    flags: c_ulong,
    id: i32,
    tree: &Tree,
) -> Result<ImageWriter<'a, T>, Failure> {
    let uts = UtsName::running();
    let time = RealTime::ktime_get() / NSEC_PER_SEC;
    let mut to = ImageWriter::new(file);

    to.record(&image::Head::new(
        &running_kernel(&uts),
        time as u64,
        flags as u64,
        id,
        tree.members().first().map_or(0, |root| root.kin.pid),
        // At most CR_TASKS_MAX.
        tree.members().len() as u32,
    ))?;
    found.save(cx, &mut to)?;
    found.save_bulk(cx, &mut to)?;
    Ok(to)
}
