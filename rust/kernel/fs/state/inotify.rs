// SPDX-License-Identifier: GPL-2.0

//! inotify(7): what an instance watches, and the events that wait in it.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

use super::{
    moved,
    owned, //
};

/// What an instance watches.
///
/// # Invariants
///
/// The inode is valid, and this has a reference on it.
pub struct Watch(bindings::checkpoint_watch);

impl Watch {
    /// Watch descriptor.
    pub fn wd(&self) -> i32 {
        self.0.wd
    }

    /// `IN_*`
    pub fn mask(&self) -> u32 {
        self.0.mask
    }

    /// Opens what is watched, for its path only.
    ///
    /// # Errors
    ///
    /// `ENOENT` if no path is known that leads there from the root of the current task.
    pub fn open(&self) -> Result<ARef<File>> {
        // SAFETY: By the type invariant the inode is valid. The function returns a reference or an
        // error.
        owned(unsafe { bindings::checkpoint_watch_open(self.0.inode) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference, which is not used any more.
        unsafe { bindings::checkpoint_watch_put(&raw mut self.0) };
    }
}

/// Tells whether `file` is an instance.
pub fn is(file: &File) -> bool {
    // SAFETY: `file` is a valid file.
    unsafe { bindings::checkpoint_inotify_is(file.as_ptr()) }
}

/// Returns the watch descriptor that was given last, 0 if none was.
///
/// # Errors
///
/// `EBADF` if `file` is no instance.
pub fn last(file: &File) -> Result<i32> {
    if !is(file) {
        return Err(EBADF);
    }
    // SAFETY: `file` is an instance.
    Ok(unsafe { bindings::checkpoint_inotify_last(file.as_ptr()) })
}

/// Finds what an instance watches, ascending by watch descriptor.
///
/// # Errors
///
/// `E2BIG` if there are more than `max`, `EBADF` if `file` is no instance, `ENOMEM`.
pub fn watches(file: &File, max: u32) -> Result<KVVec<Watch>> {
    let mut buffer: KVVec<bindings::checkpoint_watch> = KVVec::new();
    let mut watches = KVVec::new();

    if !is(file) {
        return Err(EBADF);
    }
    loop {
        // At most `max`.
        let room = buffer.len() as u32;
        // SAFETY: `file` is an instance. `buffer` has room for as many as said, and any bytes are
        // valid in them.
        let found = unsafe {
            bindings::checkpoint_inotify_watches(file.as_ptr(), buffer.as_mut_ptr(), room)
        };

        for watch in buffer.iter().take(found.min(room) as usize) {
            // INVARIANT: Each has a reference, which goes with `watches`, for which there is room.
            watches.push(Watch(*watch), GFP_KERNEL_ACCOUNT)?;
        }
        if found > max {
            return Err(E2BIG);
        }
        if found <= room {
            watches.sort_unstable_by_key(Watch::wd);
            return Ok(watches);
        }
        // Others who have the instance may add more meanwhile.
        watches.clear();
        watches.reserve(found as usize, GFP_KERNEL_ACCOUNT)?;
        buffer.resize(
            found as usize,
            bindings::checkpoint_watch::default(),
            GFP_KERNEL_ACCOUNT,
        )?;
    }
}

/// Copies the events that wait in an instance, as read(2) returns them, and tells how many they are.
///
/// # Errors
///
/// `E2BIG` if they have more than `max` bytes, `EBADF` if `file` is no instance, `ENOMEM`.
pub fn events(file: &File, max: usize) -> Result<(KVVec<u8>, u32)> {
    let mut events: KVVec<u8> = KVVec::new();
    let mut nr = 0;

    if !is(file) {
        return Err(EBADF);
    }
    loop {
        // SAFETY: `file` is an instance, `events` has as many bytes as said, and `nr` is written to.
        let len = unsafe {
            bindings::checkpoint_inotify_events(
                file.as_ptr(),
                events.as_mut_ptr().cast(),
                events.len(),
                &raw mut nr,
            )
        };

        if len > max {
            return Err(E2BIG);
        }
        if len <= events.len() {
            // Another process may have read some.
            events.truncate(len);
            return Ok((events, nr));
        }
        events.resize(len, 0, GFP_KERNEL_ACCOUNT)?;
    }
}

/// Makes an instance that watches nothing. `last` is the watch descriptor that was given last.
pub fn create(last: i32) -> Result<ARef<File>> {
    // SAFETY: The function has no requirements. It returns a reference or an error.
    owned(unsafe { bindings::checkpoint_inotify_create(last) })
}

/// Watches what `target` has open, with the watch descriptor `wd`. Nobody else has the instance yet.
///
/// # Errors
///
/// Those of inotify_add_watch(2); `EEXIST` if it is watched already.
pub fn watch(file: &File, target: &File, wd: i32, mask: u32) -> Result {
    // SAFETY: Both are valid files.
    to_result(unsafe {
        bindings::checkpoint_inotify_watch(file.as_ptr(), target.as_ptr(), wd, mask)
    })
}

/// Puts the first of some events behind those that wait. Returns how many bytes it has.
///
/// # Errors
///
/// `EINVAL` if it is none that read(2) would return, `ENOSPC` if there is no room in the queue.
pub fn queue(file: &File, events: &[u8]) -> Result<usize> {
    // SAFETY: `file` is a valid file, and `events` has as many bytes as said.
    moved(unsafe {
        bindings::checkpoint_inotify_queue(file.as_ptr(), events.as_ptr().cast(), events.len())
    })
}
