// SPDX-License-Identifier: GPL-2.0

//! The registers of a task, and what a checkpoint does to a system call that it interrupts.
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
use core::{
    ffi::CStr,
    mem::ManuallyDrop,
    ptr::NonNull, //
};

/// How many general registers there are.
pub const NR_REGS: usize = bindings::CHECKPOINT_NR_REGS as usize;

/// Makes a string of what C code calls something, `None` of a null pointer.
///
/// # Safety
///
/// `name` must be null, or a string that lives forever.
pub(super) unsafe fn name(name: *const c_char) -> Option<&'static str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: By the safety requirements this is a string that lives forever.
    let name = unsafe { CStr::from_char_ptr(name) };
    Some(name.to_str().unwrap_or("?"))
}

/// General registers, in the order of `struct user_regs_struct`.
///
/// # Invariants
///
/// `checkpoint_cpu_unfit()` finds nothing in them: a task may have these in user mode.
#[derive(Clone, Copy)]
pub struct Registers([u64; NR_REGS]);

impl Registers {
    /// Checks registers.
    ///
    /// # Errors
    ///
    /// The name of a register with a value that user mode cannot have.
    pub fn new(regs: [u64; NR_REGS]) -> Result<Self, &'static str> {
        // SAFETY: The array has as many registers as the function reads. It returns null, or a
        // string literal.
        match unsafe { name(bindings::checkpoint_cpu_unfit(regs.as_ptr())) } {
            Some(register) => Err(register),
            // INVARIANT: Just checked.
            None => Ok(Self(regs)),
        }
    }
}

/// Room for the registers of a thread that uses tiles of AMX.
///
/// # Invariants
///
/// `checkpoint_fpstate_alloc()` returned it, and nobody else has it.
struct Room(NonNull<bindings::fpstate>);

// SAFETY: It is memory that nothing else refers to, whoever made it.
unsafe impl Send for Room {}

impl Room {
    fn new() -> Result<Self> {
        // SAFETY: The function has no preconditions.
        let room = unsafe { bindings::checkpoint_fpstate_alloc() };

        // INVARIANT: It was returned just now.
        NonNull::new(room).map(Self).ok_or(ENOMEM)
    }

    /// Gives it up to whoever takes the pointer.
    fn into_raw(self) -> *mut bindings::fpstate {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: By the invariant of the type nobody else has it.
        unsafe { bindings::checkpoint_fpstate_free(self.0.as_ptr()) };
    }
}

/// Floating point and vector registers, in the standard format of XSAVE.
///
/// # Invariants
///
/// `checkpoint_xstate_check()` finds nothing wrong with them, with the flag that says whether there
/// is room for tiles.
pub struct XState {
    registers: KVVec<u64>,
    room: Option<Room>,
}

impl XState {
    /// Checks registers for the current task, and makes room for them if `flags` of its
    /// thread say that it has used tiles of AMX.
    ///
    /// # Errors
    ///
    /// What is wrong with them, `ENOMEM` if that is nothing.
    pub fn new(registers: KVVec<u64>, flags: u32) -> Result<Self, (Error, &'static str)> {
        let len = registers.len().saturating_mul(8);

        // SAFETY: The vector has `len` bytes, and the function reads no more than that: it looks at
        // the length first. It returns null, or a string literal.
        let wrong = unsafe {
            name(bindings::checkpoint_xstate_check(
                registers.as_ptr().cast(),
                u32::try_from(len).unwrap_or(0),
                flags,
            ))
        };
        if let Some(what) = wrong {
            return Err((EINVAL, what));
        }
        let room = match flags & uapi::CR_THREAD_XTILE_DATA {
            0 => None,
            _ => Some(Room::new().map_err(|e| (e, "tiles"))?),
        };
        // INVARIANT: Just checked, and there is room if the flag says so.
        Ok(Self { registers, room })
    }
}

impl Task {
    /// Returns the general registers of the task, in the order of `struct user_regs_struct`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the task runs.
    pub fn registers(&self) -> Result<[u64; NR_REGS]> {
        let mut regs = [0; NR_REGS];

        // SAFETY: `self` is a valid task, and the array has as many registers as the function
        // writes. It makes sure that there are any.
        to_result(unsafe { bindings::checkpoint_cpu_get(self.as_ptr(), regs.as_mut_ptr()) })?;
        Ok(regs)
    }

    /// Returns the floating point and vector registers of the task, in the standard format of
    /// XSAVE.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the task runs, `ENODEV` if the processor has no XSAVE.
    pub fn xstate(&self) -> Result<KVVec<u64>> {
        // SAFETY: `self` is a valid task.
        let len = unsafe { bindings::checkpoint_xstate_len(self.as_ptr()) };
        if len == 0 || len % 8 != 0 {
            return Err(ENODEV);
        }

        let mut registers = KVVec::from_elem(0u64, len as usize / 8, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: `self` is a valid task, and the vector has `len` bytes.
        to_result(unsafe {
            bindings::checkpoint_xstate_get(self.as_ptr(), registers.as_mut_ptr().cast(), len)
        })?;
        Ok(registers)
    }
}

impl CurrentTask {
    /// Gives the current task its registers, which it has when it is back in user mode, and lets an
    /// interrupted system call among them be done again.
    ///
    /// The system call that this is called from must return [`CurrentTask::return_value`].
    pub fn set_registers(&self, regs: &Registers, xstate: XState) {
        let room = xstate.room.map_or(core::ptr::null_mut(), Room::into_raw);

        // SAFETY: By the invariants of the types, the registers have been checked, and the arrays
        // are as long as the functions expect. These change the current task, which gets the room.
        unsafe {
            bindings::checkpoint_xstate_set(xstate.registers.as_ptr().cast(), room);
            bindings::checkpoint_cpu_set(regs.0.as_ptr());
            bindings::checkpoint_finish_syscall();
        }
    }
}

/// Lets the current task do its system call again, if it answers `EINTR` to anything that interrupts
/// it, and nothing but task work did.
///
/// To be called from task work. If a signal is handled before the task is back in user mode, the
/// answer is `EINTR` as it was.
pub fn reissue_interrupted() {
    // SAFETY: The function changes the registers of the current task, which is in task work, at the
    // edge of user mode.
    unsafe { bindings::checkpoint_reissue_interrupted() };
}
