// SPDX-License-Identifier: GPL-2.0

//! Resource limits of a process.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    CurrentTask,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    uapi, //
};

/// What [`CurrentTask::set_limits`] sets.
///
/// # Invariants
///
/// In each limit the soft one is not above the hard one.
pub struct Limits(uapi::cr_hdr_limits);

impl Limits {
    /// Checks that the current task may set these limits, by the rules of setrlimit(2).
    ///
    /// # Errors
    ///
    /// That of the call, and which `RLIMIT_*` it is about.
    pub fn new(limits: uapi::cr_hdr_limits) -> Result<Self, (Error, u32)> {
        let mut which = 0;

        // SAFETY: Both types are made of one declaration. The function reads the structure and
        // writes the number, both of which are there.
        let ret =
            unsafe { bindings::checkpoint_limits_check((&raw const limits).cast(), &mut which) };
        // INVARIANT: Just checked.
        to_result(ret)
            .map(|()| Self(limits))
            .map_err(|e| (e, which))
    }
}

impl Task {
    /// Returns the limits of the process of the task.
    pub fn limits(&self) -> uapi::cr_hdr_limits {
        let mut limits = uapi::cr_hdr_limits::default();

        // SAFETY: `self` is a valid task, which has a signal structure as long as it lives. Both
        // types are made of one declaration. The function takes the lock that it needs.
        unsafe { bindings::checkpoint_limits_get(self.as_ptr(), (&raw mut limits).cast()) };
        limits
    }
}

impl CurrentTask {
    /// Sets the limits of the process of the current task.
    pub fn set_limits(&self, limits: &Limits) {
        // SAFETY: By the invariant of the type these are limits, and both types are made of one
        // declaration. The function changes the current task and takes the lock that it needs.
        unsafe { bindings::checkpoint_limits_set((&raw const limits.0).cast()) };
    }
}
