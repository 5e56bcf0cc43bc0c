// SPDX-License-Identifier: GPL-2.0

//! What the restarter provides: a terminal, its standard streams, and what it hands in instead of
//! something that the image has or could not have.

use kernel::{
    fs::{
        file::flags,
        state,
        File, //
    },
    prelude::*,
    str::BStr,
    sync::aref::ARef,
    uapi, //
};

use crate::{
    image,
    resource::Prepare, //
};

use super::{
    copy,
    place, //
};

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

/// Returns how a file is called for which the restarter has to hand in another.
pub(super) fn name_of(file: &File) -> Result<KVVec<u8>> {
    let mut buffer = KVVec::from_elem(0, state::PATH_MAX, GFP_KERNEL)?;

    match state::name_of(file, &mut buffer) {
        Ok(name) if !name.is_empty() => copy(name),
        _ => copy(b"?"),
    }
}

/// Notes the number of a descriptor; returns whether it was not noted before.
pub(super) fn is_new(noted: &mut KVVec<u64>, fd: i32) -> Result<bool> {
    // Less than CR_FDS_MAX.
    let number = usize::try_from(fd)?;
    let (place, bit) = (number / 64, 1 << (number % 64));

    if noted.len() <= place {
        noted.resize(place + 1, 0, GFP_KERNEL_ACCOUNT)?;
    }
    let word = noted.get_mut(place).ok_or(EINVAL)?;
    let is_new = *word & bit == 0;

    *word |= bit;
    Ok(is_new)
}

/// Finds what the caller hands in with `RESTART_INHERIT`: for each object of the image, the file
/// that the caller has under the first of its descriptors that it has at all. The image itself is
/// not handed in.
pub(super) fn replacements(
    cx: &mut Prepare<'_>,
    fds: &[image::Fd],
    objects: usize,
) -> Result<KVVec<Option<ARef<File>>>> {
    let mut found = KVVec::new();

    if cx.flags & uapi::RESTART_INHERIT == 0 {
        return Ok(found);
    }
    for _ in 0..objects {
        found.push(None, GFP_KERNEL_ACCOUNT)?;
    }
    for fd in fds {
        let Some(slot @ None) = place(fd.objref).and_then(|place| found.get_mut(place)) else {
            continue;
        };

        *slot = state::from_open_fd(u32::try_from(fd.fd)?)
            .filter(|file| file.as_ptr() != cx.image.as_ptr());
    }
    Ok(found)
}

/// Checks that a file that was handed in can be used as the one of the image was.
pub(super) fn check(
    cx: &mut Prepare<'_>,
    fds: &[image::Fd],
    record: &image::File,
    file: &File,
) -> Result {
    // By O_PATH a file can be looked at only, which any file can. What was a socket as a standard
    // stream may become a pipe, which goes one way.
    let any = record.flags & flags::O_PATH != 0
        || (record.kind == uapi::CR_FILE_INHERIT
            && record.flags & flags::O_ACCMODE == flags::O_RDWR);

    if any || state::may_access(file, record.flags) {
        return Ok(());
    }
    let fd = first_fd(fds, record.objref);
    let access = match record.flags & flags::O_ACCMODE {
        flags::O_RDONLY => "reading",
        flags::O_WRONLY => "writing",
        _ => "reading and writing",
    };

    Err(cx.fail(
        EBADF,
        fmt!("fd {fd}: its replacement is not open for {access}"),
    ))
}

/// Says that something has to be handed in.
pub(super) fn missing(
    cx: &mut Prepare<'_>,
    fds: &[image::Fd],
    record: &image::File,
    name: &[u8],
) -> Error {
    let fd = first_fd(fds, record.objref);

    cx.fail(
        EBADF,
        fmt!("fd {fd}: {} needs a replacement", BStr::from_bytes(name)),
    )
}

/// Returns the first descriptor of an object, -1 if it has none.
fn first_fd(fds: &[image::Fd], objref: u32) -> i32 {
    fds.iter()
        .find(|fd| fd.objref == objref)
        .map_or(-1, |fd| fd.fd)
}
