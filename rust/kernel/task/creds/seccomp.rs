// SPDX-License-Identifier: GPL-2.0

//! The system calls that a task may make.
//!
//! C headers: [`include/linux/seccomp.h`](srctree/include/linux/seccomp.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use crate::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    str::CStr,
    task::{
        CurrentTask,
        Task, //
    },
};
use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

/// A seccomp filter.
#[derive(PartialEq, Eq)]
pub struct Filter {
    /// Actions other than to allow are logged.
    pub log: bool,
    /// The program, as `struct sock_filter`.
    pub insns: KVVec<u64>,
}

/// The filters of a task, the first that was installed first; or what makes one of them one that
/// cannot be saved.
pub type Filters = Result<KVVec<Filter>, &'static CStr>;

impl Task {
    /// Returns `SECCOMP_MODE_*` of the task.
    pub fn seccomp_mode(&self) -> u32 {
        // SAFETY: `self` is a valid task.
        unsafe { bindings::checkpoint_seccomp_mode(self.as_ptr()) }
    }
}

/// Copies the filters of `task`.
///
/// # Safety
///
/// The filters of the task must not change meanwhile: it is the current one, or does not run.
unsafe fn copy(task: &Task) -> Result<Filters> {
    let mut filters = KVVec::new();
    let mut filter = ptr::null_mut();

    loop {
        let mut seen = bindings::checkpoint_filter::default();

        // SAFETY: `task` is a valid task whose filters stay, by the contract of this function, and
        // `filter` is null or one of them.
        filter = unsafe { bindings::checkpoint_filter_next(task.as_ptr(), filter, &mut seen) };
        if filter.is_null() {
            break;
        }
        if !seen.refused.is_null() {
            // SAFETY: The function says so by a string literal.
            return Ok(Err(unsafe { CStr::from_char_ptr(seen.refused) }));
        }
        // SAFETY: The program of a filter has so many instructions of a word each, does not change,
        // and stays as long as the filter does.
        let program = unsafe { slice::from_raw_parts(seen.insns, seen.nr_insns as usize) };
        let mut insns = KVVec::with_capacity(program.len(), GFP_KERNEL_ACCOUNT)?;

        insns.extend_from_slice(program, GFP_KERNEL_ACCOUNT)?;
        filters.push(
            Filter {
                log: seen.log,
                insns,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    filters.reverse();
    Ok(Ok(filters))
}

impl CurrentTask {
    /// Returns the filters of the current task.
    pub fn own_filters(&self) -> Result<Filters> {
        // SAFETY: Other threads of the process could give filters to this task, but a filter is
        // never taken from a task that runs, so what is found stays.
        unsafe { copy(self) }
    }

    /// Tells whether the task may install filters, if no program it executes gains privileges when
    /// `no_new_privs` is set.
    pub fn may_filter(&self, no_new_privs: bool) -> bool {
        // SAFETY: The function has no requirements.
        unsafe { bindings::checkpoint_may_filter(no_new_privs) }
    }

    /// Tells whether the task may enter strict mode: it has neither that nor filters.
    pub fn may_be_strict(&self) -> bool {
        // SAFETY: The function has no requirements.
        unsafe { bindings::checkpoint_may_be_strict() }
    }

    /// Enters strict mode, if the task may.
    pub fn be_strict(&self) {
        // SAFETY: The function has no requirements.
        unsafe { bindings::checkpoint_be_strict() };
    }
}
