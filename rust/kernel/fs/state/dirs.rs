// SPDX-License-Identifier: GPL-2.0

//! Where paths of a task begin: its root and its working directory; and its umask.
//!
//! C header: [`include/linux/fs_struct.h`](srctree/include/linux/fs_struct.h)

use core::ptr::{
    self,
    NonNull, //
};

use crate::{
    bindings,
    error::from_err_ptr,
    fs::File,
    prelude::*,
    sync::aref::ARef,
    task::{
        CurrentTask,
        Task, //
    }, //
};

use super::owned;

/// Returns the umask of `task`, and whether another task shares it, and where its paths begin.
pub fn umask(task: &Task) -> (u32, usize) {
    let mut umask = 0;

    // SAFETY: `task` is a valid task, and `umask` is written to.
    let users = unsafe { bindings::checkpoint_fs_look(task.as_ptr(), &raw mut umask) };
    (umask, users as usize)
}

/// Opens the working directory of `task`, for its path only.
pub fn working(task: &Task) -> Result<ARef<File>> {
    // SAFETY: `task` is a valid task. The function returns a reference or an error.
    owned(unsafe { bindings::checkpoint_fs_dir(task.as_ptr(), false) })
}

/// Opens the root of `task`, for its path only. [`None`] if it is that of the current task.
pub fn root(task: &Task) -> Result<Option<ARef<File>>> {
    // SAFETY: `task` is a valid task.
    let file = unsafe { bindings::checkpoint_fs_dir(task.as_ptr(), true) };

    if file.is_null() {
        return Ok(None);
    }
    // The function returned a reference or an error.
    owned(file).map(Some)
}

/// A root, a working directory and a umask that no task has.
///
/// # Invariants
///
/// The pointer is to a valid `fs_struct`, and this is a reference to it. All others are those of
/// [`SharedDirs`].
pub struct Dirs(NonNull<bindings::fs_struct>);

impl Dirs {
    /// Makes them of open directories, if the current task may go there. Without `root` it keeps
    /// its own.
    ///
    /// # Errors
    ///
    /// Those of chdir(2) and chroot(2).
    pub fn new(working: &File, root: Option<&File>, umask: u32) -> Result<Self> {
        let root = root.map_or(ptr::null_mut(), |root| root.as_ptr());

        // SAFETY: `working` is a valid file, and so is `root`, or it is null.
        let fs = unsafe { bindings::checkpoint_fs_alloc(working.as_ptr(), root, umask) };

        // INVARIANT: The structure is new.
        Ok(Self(NonNull::new(from_err_ptr(fs)?).ok_or(ENOMEM)?))
    }

    /// Returns them for another task.
    pub fn share(&self) -> SharedDirs {
        // SAFETY: By the type invariant the structure is valid.
        unsafe { bindings::checkpoint_fs_get(self.0.as_ptr()) };
        // INVARIANT: The reference has just been taken.
        SharedDirs(self.0)
    }

    /// Gives these to the current task, and drops those that it had.
    pub fn switch(self, _caller: &CurrentTask) {
        let fs = self.0.as_ptr();

        core::mem::forget(self);
        // SAFETY: The reference goes to the current task.
        unsafe { bindings::checkpoint_fs_switch(fs) };
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a reference.
        unsafe { bindings::checkpoint_fs_put(self.0.as_ptr()) };
    }
}

/// A root, a working directory and a umask that another task has, too.
///
/// # Invariants
///
/// The pointer is to a valid `fs_struct`, and this is a reference to it.
pub struct SharedDirs(NonNull<bindings::fs_struct>);

// SAFETY: The references are counted, and any task may give one back.
unsafe impl Send for SharedDirs {}

impl SharedDirs {
    /// Returns them for one more task.
    pub fn share(&self) -> Self {
        // SAFETY: By the type invariant the structure is valid.
        unsafe { bindings::checkpoint_fs_get(self.0.as_ptr()) };
        // INVARIANT: The reference has just been taken.
        Self(self.0)
    }

    /// Gives these to the current task, and drops those that it had.
    pub fn switch(self, _caller: &CurrentTask) {
        let fs = self.0.as_ptr();

        core::mem::forget(self);
        // SAFETY: The reference goes to the current task.
        unsafe { bindings::checkpoint_fs_switch(fs) };
    }
}

impl Drop for SharedDirs {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a reference.
        unsafe { bindings::checkpoint_fs_put(self.0.as_ptr()) };
    }
}
