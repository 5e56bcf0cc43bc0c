// SPDX-License-Identifier: GPL-2.0

//! What the kernel keeps for a thread of execution, besides its registers.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    regs::name,
    CurrentTask,
    Task, //
};
use crate::{
    bindings,
    error::{
        to_result,
        Result, //
    },
    uapi, //
};
use core::ptr::addr_of;

/// What [`CurrentTask::set_thread`] sets.
///
/// # Invariants
///
/// `checkpoint_thread_unfit()` finds nothing in it: system calls would set the same.
pub struct Thread(uapi::cr_hdr_thread);

impl Thread {
    /// Checks what an image says for the current task. `xstate_len` does not matter.
    ///
    /// # Errors
    ///
    /// The name of a field with a value that the task cannot have.
    pub fn new(thread: uapi::cr_hdr_thread) -> Result<Self, &'static str> {
        // SAFETY: Both types are made of one declaration. The function reads the structure, and
        // returns null or a string literal.
        match unsafe {
            name(bindings::checkpoint_thread_unfit(
                (&raw const thread).cast(),
            ))
        } {
            Some(field) => Err(field),
            // INVARIANT: Just checked.
            None => Ok(Self(thread)),
        }
    }
}

/// What a task has and an image cannot hold.
///
/// # Invariants
///
/// The first `nr` pointers in `what` are string literals.
pub struct Obstacles(bindings::checkpoint_obstacles);

impl Obstacles {
    /// Iterates over their names.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        let found = self.0.what.iter().take(self.0.nr as usize);

        // SAFETY: By the type invariants these are string literals.
        found.filter_map(|what| unsafe { name(*what) })
    }
}

/// Tells whether a task may be that of a 32-bit program, or in a system call of one.
pub fn runs_ia32() -> bool {
    // SAFETY: The function has no preconditions.
    unsafe { !bindings::checkpoint_thread_flags_unfit(uapi::CR_THREAD_IA32) }
}

impl Task {
    /// Returns what the kernel keeps for the task, which must stand still for it to be right.
    /// `xstate_len` is 0.
    ///
    /// # Errors
    ///
    /// The name of something that an image cannot hold.
    pub fn thread(&self) -> Result<uapi::cr_hdr_thread, &'static str> {
        let mut thread = uapi::cr_hdr_thread::default();

        // SAFETY: `self` is a valid task, and both types are made of one declaration. The function
        // returns null or a string literal.
        match unsafe {
            name(bindings::checkpoint_thread_get(
                self.as_ptr(),
                (&raw mut thread).cast(),
            ))
        } {
            Some(what) => Err(what),
            None => Ok(thread),
        }
    }

    /// Returns names for what the task has and an image cannot hold. The task must stand still for
    /// them to be right.
    pub fn obstacles(&self) -> Obstacles {
        let mut found = bindings::checkpoint_obstacles::default();

        // SAFETY: `self` is a valid task, which has a signal structure as long as it lives, and the
        // function is called for tasks that do.
        unsafe { bindings::checkpoint_task_obstacles(self.as_ptr(), &mut found) };
        // INVARIANT: The function stores string literals, and how many.
        Obstacles(found)
    }

    /// Tells whether another task traces this one, see ptrace(2).
    pub fn is_traced(&self) -> bool {
        // SAFETY: `self` is a valid task. The field is a number, which may change at any time.
        unsafe { core::ptr::addr_of!((*self.as_ptr()).ptrace).read_volatile() != 0 }
    }

    /// Tells whether the task has used io_uring, so that the kernel may write to its memory later.
    pub fn uses_io_uring(&self) -> bool {
        // SAFETY: `self` is a valid task; the function looks whether pointers are null.
        unsafe { bindings::checkpoint_uses_io_uring(self.as_ptr()) }
    }

    /// Returns the personality of the task, see personality(2).
    pub fn personality(&self) -> u32 {
        // SAFETY: `self` is a valid task. The field is a plain number.
        unsafe { addr_of!((*self.as_ptr()).personality).read_volatile() }
    }

    /// Tells whether the task is one of the kernel's own, or works for user space in the kernel.
    pub fn is_kernel(&self) -> bool {
        self.task_flags() & (bindings::PF_KTHREAD | bindings::PF_USER_WORKER) != 0
    }

    /// Tells whether the task has begun to exit.
    pub fn is_exiting(&self) -> bool {
        self.task_flags() & bindings::PF_EXITING != 0
    }

    fn task_flags(&self) -> u32 {
        // SAFETY: `self` is a valid task. The field is a plain number that is read once, as
        // READ_ONCE() does.
        unsafe { addr_of!((*self.as_ptr()).flags).read_volatile() }
    }
}

impl CurrentTask {
    /// Tells whether the address space of the current task is that of a 32-bit program.
    pub fn has_ia32_memory(&self) -> bool {
        // SAFETY: `self` is the current task, which is in a system call or has not left the kernel
        // yet, so that it has an address space; only the task itself changes which.
        unsafe { bindings::checkpoint_mm_is_ia32((*self.as_ptr()).mm) }
    }

    /// Checks that the task may have its system calls dispatched as a thread has them.
    ///
    /// # Errors
    ///
    /// As prctl(`PR_SET_SYSCALL_USER_DISPATCH`).
    pub fn may_dispatch(&self, thread: &Thread) -> Result {
        // SAFETY: Both types are made of one declaration. The function leaves the current task as it
        // is.
        to_result(unsafe { bindings::checkpoint_dispatch_check((&raw const thread.0).cast()) })
    }

    /// Checks that there are the registers that a thread has permission for.
    ///
    /// # Errors
    ///
    /// As arch_prctl(`ARCH_REQ_XCOMP_PERM`).
    pub fn may_have_tiles(&self, thread: &Thread) -> Result {
        // SAFETY: The function has no preconditions.
        to_result(unsafe { bindings::checkpoint_xcomp_check(thread.0.flags) })
    }

    /// Gives the current task what the kernel keeps for it. Addresses are those of the address space
    /// that it is about to have.
    pub fn set_thread(&self, thread: &Thread) {
        // SAFETY: By the invariant of the type it has been checked, and both types are made of one
        // declaration. The function changes the current task.
        unsafe { bindings::checkpoint_thread_set((&raw const thread.0).cast()) };
    }

    /// Ends what the current task has and no restored process does: timers, and the dispatch of
    /// system calls.
    pub fn reset(&self) {
        // SAFETY: The function changes the current task, which is the only one of its process or
        // shares these with the others.
        unsafe { bindings::checkpoint_task_reset() };
    }
}
