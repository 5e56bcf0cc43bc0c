// SPDX-License-Identifier: GPL-2.0

//! pidfd_open(2): of a task of the image, which is opened when all are made; or of another process,
//! which is the same one still, or the restart fails.

use kernel::{
    fs::{
        file::flags,
        state::{
            anon::pidfd::{
                self,
                Process, //
            },
            Seen, //
        },
        File, //
    },
    prelude::*,
    str::BStr,
    sync::aref::ARef,
    uapi, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        Collect,
        Prepare, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

use super::{
    kind::Kind,
    set_flags,
    Use, //
};

/// `PIDFD_THREAD`
const THREAD: u32 = flags::O_EXCL;

/// Tells whether a pidfd is of a task of the image.
pub(super) fn is_of_member(said: &image::PidFd) -> bool {
    said.start_boottime == 0
}

pub(super) struct PidFd;

impl Kind for PidFd {
    const KIND: u32 = uapi::CR_FILE_PIDFD;

    type Found = image::PidFd;
    type Said = image::PidFd;

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == Self::KIND
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        _record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found> {
        let process = pidfd::process(file).map_err(|what| cx.refuse(fmt!("{of}: {what}")))?;
        let tree = cx.tree;
        let member = pidfd::task(file)
            .and_then(|task| tree.place_of(&task))
            .and_then(|place| tree.members().get(place));

        Ok(image::PidFd {
            pid: member.map_or(process.pid, |member| member.kin.pid),
            reserved: 0,
            ino: process.ino,
            start_boottime: match member {
                Some(_) => 0,
                None => process.start_boottime,
            },
        })
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::PidFd(record) = item {
            *said = *record;
        }
        Ok(())
    }

    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>> {
        let process = Process {
            pid: said.pid,
            ino: said.ino,
            start_boottime: said.start_boottime,
        };
        let pid = said.pid;
        let task = match is_of_member(said) {
            true => match cx.tasks.get(&pid) {
                None => return Err(cx.fail(EINVAL, fmt!("pidfd of process {pid}: it is no task"))),
                task => task,
            },
            false => None,
        };
        let file = pidfd::create(process, task.map(|task| &**task), record.flags & THREAD);
        let file = file.map_err(|e| {
            if e == ESRCH {
                cx.fail(e, fmt!("pidfd of process {pid}: that process is gone"))
            } else {
                cx.fail(
                    e,
                    fmt!("pidfd of process {pid}: it cannot be opened: {e:?}"),
                )
            }
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"pidfd"))?;
        Ok(file)
    }
}
