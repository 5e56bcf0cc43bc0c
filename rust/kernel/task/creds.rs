// SPDX-License-Identifier: GPL-2.0

//! The credentials of a task, as the current user namespace has them.
//!
//! C headers: [`include/linux/cred.h`](srctree/include/linux/cred.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    regs::name,
    CurrentTask,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    uapi, //
};
use core::ptr::{
    self,
    NonNull, //
};

pub mod seccomp;
pub mod security;

/// Most groups that a task may have.
const GROUPS_MAX: usize = bindings::NGROUPS_MAX as usize;

impl Task {
    /// Returns the credentials of the task and its supplementary groups, ascending. `ngroups` of the
    /// first is the number of the second.
    ///
    /// # Errors
    ///
    /// `EXDEV` if the task is of another user namespace than the current one, `EOVERFLOW` if an id
    /// has no number there.
    pub fn credentials(&self) -> Result<(uapi::cr_hdr_creds, KVVec<u32>)> {
        let mut creds = uapi::cr_hdr_creds::default();
        let mut groups = KVVec::new();

        loop {
            // SAFETY: `self` is a valid task. Both types of the structure are made of one
            // declaration, and the vector has as many places as the function is told.
            let count = unsafe {
                bindings::checkpoint_creds_get(
                    self.as_ptr(),
                    (&raw mut creds).cast(),
                    groups.as_mut_ptr(),
                    groups.len() as c_int,
                )
            };
            to_result(count.min(0))?;

            let count = (count as usize).min(GROUPS_MAX);
            if count <= groups.len() {
                groups.truncate(count);
                creds.ngroups = count as u32;
                return Ok((creds, groups));
            }
            groups = KVVec::from_elem(0u32, count, GFP_KERNEL_ACCOUNT)?;
        }
    }
}

/// Why the current task does not get credentials.
pub struct Refused {
    /// What a system call would answer.
    pub error: Error,
    /// The field of `struct cr_hdr_creds` that it is about, or `groups`, if it is about one.
    pub field: Option<&'static str>,
}

/// Credentials that are ready to become those of the current task.
///
/// # Invariants
///
/// The credentials are owned, and not yet those of any task. They were made of those of the current
/// task, whose credentials are the same still.
pub struct Acquired {
    creds: Option<NonNull<bindings::cred>>,
    no_new_privs: bool,
}

impl Acquired {
    /// Acquires credentials for the current task, as far as it could get them by system calls.
    pub fn new(
        _task: &CurrentTask,
        creds: &uapi::cr_hdr_creds,
        groups: &[u32],
    ) -> Result<Self, Refused> {
        let mut acquired = ptr::null_mut();
        let mut field = ptr::null();
        let count = c_int::try_from(groups.len()).map_err(|_| Refused {
            error: EINVAL,
            field: Some("groups"),
        })?;

        // SAFETY: Both types of the structure are made of one declaration, there are as many groups
        // as the function is told, and the out pointers are those of local variables.
        let ret = unsafe {
            bindings::checkpoint_creds_prepare(
                ptr::from_ref(creds).cast(),
                groups.as_ptr(),
                count,
                &mut acquired,
                &mut field,
            )
        };
        to_result(ret).map_err(|error| Refused {
            error,
            // SAFETY: The function names a field by a string literal, or not at all.
            field: unsafe { name(field) },
        })?;
        // INVARIANT: The function hands over what it made, and has made it of the credentials of
        // the current task. No other task can change those, and this one only commits these.
        Ok(Self {
            creds: NonNull::new(acquired),
            no_new_privs: creds.no_new_privs != 0,
        })
    }

    /// Makes these the credentials of the current task.
    pub fn commit(mut self, _task: &CurrentTask) {
        let creds = self.creds.take().map_or(ptr::null_mut(), NonNull::as_ptr);

        // SAFETY: By the invariant of the type the credentials are owned, and were made of those
        // that the current task has. They are handed over.
        unsafe { bindings::checkpoint_creds_commit(creds, self.no_new_privs) };
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if let Some(creds) = self.creds {
            // SAFETY: By the invariant of the type the credentials are owned, and no task has them.
            unsafe { bindings::checkpoint_creds_drop(creds.as_ptr()) };
        }
    }
}
