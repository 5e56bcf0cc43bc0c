// SPDX-License-Identifier: GPL-2.0

//! The credentials of a task, as the current user namespace has them.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)

use super::Task;
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    uapi, //
};

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
