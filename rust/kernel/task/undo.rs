// SPDX-License-Identifier: GPL-2.0

//! What semop(2) with `SEM_UNDO` has left to undo.
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
    types::NotThreadSafe,
    uapi, //
};
use core::ptr;

/// What there is to undo of a set of semaphores.
pub struct Undo {
    /// What set it is. `nr_adjs` is 0.
    pub set: uapi::cr_hdr_sem_undo,
    /// What is added to the value of each of its semaphores.
    pub semadj: KVVec<i16>,
}

/// Tells what set of semaphores has a number. Without room for what there is to undo, nobody looks at
/// the list of the task.
///
/// # Errors
///
/// `EIDRM` if the set is gone, `ENOSPC` if there is too little room, `EINTR` on a fatal signal.
fn look(task: &Task, semid: i32, semadj: &mut [i16]) -> Result<uapi::cr_hdr_sem_undo> {
    let mut set = uapi::cr_hdr_sem_undo::default();
    let room = match semadj.is_empty() {
        true => ptr::null_mut(),
        false => semadj.as_mut_ptr(),
    };

    // SAFETY: `task` is a valid task, which stands still or is the current one. Both types are made of
    // one declaration, and there is room for as many numbers as are said. The function takes the
    // locks that it needs.
    to_result(unsafe {
        bindings::checkpoint_undo_look(
            task.as_ptr(),
            semid,
            (&raw mut set).cast(),
            room,
            semadj.len() as u32,
        )
    })
    .map(|()| set)
}

impl Task {
    /// Returns how many tasks have the list for `SEM_UNDO` of this one, which stands still.
    pub fn undo_users(&self) -> usize {
        // SAFETY: `self` is a valid task, and nobody else gives it another list.
        unsafe { bindings::checkpoint_undo_users(self.as_ptr()) as usize }
    }

    /// Returns the number of the first set behind `semid` in the list for `SEM_UNDO` of this task, which
    /// stands still.
    pub fn undo_behind(&self, semid: i32) -> Option<i32> {
        // SAFETY: As above. The function takes the lock that it needs.
        let next = unsafe { bindings::checkpoint_undo_next(self.as_ptr(), semid) };

        (next > semid).then_some(next)
    }

    /// Looks at a set in that list.
    ///
    /// # Errors
    ///
    /// `EIDRM` if the set is gone.
    pub fn undo(&self, semid: i32) -> Result<Undo> {
        let mut semadj = KVVec::new();
        let set = look(self, semid, &mut [])?;

        semadj.resize(set.sem_nsems as usize, 0, GFP_KERNEL_ACCOUNT)?;
        // One that is made anew may have the number.
        let set = look(self, semid, &mut semadj)?;
        semadj.truncate(set.sem_nsems as usize);
        Ok(Undo { set, semadj })
    }
}

impl CurrentTask {
    /// Tells whether semop(2) with `SEM_UNDO` has left something to undo.
    pub fn has_undo(&self) -> bool {
        // SAFETY: `self` is the current task.
        unsafe { bindings::checkpoint_undo_pending(self.as_ptr()) }
    }

    /// Gives the current task the list for `SEM_UNDO` that `of` has, or one of its own if that is
    /// itself. `of` is a task that is being made, or makes this one.
    pub fn share_undo(&self, of: &Task) -> Result {
        // SAFETY: `of` is a valid task, which does nothing meanwhile.
        to_result(unsafe { bindings::checkpoint_undo_share(of.as_ptr()) })
    }

    /// Tells what set of semaphores has a number.
    ///
    /// # Errors
    ///
    /// `EIDRM` if there is none.
    pub fn semaphores(&self, semid: i32) -> Result<uapi::cr_hdr_sem_undo> {
        look(self, semid, &mut [])
    }
}

/// What the list for `SEM_UNDO` of the current task is filled with. Dropping this takes the list from
/// the task, and undoes all if nobody else has it.
///
/// # Invariants
///
/// It is used, and dropped, by the task that made it.
pub struct Undoing(NotThreadSafe);

impl Undoing {
    /// Begins with the list that the current task has, in which there is nothing.
    pub fn new(_caller: &CurrentTask) -> Self {
        // INVARIANT: It does not go to another task.
        Self(NotThreadSafe)
    }

    /// Adds to the value of a semaphore, as semop(2) with `SEM_UNDO` and `IPC_NOWAIT` does.
    pub fn take(&self, semid: i32, sem_num: u16, sem_op: i16) -> Result {
        // SAFETY: The function changes the current task.
        to_result(unsafe { bindings::checkpoint_undo_take(semid, sem_num, sem_op) })
    }

    /// Leaves all to the end of the task.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Undoing {
    fn drop(&mut self) {
        // SAFETY: The function changes the current task, which has begun this.
        unsafe { bindings::checkpoint_undo_drop() };
    }
}
