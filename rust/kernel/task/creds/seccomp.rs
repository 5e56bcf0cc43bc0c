// SPDX-License-Identifier: GPL-2.0

//! The system calls that a task may make.
//!
//! C headers: [`include/linux/seccomp.h`](srctree/include/linux/seccomp.h),
//! [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use crate::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    task::{
        regs::name,
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
pub type Filters = Result<KVVec<Filter>, &'static str>;

/// A reference on the filters of a task.
///
/// # Invariants
///
/// This is a filter, of which one reference is owned. It keeps all that were installed before.
struct Held(NonNull<bindings::seccomp_filter>);

impl Held {
    fn new(task: &Task) -> Option<Self> {
        // SAFETY: `task` is a valid task. The function takes the lock that it needs.
        let filter = unsafe { bindings::checkpoint_filters_hold(task.as_ptr()) };

        // INVARIANT: The function returns a filter with a reference, or null.
        NonNull::new(filter).map(Self)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: By the invariant of the type the reference is owned.
        unsafe { bindings::checkpoint_filters_put(self.0.as_ptr()) };
    }
}

impl Task {
    /// Returns `SECCOMP_MODE_*` of the task.
    pub fn seccomp_mode(&self) -> u32 {
        // SAFETY: `self` is a valid task.
        unsafe { bindings::checkpoint_seccomp_mode(self.as_ptr()) }
    }

    /// Copies the filters of the task.
    pub fn seccomp_filters(&self) -> Result<Filters> {
        let mut filters = KVVec::new();
        let Some(held) = Held::new(self) else {
            return Ok(Ok(filters));
        };
        let mut filter = held.0.as_ptr();

        while !filter.is_null() {
            let mut seen = bindings::checkpoint_filter::default();

            // SAFETY: `filter` is the one that is held or was installed before that, so it is kept.
            filter = unsafe { bindings::checkpoint_filter_look(filter, &mut seen) };
            // SAFETY: The function says so by a string literal, or not at all.
            if let Some(refused) = unsafe { name(seen.refused) } {
                return Ok(Err(refused));
            }
            // SAFETY: The program of a filter has so many instructions of a word each, does not
            // change, and stays as long as the filter does.
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
}

/// Filters that are ready to be installed behind those of the current task.
///
/// # Invariants
///
/// `last` is the filter that was made last, and owned with all that were made before it; the first of
/// them comes behind the filters of the current task, which are the same still. `total` is what all of
/// them count for.
pub struct Filtering {
    last: Option<NonNull<bindings::seccomp_filter>>,
    count: u32,
    total: c_ulong,
}

impl Filtering {
    /// Begins behind the filters of the current task, which is the only one of its process.
    pub fn new(_task: &CurrentTask) -> Self {
        // INVARIANT: Nothing is made yet. Only the task itself can install filters, or a thread of
        // its process.
        Self {
            last: None,
            count: 0,
            // SAFETY: The function has no requirements.
            total: unsafe { bindings::checkpoint_filter_total() },
        }
    }

    /// Makes a filter that comes behind those before.
    ///
    /// # Errors
    ///
    /// As seccomp(2): `EINVAL` if the program is none, `ENOMEM` if there are too many instructions.
    pub fn push(&mut self, filter: &Filter) -> Result {
        let count = u32::try_from(filter.insns.len()).map_err(|_| EINVAL)?;

        // SAFETY: The vector has as many instructions of a word as the function is told, and by the
        // invariant of the type the filter before is owned, or this is the first.
        let made = from_err_ptr(unsafe {
            bindings::checkpoint_filter_prepare(
                filter.insns.as_ptr(),
                count,
                filter.log,
                self.last.map_or(ptr::null_mut(), NonNull::as_ptr),
                &mut self.total,
            )
        })?;
        // INVARIANT: The function returns a new filter, which owns the one before.
        self.last = NonNull::new(made);
        self.count += 1;
        Ok(())
    }

    /// Installs the filters, if there are any.
    pub fn commit(mut self, _task: &CurrentTask) {
        if let Some(last) = self.last.take() {
            // SAFETY: By the invariant of the type the filters are owned, and come behind those of
            // the current task. They are handed over.
            unsafe { bindings::checkpoint_filter_commit(last.as_ptr(), self.count) };
        }
    }
}

/// Filters that were made, which other tasks may get as well.
///
/// # Invariants
///
/// `last` was the last of `count` filters that were made for a task, and is owned with all before.
pub struct Made {
    last: NonNull<bindings::seccomp_filter>,
    count: u32,
}

// SAFETY: A filter may be used, and given back, by any task.
unsafe impl Send for Made {}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::checkpoint_filter_drop(self.last.as_ptr()) };
    }
}

impl Filtering {
    /// Returns what was made, for other tasks; [`None`] if nothing was.
    pub fn share(&self) -> Option<Made> {
        let last = self.last?;
        let mut total = 0;

        // SAFETY: By the type invariants it is owned.
        unsafe { bindings::checkpoint_filter_share(last.as_ptr(), &mut total) };
        // INVARIANT: It has another owner now.
        Some(Made {
            last,
            count: self.count,
        })
    }

    /// Begins with filters that were made for another task, the first `count` of them, instead of making
    /// them again. Both tasks have the same filters so far, and none has been added here.
    pub fn begin_with(&mut self, made: &Made, count: u32) {
        let mut filter = made.last.as_ptr();

        if self.last.is_some() || count == 0 || count > made.count {
            return;
        }
        for _ in count..made.count {
            let mut seen = bindings::checkpoint_filter::default();

            // SAFETY: By the type invariants the filter is kept, like all before.
            filter = unsafe { bindings::checkpoint_filter_look(filter, &mut seen) };
        }
        let Some(last) = NonNull::new(filter) else {
            return;
        };
        // SAFETY: As above.
        unsafe { bindings::checkpoint_filter_share(last.as_ptr(), &mut self.total) };
        // INVARIANT: It has another owner now, and comes behind the same filters of the caller of
        // restart(2), which every task that it makes has.
        self.last = Some(last);
        self.count = count;
    }
}

impl Drop for Filtering {
    fn drop(&mut self) {
        if let Some(last) = self.last {
            // SAFETY: By the invariant of the type the filters are owned, and no task has them.
            unsafe { bindings::checkpoint_filter_drop(last.as_ptr()) };
        }
    }
}

impl CurrentTask {
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
