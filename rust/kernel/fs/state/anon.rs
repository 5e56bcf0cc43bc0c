// SPDX-License-Identifier: GPL-2.0

//! Open files that have no path, and little state: eventfd(2), signalfd(2), pidfd_open(2).
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use core::ptr::{
    null_mut,
    NonNull, //
};

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef,
    task::Task, //
};

use super::owned;

/// What an eventfd can do.
pub mod eventfd {
    use super::*;

    /// Returns what an eventfd has counted, and whether it is a semaphore.
    ///
    /// # Errors
    ///
    /// `EBADF` if `file` is none.
    pub fn state(file: &File) -> Result<(u64, bool)> {
        let mut to = bindings::cr_hdr_eventfd::default();

        // SAFETY: `file` is a valid file, and `to` is written to.
        to_result(unsafe { bindings::checkpoint_eventfd_get(file.as_ptr(), &raw mut to) })?;
        Ok((to.count, to.flags & bindings::CR_EVENTFD_SEMAPHORE != 0))
    }

    /// Makes an eventfd.
    pub fn create(count: u64, semaphore: bool) -> Result<ARef<File>> {
        let from = bindings::cr_hdr_eventfd {
            count,
            flags: if semaphore {
                bindings::CR_EVENTFD_SEMAPHORE
            } else {
                0
            },
            ..Default::default()
        };

        // SAFETY: `from` is only read. The function returns a reference or an error.
        owned(unsafe { bindings::checkpoint_eventfd_create(&raw const from) })
    }
}

/// What a signalfd can do.
pub mod signalfd {
    use super::*;

    /// Returns which signals a signalfd takes: bit 0 is signal 1.
    ///
    /// # Errors
    ///
    /// `EBADF` if `file` is none.
    pub fn mask(file: &File) -> Result<u64> {
        let mut mask = 0;

        // SAFETY: `file` is a valid file, and `mask` is written to.
        to_result(unsafe { bindings::checkpoint_signalfd_get(file.as_ptr(), &raw mut mask) })?;
        Ok(mask)
    }

    /// Makes a signalfd. It does not take `SIGKILL` and `SIGSTOP`, whatever `mask` says.
    pub fn create(mask: u64) -> Result<ARef<File>> {
        // SAFETY: The function has no requirements. It returns a reference or an error.
        owned(unsafe { bindings::checkpoint_signalfd_create(mask) })
    }
}

/// What a pidfd can do.
pub mod pidfd {
    use super::*;

    /// The process of a pidfd.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Process {
        /// Its pid, in the pid namespace of the current task.
        pub pid: i32,
        /// Number of the inode of its pidfds.
        pub ino: u64,
        /// When it started, nanoseconds of `CLOCK_BOOTTIME`.
        pub start_boottime: u64,
    }

    /// Returns the task of a pidfd, [`None`] if it is gone.
    pub fn task(file: &File) -> Option<ARef<Task>> {
        // SAFETY: `file` is a valid file. The function returns a reference or null.
        let task = NonNull::new(unsafe { bindings::checkpoint_pidfd_task(file.as_ptr()) })?;

        // SAFETY: The reference is handed over. `Task` is a transparent wrapper of
        // `struct task_struct`.
        Some(unsafe { ARef::from_raw(task.cast()) })
    }

    /// Returns the process of a pidfd; or why it is one that cannot be saved.
    pub fn process(file: &File) -> core::result::Result<Process, &'static CStr> {
        let mut to = bindings::cr_hdr_pidfd::default();

        // SAFETY: `file` is a valid file, and `to` is written to.
        let what = unsafe { bindings::checkpoint_pidfd_get(file.as_ptr(), &raw mut to) };

        if !what.is_null() {
            // SAFETY: What is returned is a string literal of fs/checkpoint_anon.c.
            return Err(unsafe { CStr::from_char_ptr(what) });
        }
        Ok(Process {
            pid: to.pid,
            ino: to.ino,
            start_boottime: to.start_boottime,
        })
    }

    /// Opens a pidfd of `task`, or else of the process that is meant. `flags` may have
    /// `PIDFD_THREAD`.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the process is gone, and perhaps another one has its pid; those of pidfd_open(2).
    pub fn create(of: Process, task: Option<&Task>, flags: u32) -> Result<ARef<File>> {
        let from = bindings::cr_hdr_pidfd {
            pid: of.pid,
            ino: of.ino,
            start_boottime: of.start_boottime,
            ..Default::default()
        };

        let task = task.map_or(null_mut(), |task| task.as_ptr());
        // SAFETY: `from` is only read, and `task` is valid or null. The function returns a reference or
        // an error.
        owned(unsafe { bindings::checkpoint_pidfd_create(&raw const from, task, flags) })
    }
}
