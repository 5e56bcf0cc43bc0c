// SPDX-License-Identifier: GPL-2.0

//! Who else has something of some tasks: open files, inodes, tables.
//!
//! What is looked for is known by its address, which means nothing else. Whoever asks keeps it.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use core::ptr::{
    null_mut,
    NonNull, //
};

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    rbtree::RBTree,
    sync::aref::ARef,
    task::Task, //
};

/// Makes a reference of what a C function returned with one.
///
/// # Safety
///
/// `task` is null, or a task with a reference that is given away.
unsafe fn owned(task: *mut bindings::task_struct) -> Option<ARef<Task>> {
    // SAFETY: By the safety requirements. `Task` is a transparent wrapper of `struct task_struct`.
    NonNull::new(task).map(|task| unsafe { ARef::from_raw(task.cast()) })
}

/// What an open file is to whoever shares it.
pub struct Shared(bindings::checkpoint_sharing);

impl Shared {
    /// Looks at `file`.
    pub fn look(file: &File) -> Self {
        let mut seen = bindings::checkpoint_sharing::default();

        // SAFETY: `file` is a valid file, and `seen` is written to.
        unsafe { bindings::checkpoint_outside_look(file.as_ptr(), &raw mut seen) };
        Self(seen)
    }

    /// The address of its inode.
    pub fn inode(&self) -> usize {
        self.0.inode
    }

    /// How many references there are to it.
    pub fn references(&self) -> usize {
        self.0.references
    }

    /// How many open files have its path, and whatever else does.
    pub fn opens(&self) -> usize {
        self.0.opens
    }

    /// Whether it is an end of a pipe without a path.
    pub fn is_pipe(&self) -> bool {
        self.0.pipe
    }

    /// Whether others see what is done to it, and it can be made anew, but not opened again. Shared
    /// memory does not count here.
    pub fn has_state(&self) -> bool {
        self.0.state
    }

    /// Whether its inode is open for writing.
    pub fn is_written(&self) -> bool {
        self.0.written
    }
}

/// Things that are looked for.
#[derive(Default)]
pub struct Search {
    wanted: KVVec<bindings::checkpoint_wanted>,
}

impl Search {
    /// Tells whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Adds the address of an open file, an inode, an address space or a table.
    pub fn add(&mut self, what: usize) -> Result {
        Ok(self.wanted.push(
            bindings::checkpoint_wanted {
                what,
                holder: null_mut(),
            },
            GFP_KERNEL,
        )?)
    }

    /// Looks at all tasks but those inside, which are told by their [`Task::id`] and ascend. Notes who
    /// has what, of that which somebody has.
    ///
    /// # Errors
    ///
    /// `EINTR` if the current task is being killed.
    pub fn run(mut self, inside: &[usize], found: &mut RBTree<usize, ARef<Task>>) -> Result {
        let nr_inside = c_uint::try_from(inside.len())?;
        let nr = c_uint::try_from(self.wanted.len())?;

        self.wanted.sort_unstable_by_key(|wanted| wanted.what);
        // SAFETY: Both arrays are as long as said, and ascend.
        let mut result = to_result(unsafe {
            bindings::checkpoint_outside_find(
                inside.as_ptr(),
                nr_inside,
                self.wanted.as_mut_ptr(),
                nr,
            )
        });

        for wanted in &self.wanted {
            // SAFETY: The function has set it to null or to a task with a reference, and it is not
            // looked at again.
            if let Some(holder) = unsafe { owned(wanted.holder) } {
                let inserted = found.try_create_and_insert(wanted.what, holder, GFP_KERNEL);

                result = result.and(inserted.map(drop));
            }
        }
        result
    }
}

/// Returns the addresses of some address spaces that have the inode of `file` mapped, but for those
/// inside, which ascend.
pub fn mapped_by(file: &File, inside: &[usize]) -> Result<KVVec<usize>> {
    let mut found = KVVec::from_elem(0, 16, GFP_KERNEL)?;
    let nr_inside = c_uint::try_from(inside.len())?;

    // SAFETY: `file` is a valid file, and both arrays are as long as said.
    let nr = unsafe {
        bindings::checkpoint_outside_mapped(
            file.as_ptr(),
            inside.as_ptr(),
            nr_inside,
            found.as_mut_ptr(),
            found.len() as c_uint,
        )
    };

    found.truncate(nr as usize);
    Ok(found)
}

/// Returns the process that a pidfd is of.
pub fn process_of(file: &File) -> Option<ARef<Task>> {
    let mut group = false;

    // SAFETY: `file` is a valid file, and `group` is written to. The reference is given away.
    unsafe {
        owned(bindings::checkpoint_outside_target(
            file.as_ptr(),
            false,
            &raw mut group,
        ))
    }
}

/// Returns who gets the signals of a file, and whether it is one of a process group that does.
pub fn owner_of(file: &File) -> Option<(ARef<Task>, bool)> {
    let mut group = false;

    // SAFETY: `file` is a valid file, and `group` is written to. The reference is given away.
    let owner = unsafe {
        owned(bindings::checkpoint_outside_target(
            file.as_ptr(),
            true,
            &raw mut group,
        ))
    };
    owner.map(|owner| (owner, group))
}

/// Returns a task that waits for a lock which `task` has taken by `file`.
pub fn waiter(file: &File, task: &Task) -> Option<ARef<Task>> {
    // SAFETY: `file` is a valid file, and `task` a valid task. The reference is given away.
    unsafe {
        owned(bindings::checkpoint_outside_waiter(
            file.as_ptr(),
            task.as_ptr(),
        ))
    }
}
