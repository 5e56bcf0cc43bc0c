// SPDX-License-Identifier: GPL-2.0

//! pidfd_open(2): of the process itself, which is the restarter afterwards; or of another process,
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
        let process =
            pidfd::process(file, cx.task).map_err(|what| cx.refuse(fmt!("{of}: {what}")))?;

        Ok(image::PidFd {
            pid: process.pid,
            reserved: 0,
            ino: process.ino,
            start_boottime: process.start_boottime,
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
        let file = pidfd::create(process, record.flags & THREAD).map_err(|e| {
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
