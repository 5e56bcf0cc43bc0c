// SPDX-License-Identifier: GPL-2.0

//! What the restarter provides: a terminal and its standard streams.

use kernel::{
    fs::{
        file::flags,
        state,
        File, //
    },
    sync::aref::ARef, //
};

use crate::image;

/// Takes a descriptor of the caller that may do what `record` could.
pub(super) fn descriptor(fd: u32, record: &image::File) -> Option<ARef<File>> {
    state::from_fd(fd)
        .ok()
        .filter(|file| state::may_access(file, record.flags))
}

/// Takes a standard stream of the caller. What was a socket may become a pipe, which goes one way.
pub(super) fn stream(fd: u32, record: &image::File) -> Option<ARef<File>> {
    if record.flags & flags::O_ACCMODE == flags::O_RDWR {
        return state::from_fd(fd).ok();
    }
    descriptor(fd, record)
}
