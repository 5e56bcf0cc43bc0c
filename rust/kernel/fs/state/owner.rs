// SPDX-License-Identifier: GPL-2.0

//! Who is told of what happens to an open file: owners, `O_ASYNC`, leases; and hints about how long
//! lives what is written to it.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use core::ptr::NonNull;

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::File,
    prelude::*,
    task::Task, //
};

use super::text;

/// Who gets which signal when a file is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `F_OWNER_*`
    pub kind: u32,
    /// Thread, process or process group; 0 if there is none, -1 if it is one without a number.
    pub pid: i32,
    /// The signal; 0 for `SIGIO` without a siginfo.
    pub signal: i32,
    /// Real user id of who said so.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
}

/// Tells why who is told of what happens to `file` cannot be saved.
pub fn obstacle(file: &File) -> Option<&'static CStr> {
    // SAFETY: `file` is a valid file. What is returned is null or a string literal of
    // fs/checkpoint_owner.c.
    unsafe { text(bindings::checkpoint_owner_obstacle(file.as_ptr())) }
}

/// Tells who gets a signal when `file` is ready, by the number in the pid namespace of `root`. [`None`]
/// if nobody does and none was chosen.
pub fn get(file: &File, root: &Task) -> Option<Owner> {
    let mut to = bindings::cr_hdr_owner::default();

    // SAFETY: `file` is a valid file and `root` a valid task. `to` is written to.
    unsafe { bindings::checkpoint_owner_get(file.as_ptr(), root.as_ptr(), &raw mut to) }.then_some(
        Owner {
            kind: to.kind,
            pid: to.pid,
            signal: to.signal,
            uid: to.uid,
            euid: to.euid,
        },
    )
}

/// Whom the number of an owner means.
#[derive(Clone, Copy)]
pub enum Whom<'a> {
    /// The task, or the process group that it leads.
    Task(&'a Task),
    /// The process group that the task is in.
    GroupOf(&'a Task),
    /// Whoever has the number.
    Number,
}

/// An owner that a file is going to have.
///
/// # Invariants
///
/// The pointer is to what `checkpoint_owner_prepare()` returned, and nobody else has it.
pub struct NewOwner(NonNull<bindings::checkpoint_owner>);

impl NewOwner {
    /// Gets an owner ready for `file`, which is nobody else's. `whom` is what its number means, if it
    /// has one.
    ///
    /// # Errors
    ///
    /// `ESRCH` if there is no such process, `EPERM` if the current task could not have the user ids.
    pub fn new(file: &File, owner: &Owner, whom: Whom<'_>) -> Result<Self> {
        let from = bindings::cr_hdr_owner {
            objref: 0,
            kind: owner.kind,
            pid: owner.pid,
            signal: owner.signal,
            uid: owner.uid,
            euid: owner.euid,
        };

        let (task, group) = match whom {
            Whom::Task(task) => (task.as_ptr(), false),
            Whom::GroupOf(task) => (task.as_ptr(), true),
            Whom::Number => (core::ptr::null_mut(), false),
        };

        // SAFETY: `file` is a valid file, and `from` is only read. `task` is valid or null.
        let new = from_err_ptr(unsafe {
            bindings::checkpoint_owner_prepare(file.as_ptr(), &raw const from, task, group)
        })?;

        // INVARIANT: It is new.
        Ok(Self(NonNull::new(new).ok_or(ENOMEM)?))
    }

    /// Makes it the owner of the file.
    pub fn commit(self) {
        let owner = self.0.as_ptr();

        core::mem::forget(self);
        // SAFETY: By the type invariant it is ours, and it is given away.
        unsafe { bindings::checkpoint_owner_commit(owner) };
    }
}

impl Drop for NewOwner {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours, and nobody uses it any more.
        unsafe { bindings::checkpoint_owner_free(self.0.as_ptr()) };
    }
}

/// Makes `file`, which is nobody else's, send signals that tell of the descriptor `fd`, as with
/// `O_ASYNC`. Without an owner nobody gets them yet.
pub fn send_signals(file: &File, fd: Option<u32>) -> Result {
    // SAFETY: `file` is a valid file.
    to_result(unsafe { bindings::checkpoint_async(file.as_ptr(), number(fd)) })
}

/// Takes a lease that `file` has, and that goes with the last reference to it. Its signals tell of
/// the descriptor `fd`.
///
/// # Errors
///
/// Those of fcntl(2) with `F_SETLEASE`: `EAGAIN` if others have the inode open, `EACCES` if it is
/// not that of the current task.
pub fn take_lease(file: &File, fd: Option<u32>, lease_type: u32) -> Result {
    // SAFETY: `file` is a valid file.
    to_result(unsafe { bindings::checkpoint_lease(file.as_ptr(), number(fd), lease_type) })
}

/// A descriptor as the kernel tells of it in signals; -1 for none.
fn number(fd: Option<u32>) -> c_int {
    fd.and_then(|fd| c_int::try_from(fd).ok()).unwrap_or(-1)
}

/// Returns the hint of the inode: `RWH_*`.
pub fn hint(file: &File) -> u32 {
    // SAFETY: `file` is a valid file.
    unsafe { bindings::checkpoint_hint(file.as_ptr()) }
}

/// Tells whether the current task may set another hint.
///
/// # Errors
///
/// Those of fcntl(2) with `F_SET_RW_HINT`.
pub fn may_set_hint(file: &File, hint: u32) -> Result {
    // SAFETY: `file` is a valid file.
    to_result(unsafe { bindings::checkpoint_may_hint(file.as_ptr(), hint) })
}

/// Sets the hint of the inode to one that [`may_set_hint`] was asked about.
pub fn set_hint(file: &File, hint: u32) {
    // SAFETY: `file` is a valid file.
    unsafe { bindings::checkpoint_set_hint(file.as_ptr(), hint) };
}
