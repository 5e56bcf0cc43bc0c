// SPDX-License-Identifier: GPL-2.0

//! Locks on files.
//!
//! C header: [`include/linux/filelock.h`](srctree/include/linux/filelock.h)

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    task::Task, //
};

/// A lock on some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// `CR_LOCK_*`: who has it.
    pub kind: u32,
    /// `F_RDLCK` or `F_WRLCK`.
    pub lock_type: u32,
    /// First byte.
    pub start: i64,
    /// Last byte; [`i64::MAX`] for all from `start` on.
    pub end: i64,
}

impl Lock {
    /// Makes what C takes of it.
    pub(super) fn to_c(self) -> bindings::cr_hdr_lock {
        bindings::cr_hdr_lock {
            kind: self.kind,
            lock_type: self.lock_type,
            start: self.start,
            end: self.end,
            ..Default::default()
        }
    }
}

impl From<&bindings::cr_hdr_lock> for Lock {
    fn from(lock: &bindings::cr_hdr_lock) -> Self {
        Self {
            kind: lock.kind,
            lock_type: lock.lock_type,
            start: lock.start,
            end: lock.end,
        }
    }
}

/// Finds the locks that were taken by `file`, which `task` has: those of the task that are its only
/// by this file, and those of the file itself. They ascend by kind and then by their first byte.
///
/// # Errors
///
/// `E2BIG` if there are more than `max`, `ENOMEM`.
pub fn find(file: &File, task: &Task, max: u32) -> Result<KVVec<Lock>> {
    let mut buffer: KVVec<bindings::cr_hdr_lock> = KVVec::new();

    loop {
        // At most `max`.
        let room = buffer.len() as u32;
        // SAFETY: `file` is a valid file and `task` a valid task. `buffer` has room for as many as
        // said, and any bytes are valid in them.
        let found = unsafe {
            bindings::checkpoint_locks(file.as_ptr(), task.as_ptr(), buffer.as_mut_ptr(), room)
        };

        if found > max {
            return Err(E2BIG);
        }
        if found <= room {
            let mut locks = KVVec::with_capacity(found as usize, GFP_KERNEL_ACCOUNT)?;

            for lock in buffer.iter().take(found as usize) {
                locks.push(Lock::from(lock), GFP_KERNEL_ACCOUNT)?;
            }
            return Ok(locks);
        }
        // Others who have the file may take more locks by it meanwhile.
        buffer.resize(
            found as usize,
            bindings::cr_hdr_lock::default(),
            GFP_KERNEL_ACCOUNT,
        )?;
    }
}

/// Takes a lock that `file` has, and that goes with the last reference to it. Does not wait.
///
/// # Errors
///
/// `EAGAIN` if somebody else has a lock there, `EBADF` if the file is not open for it, `EINVAL` if
/// it is a lock of a process, or what the file system says.
pub fn take(file: &File, lock: Lock) -> Result {
    let lock = lock.to_c();

    // SAFETY: `file` is a valid file, and `lock` is only read.
    to_result(unsafe { bindings::checkpoint_relock(file.as_ptr(), &raw const lock) })
}
