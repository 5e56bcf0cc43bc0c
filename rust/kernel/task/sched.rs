// SPDX-License-Identifier: GPL-2.0

//! How a task is scheduled.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    regs::name,
    CurrentTask,
    NotThreadSafe,
    Task, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*,
    uapi, //
};
use core::ptr::NonNull;

/// What is wrong with a change, and the error of the system call that does the same.
pub type Refused = (Error, &'static str);

/// A change of how the current task is scheduled. Dropping it undoes it.
///
/// # Invariants
///
/// The pointer is that of a change which `checkpoint_sched_prepare()` returned in the current task,
/// and which nobody has put or committed yet. A value stays in that task: it is not thread safe.
pub struct Change {
    change: NonNull<bindings::checkpoint_sched>,
    _here: NotThreadSafe,
}

impl Change {
    /// Gets ready to change how the current task is scheduled, and finds out whether it may.
    ///
    /// `affinity` is what sched_setaffinity(2) gets, `sched.affinity_len` bytes of it; none if that
    /// is 0.
    pub fn new(sched: &uapi::cr_hdr_sched, affinity: &[u64]) -> Result<Self, Refused> {
        let mut change = core::ptr::null_mut();
        let mut what = core::ptr::null();

        if size_of_val(affinity) != sched.affinity_len as usize {
            return Err((EINVAL, "affinity"));
        }
        // SAFETY: Both types are made of one declaration. The mask is as long as the structure
        // says, and the out pointers are those of local variables.
        let ret = unsafe {
            bindings::checkpoint_sched_prepare(
                core::ptr::from_ref(sched).cast(),
                affinity.as_ptr(),
                &mut change,
                &mut what,
            )
        };
        // SAFETY: The function sets this to a string literal whatever it returns.
        let what = unsafe { name(what) }.unwrap_or("scheduling");

        to_result(ret).map_err(|e| (e, what))?;
        // INVARIANT: It was returned just now.
        NonNull::new(change)
            .map(|change| Self {
                change,
                _here: NotThreadSafe,
            })
            .ok_or((ENOMEM, what))
    }

    /// Makes the change. It may still fail: others may have got the bandwidth of `SCHED_DEADLINE`.
    pub fn apply(&mut self) -> Result<(), Refused> {
        let mut what = core::ptr::null();

        // SAFETY: By the invariants of the type, the pointer is good and this is the current task
        // that it was made for. The out pointer is that of a local variable.
        let ret = unsafe { bindings::checkpoint_sched_apply(self.change.as_ptr(), &mut what) };
        // SAFETY: The function sets this to a string literal whatever it returns.
        let what = unsafe { name(what) }.unwrap_or("scheduling");

        to_result(ret).map_err(|e| (e, what))
    }

    /// Keeps what [`apply`](Self::apply) has changed.
    pub fn commit(self, _caller: &CurrentTask) {
        let change = core::mem::ManuallyDrop::new(self);

        // SAFETY: By the invariants of the type, the pointer is good and this is the current task
        // that it was made for. It is not used again.
        unsafe { bindings::checkpoint_sched_commit(change.change.as_ptr()) };
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // SAFETY: By the invariants of the type, the pointer is good and this is the current task
        // that it was made for. It is not used again.
        unsafe { bindings::checkpoint_sched_put(self.change.as_ptr()) };
    }
}

impl Task {
    /// Returns how the task, which must stand still, is scheduled. `affinity_len` is 0.
    ///
    /// # Errors
    ///
    /// The name of something that an image cannot hold.
    pub fn scheduling(&self) -> Result<uapi::cr_hdr_sched, &'static str> {
        let mut sched = uapi::cr_hdr_sched::default();

        // SAFETY: `self` is a valid task, and both types are made of one declaration. The function
        // returns null or a string literal.
        match unsafe {
            name(bindings::checkpoint_sched_get(
                self.as_ptr(),
                (&raw mut sched).cast(),
            ))
        } {
            Some(what) => Err(what),
            None => Ok(sched),
        }
    }

    /// Returns what the task gave sched_setaffinity(2), bit 0 of the first word for processor 0;
    /// nothing if it did not call that.
    pub fn affinity(&self) -> Result<KVec<u64>> {
        const MAX: usize = uapi::CR_AFFINITY_LEN_MAX as usize / size_of::<u64>();
        let get = |mask: &mut [u64]| {
            // SAFETY: `self` is a valid task, and the slice has as many words as the function is
            // told.
            unsafe {
                bindings::checkpoint_affinity_get(
                    self.as_ptr(),
                    mask.as_mut_ptr(),
                    mask.len() as u32,
                )
            }
        };

        // Most tasks did not, and there is no need of memory.
        if get(&mut []) == 0 {
            return Ok(KVec::new());
        }
        let mut mask = KVec::from_elem(0, MAX, GFP_KERNEL)?;
        let ret = get(&mut mask);
        to_result(ret)?;
        mask.truncate(ret as usize);
        Ok(mask)
    }
}
