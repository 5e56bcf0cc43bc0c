// SPDX-License-Identifier: GPL-2.0

//! Descriptor tables.
//!
//! C header: [`include/linux/fdtable.h`](srctree/include/linux/fdtable.h)

use core::ptr::NonNull;

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::File,
    prelude::*,
    sync::aref::ARef,
    task::{
        CurrentTask,
        Task, //
    }, //
};

use super::{
    lock::Lock,
    owned, //
};

/// Returns how many tasks have the descriptor table of `task`.
pub fn users(task: &Task) -> usize {
    // SAFETY: `task` is a valid task.
    unsafe { bindings::checkpoint_files_users(task.as_ptr()) as usize }
}

/// Returns what is above each descriptor that the current task may have.
pub fn max_fds() -> u64 {
    // SAFETY: The function has no requirements.
    unsafe { bindings::checkpoint_max_fds() as u64 }
}

/// A descriptor.
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// Whether execve(2) closes it.
    pub cloexec: bool,
    /// Its file.
    pub file: ARef<File>,
}

/// Returns the first descriptor of `task` from `fd` on.
pub fn next(task: &Task, mut fd: u32) -> Option<Descriptor> {
    let mut cloexec = false;

    // SAFETY: `task` is a valid task, and the others are written to.
    let file =
        unsafe { bindings::checkpoint_next_file(task.as_ptr(), &raw mut fd, &raw mut cloexec) };

    Some(Descriptor {
        file: owned(file).ok()?,
        fd,
        cloexec,
    })
}

/// A descriptor table that no task has.
///
/// # Invariants
///
/// The pointer is to a valid `files_struct`, and this is a reference to it. All others are those of
/// [`SharedTable`], so that no task has it yet.
pub struct Table(NonNull<bindings::files_struct>);

impl Table {
    /// Makes a table without descriptors.
    pub fn new() -> Result<Self> {
        // SAFETY: The function returns a new table, or an error.
        let files = from_err_ptr(unsafe { bindings::checkpoint_files_alloc() })?;

        // INVARIANT: The table is new.
        Ok(Self(NonNull::new(files).ok_or(ENOMEM)?))
    }

    /// Adds a descriptor. Only the kernel's limit is looked at.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one with that number, `EMFILE` above the limit, `ENOMEM`.
    pub fn install(&mut self, fd: u32, file: &File, cloexec: bool) -> Result {
        // SAFETY: By the type invariant the table is valid, and no task has it. `file` is a
        // valid file, to which the table takes a reference of its own.
        to_result(unsafe { bindings::files_install(self.0.as_ptr(), fd, file.as_ptr(), cloexec) })
    }

    /// Tells whether there is a descriptor with that number.
    pub fn has(&self, fd: u32) -> bool {
        // SAFETY: By the type invariant the table is valid, and no task has it.
        unsafe { bindings::checkpoint_has_fd(self.0.as_ptr(), fd) }
    }

    /// Takes a lock for the process that is going to have the table, by the file of a descriptor in
    /// it. The lock goes when the table is dropped. Does not wait.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if somebody else has a lock there, `EBADF` if there is no such descriptor or its
    /// file is not open for it, `EINVAL` if it is no lock of a process, or what the file system
    /// says.
    pub fn lock(&mut self, fd: u32, lock: Lock) -> Result {
        let lock = lock.to_c();

        // SAFETY: By the type invariant the table is valid, and no task has it. `lock` is only
        // read.
        to_result(unsafe { bindings::checkpoint_relock_fd(self.0.as_ptr(), fd, &raw const lock) })
    }

    /// Returns the table for another task, which may have it as soon as this one is given away.
    pub fn share(&self) -> SharedTable {
        // SAFETY: By the type invariant the table is valid.
        unsafe { bindings::checkpoint_files_get(self.0.as_ptr()) };
        // INVARIANT: The reference has just been taken.
        SharedTable(self.0)
    }

    /// Gives this table to the current task, and drops the one that it had: descriptors that no
    /// other task has are closed.
    pub fn switch(self, _caller: &CurrentTask) {
        let new = self.0.as_ptr();

        core::mem::forget(self);
        // SAFETY: The caller's reference to the new table goes to the current task, and that task's
        // reference to its old one is dropped.
        unsafe { bindings::put_files_struct(bindings::checkpoint_files_switch(new)) };
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a reference.
        unsafe { bindings::put_files_struct(self.0.as_ptr()) };
    }
}

/// A descriptor table that another task has, too.
///
/// # Invariants
///
/// The pointer is to a valid `files_struct`, and this is a reference to it.
pub struct SharedTable(NonNull<bindings::files_struct>);

// SAFETY: The references to a table are counted, and any task may give one back.
unsafe impl Send for SharedTable {}

impl SharedTable {
    /// Returns the table for one more task.
    pub fn share(&self) -> Self {
        // SAFETY: By the type invariant the table is valid.
        unsafe { bindings::checkpoint_files_get(self.0.as_ptr()) };
        // INVARIANT: The reference has just been taken.
        Self(self.0)
    }

    /// As [`Table::switch`]. The table must have been given away, or be so before either task is in
    /// user mode.
    pub fn switch(self, _caller: &CurrentTask) {
        let new = self.0.as_ptr();

        core::mem::forget(self);
        // SAFETY: This reference goes to the current task, and that task's reference to its old table
        // is dropped.
        unsafe { bindings::put_files_struct(bindings::checkpoint_files_switch(new)) };
    }
}

impl Drop for SharedTable {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a reference.
        unsafe { bindings::put_files_struct(self.0.as_ptr()) };
    }
}
