// SPDX-License-Identifier: GPL-2.0

//! timerfd_create(2).
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::owned;
use crate::{
    bindings,
    fs::File,
    prelude::*,
    sync::aref::ARef,
    task::Task,
    uapi, //
};

/// What a timerfd is: see `struct cr_hdr_timerfd`.
pub type State = uapi::cr_hdr_timerfd;

/// Tells whether `file` is a timerfd.
pub fn is(file: &File) -> bool {
    // SAFETY: `file` is a valid file.
    unsafe { bindings::checkpoint_is_timerfd(file.as_ptr()) }
}

/// Looks at a timerfd, with points in time as `task` sees them; [`None`] if it is another file.
pub fn state(file: &File, task: &Task) -> Option<State> {
    let mut state = State::default();

    // SAFETY: `file` and `task` are valid, and both types of the state are made of one declaration.
    let found = unsafe {
        bindings::checkpoint_timerfd_get(file.as_ptr(), task.as_ptr(), (&raw mut state).cast())
    };
    found.then_some(state)
}

/// Makes a timerfd with all but a timer that runs.
///
/// # Errors
///
/// - `EINVAL`: the clock is none that a timerfd can have.
/// - `EPERM`: a clock that wakes the machine, and the caller may not.
pub fn create(state: &State) -> Result<ARef<File>> {
    // SAFETY: Both types are made of one declaration. Any values will do.
    owned(unsafe { bindings::checkpoint_timerfd_create(core::ptr::from_ref(state).cast()) })
}

/// Starts the timer of a timerfd. What it had before is forgotten, but expirations that wait to be
/// read are not. Nothing happens if it is another file, or a time is less than 0.
pub fn start(file: &File, state: &State) {
    if !is(file) || state.expires < 0 || state.interval < 0 {
        return;
    }
    // SAFETY: It is a timerfd, and both types are made of one declaration.
    unsafe { bindings::checkpoint_timerfd_start(file.as_ptr(), core::ptr::from_ref(state).cast()) };
}
