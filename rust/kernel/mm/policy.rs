// SPDX-License-Identifier: GPL-2.0

//! NUMA memory policies.
//!
//! # Locking
//!
//! Each call takes what it needs, `mmap_lock` or `task_lock()`, and drops it again.
//!
//! C headers: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h),
//! [`include/linux/mempolicy.h`](srctree/include/linux/mempolicy.h)

use super::snapshot::{
    bytes_of,
    of_bytes,
    Plain, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    task::{
        CurrentTask,
        Task, //
    },
    types::NotThreadSafe, //
};
use core::{
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr, //
};

/// A memory policy: a `struct cr_hdr_policy`.
pub struct Policy(pub(super) bindings::cr_hdr_policy);

// SAFETY: `checkpoint_hdr.h` spells all padding out.
unsafe impl Plain for bindings::cr_hdr_policy {}

impl Policy {
    /// Makes one of the bytes of the structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self(of_bytes(bytes)?))
    }

    /// Returns the bytes of the structure.
    pub fn bytes(&self) -> &[u8] {
        bytes_of(&self.0)
    }

    /// Returns where the mapping ends that it is for.
    pub fn end(&self) -> u64 {
        self.0.end
    }

    /// Returns the policy that set_mempolicy(2) gave `task`, if it did.
    pub fn of_task(task: &Task) -> Option<Self> {
        let mut found = MaybeUninit::zeroed();

        // SAFETY: Both pointers are valid.
        let has_one =
            unsafe { bindings::checkpoint_task_policy(task.as_ptr(), found.as_mut_ptr()) };

        // SAFETY: All members may be 0, which they were before.
        has_one.then(|| Self(unsafe { found.assume_init() }))
    }
}

/// The policy of the current task, put aside for another one.
///
/// Dropping it gives the task its own back.
///
/// # Invariants
///
/// `swap` is what `checkpoint_policy_begin()` filled in for the current task, and nobody has set its
/// policy since then.
pub struct TaskPolicy {
    swap: bindings::checkpoint_policy_swap,
    /// It is about the current task.
    _not_send: NotThreadSafe,
}

impl TaskPolicy {
    /// Gives the caller another policy, as set_mempolicy(2) does; [`None`] is that of a task which
    /// never called it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is none, or for nodes that the caller may not use.
    pub fn begin(_caller: &CurrentTask, policy: Option<&Policy>) -> Result<Self> {
        let mut swap = MaybeUninit::zeroed();
        let policy = policy.map_or(ptr::null(), |policy| &raw const policy.0);

        // SAFETY: `policy` is valid or null, and `swap` is valid. The caller is the current task.
        to_result(unsafe { bindings::checkpoint_policy_begin(policy, swap.as_mut_ptr()) })?;
        // INVARIANT: The function has just filled it in. Only the task itself sets its policy.
        Ok(Self {
            // SAFETY: All members may be 0, which they were before.
            swap: unsafe { swap.assume_init() },
            _not_send: NotThreadSafe,
        })
    }

    /// Lets the caller keep its new policy.
    pub fn commit(self, _caller: &CurrentTask) {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: By the type invariants. It is not used again: the destructor does not run.
        unsafe { bindings::checkpoint_policy_commit(&raw mut this.swap) };
    }
}

impl Drop for TaskPolicy {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. It is not used again.
        unsafe { bindings::checkpoint_policy_abort(&raw mut self.swap) };
    }
}
