// SPDX-License-Identifier: GPL-2.0

//! Locks on files, noted with the file that they were taken by.

use kernel::{
    fs::{
        state::lock,
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

/// Notes the locks that were taken by a file, which is going to be `record`.
pub(super) fn collect(cx: &mut Collect<'_>, file: &File, record: &image::File, of: Use) -> Result {
    // At most CR_LOCKS_MAX are noted.
    let room = uapi::CR_LOCKS_MAX.saturating_sub(cx.objects.locks.len() as u32);
    let locks = match lock::find(file, cx.task, room) {
        Ok(locks) => locks,
        Err(e) if e == E2BIG => return Err(cx.refuse(fmt!("{of}: so many locks"))),
        Err(e) => return Err(e),
    };

    if !locks.is_empty() && !record.can_be_locked() {
        return Err(cx.refuse(fmt!("{of}: a lock on a file that the restarter provides")));
    }
    for lock in &locks {
        cx.objects.locks.push(
            image::Lock {
                objref: record.objref,
                kind: lock.kind,
                lock_type: lock.lock_type,
                reserved: 0,
                start: lock.start,
                end: lock.end,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    Ok(())
}
