// SPDX-License-Identifier: GPL-2.0

//! Locks on files, noted with the file that they were taken by.

use kernel::{
    fs::{
        state::lock::{
            self,
            Lock, //
        },
        File, //
    },
    prelude::*,
    uapi, //
};

use crate::{
    image,
    resource::Collect, //
};

use super::Use;

/// Finds the locks that were taken by a file, those of the process among them.
pub(crate) fn locks(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<KVVec<Lock>> {
    match lock::find(file, cx.task, uapi::CR_LOCKS_MAX) {
        Err(e) if e == E2BIG => Err(cx.refuse(fmt!("{of}: so many locks"))),
        locks => locks,
    }
}

/// Makes a record of a lock.
pub(crate) fn lock_record(objref: u32, lock: &Lock) -> image::Lock {
    image::Lock {
        objref,
        kind: lock.kind,
        lock_type: lock.lock_type,
        reserved: 0,
        start: lock.start,
        end: lock.end,
    }
}

/// Notes the locks that a file has, which is going to be `record`. Those of processes are noted with
/// their descriptors.
pub(super) fn collect(cx: &mut Collect<'_>, file: &File, record: &image::File, of: Use) -> Result {
    let locks = locks(cx, file, of)?;
    let mut own = locks
        .iter()
        .filter(|lock| lock.kind != uapi::CR_LOCK_POSIX)
        .peekable();

    if own.peek().is_some() && !record.can_be_locked() {
        return Err(cx.refuse(fmt!("{of}: a lock on a file that the restarter provides")));
    }
    for lock in own {
        cx.objects
            .locks
            .push(lock_record(record.objref, lock), GFP_KERNEL_ACCOUNT)?;
    }
    Ok(())
}
