// SPDX-License-Identifier: GPL-2.0

//! What prctl(2), setsid(2) and `/proc/PID` set for a task.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

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
use core::num::NonZero;

/// What [`CurrentTask::set_attrs`] sets.
///
/// # Invariants
///
/// `checkpoint_attrs_check()` let the current task have it: system calls would set the same.
pub struct Attrs(uapi::cr_hdr_task_attrs);

impl Attrs {
    /// Checks that the current task may have these attributes. What is of audit and of security
    /// modules is not looked at.
    ///
    /// # Errors
    ///
    /// That of the call that sets it, and the name of what the task may not have.
    pub fn new(attrs: uapi::cr_hdr_task_attrs) -> Result<Self, (Error, &'static str)> {
        let mut what = core::ptr::null();

        // SAFETY: Both types are made of one declaration. The function reads the structure, and
        // writes the pointer of a local variable.
        let ret = unsafe { bindings::checkpoint_attrs_check((&raw const attrs).cast(), &mut what) };
        // SAFETY: The function sets this to a string literal whatever it returns.
        let what = unsafe { name(what) }.unwrap_or("attributes");

        // INVARIANT: Just checked.
        to_result(ret).map(|()| Self(attrs)).map_err(|e| (e, what))
    }
}

/// A cookie of core scheduling that no task has yet.
///
/// # Invariants
///
/// It is one that `checkpoint_cookie_alloc()` returned, with its reference.
pub struct Cookie(NonZero<usize>);

impl Cookie {
    /// Makes a new cookie.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no two processors of this machine share a core.
    pub fn new() -> Result<Self> {
        let mut cookie = 0;

        // SAFETY: The out pointer is that of a local variable.
        to_result(unsafe { bindings::checkpoint_cookie_alloc(&mut cookie) })?;
        // INVARIANT: It was returned just now.
        NonZero::new(cookie).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        // SAFETY: By the invariant of the type there is a reference, which is dropped. A task that
        // was given the cookie has one of its own.
        unsafe { bindings::checkpoint_cookie_put(self.0.get()) };
    }
}

impl Task {
    /// Returns what tells the cookie of core scheduling of the task from those of others; 0 if it has
    /// none.
    pub fn cookie(&self) -> usize {
        // SAFETY: `self` is a valid task.
        unsafe { bindings::checkpoint_core_sched_get(self.as_ptr()) }
    }

    /// Returns what prctl(2) and `/proc/PID` have set for the task, which must stand still. What is
    /// of audit and of security modules is 0.
    pub fn attrs(&self) -> uapi::cr_hdr_task_attrs {
        let mut attrs = uapi::cr_hdr_task_attrs::default();

        // SAFETY: `self` is a valid task, which has a signal structure as long as it lives. Both
        // types are made of one declaration.
        unsafe { bindings::checkpoint_attrs_get(self.as_ptr(), (&raw mut attrs).cast()) };
        attrs
    }
}

impl CurrentTask {
    /// Gives the current task attributes.
    pub fn set_attrs(&self, attrs: &Attrs) {
        // SAFETY: By the invariant of the type they have been checked, and both types are made of
        // one declaration. The function changes the current task.
        unsafe { bindings::checkpoint_attrs_set((&raw const attrs.0).cast()) };
    }

    /// Gives the current task a cookie of core scheduling.
    pub fn set_cookie(&self, cookie: &Cookie) {
        // SAFETY: By the invariant of the type the cookie has a reference; the function takes one
        // more for the task.
        unsafe { bindings::checkpoint_cookie_set(cookie.0.get()) };
    }

    /// Makes the current task the leader of a session or of a process group, unless it has a
    /// controlling terminal or setsid(2) would not let it.
    #[doc(alias = "setsid")]
    pub fn lead(&self, session: bool, group: bool) {
        // SAFETY: The function changes the current task, and takes the locks that it needs.
        unsafe { bindings::checkpoint_lead(session, group) };
    }
}
