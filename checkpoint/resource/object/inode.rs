// SPDX-License-Identifier: GPL-2.0

//! Deleted files and directories: their contents are in the image, and a restart makes them anew
//! where they were, without a name.

use kernel::{
    fs::{
        file::flags,
        state::{
            self,
            inode::{
                self,
                Attributes, //
            },
        },
        File, //
    },
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::aref::ARef, //
};

use crate::{
    image,
    resource::{
        Collect,
        Prepare, //
    },
};

use super::{
    c_string,
    copy,
    file::{
        NOT_FOR_OPEN,
        S_IFMT, //
    },
    place,
    set_flags,
    Object,
    Ready,
    Use, //
};

/// Opens the contents; [`None`] if the caller may not read them by `file`.
fn reader(file: &File, record: &image::Inode) -> Result<Option<ARef<File>>> {
    if !record.is_regular() {
        return Ok(None);
    }
    match inode::reader(file) {
        Ok(reader) => Ok(Some(reader)),
        Err(e) if e == EACCES || e == EPERM => Ok(None),
        Err(e) => Err(e),
    }
}

/// Numbers the deleted file or directory that `file` has open, or tells why it cannot be saved.
pub(super) fn collect(
    cx: &mut Collect<'_>,
    file: &File,
    of: Use,
) -> Result<Result<u32, &'static CStr>> {
    let id = inode::id(file);

    if let Some(objref) = cx.objects.index.get(&id).copied() {
        let known = place(objref).and_then(|place| cx.objects.found.get_mut(place));

        if let Some(Object::Inode {
            record,
            reader: contents @ None,
            ..
        }) = known
        {
            *contents = reader(file, record)?;
        }
        return Ok(Ok(objref));
    }

    let (attributes, what) = inode::look(file)
        .map_err(|e| cx.fail(e, fmt!("{of}: its attributes cannot be read: {e:?}")))?;
    if let Some(what) = what {
        return Ok(Err(what));
    }
    let mut buffer = KVVec::from_elem(0, state::PATH_MAX, GFP_KERNEL)?;
    let dir = match inode::dir(file, &mut buffer) {
        Ok(dir) => copy(dir)?,
        Err(e) if e == EXDEV => return Ok(Err(c"a deleted file that was not below the root")),
        Err(e) if e == ENAMETOOLONG => {
            return Ok(Err(
                c"a deleted file in a directory with a path longer than 4095 bytes",
            ))
        }
        Err(e) => return Err(cx.fail(e, fmt!("{of}: its directory cannot be found: {e:?}"))),
    };
    let mut record = image::Inode::read_from_bytes(&attributes.0).map_err(|_| EINVAL)?;

    record.objref = cx.objects.next()?;
    // At most CR_PATH_LEN_MAX.
    record.path_len = dir.len() as u32;
    let reader = reader(file, &record)?;
    cx.objects
        .push(
            id,
            Object::Inode {
                record,
                dir,
                reader,
            },
        )
        .map(Ok)
}

/// Refuses a deleted file that nobody who could read it has open: contents are not for the caller
/// by way of the image.
pub(super) fn check(cx: &mut Collect<'_>) -> Result {
    let unreadable = cx.objects.found.iter().find_map(|object| match object {
        Object::Inode {
            record,
            dir,
            reader: None,
        } if record.size > 0 => Some(copy(dir)),
        _ => None,
    });

    match unreadable {
        None => Ok(()),
        Some(dir) => {
            let dir = dir?;

            Err(cx.fail(
                EACCES,
                fmt!(
                    "a deleted file of \"{}\": the caller may not read it",
                    BStr::from_bytes(&dir)
                ),
            ))
        }
    }
}

/// What the kernel takes of a record.
fn attributes(record: &image::Inode) -> Attributes {
    let mut attributes = Attributes([0; inode::LEN]);

    for (to, from) in attributes.0.iter_mut().zip(record.as_bytes()) {
        *to = *from;
    }
    attributes
}

/// Makes a file or directory without a name.
pub(super) fn make(cx: &mut Prepare<'_>, record: &image::Inode, dir: &[u8]) -> Result<ARef<File>> {
    let string = c_string(&[dir])?;
    let name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;

    inode::create(name, &attributes(record)).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "a deleted file of {} bytes: it cannot be made in \"{}\": {e:?}",
                record.size,
                BStr::from_bytes(dir)
            ),
        )
    })
}

/// Opens a deleted file once more. It is the caller's until [`finish`], which is why no permissions
/// are looked at: the caller could have opened it so before it took them away.
pub(super) fn open(
    cx: &mut Prepare<'_>,
    objects: &[Ready],
    record: &image::File,
) -> Result<ARef<File>> {
    let (inode, file) = match place(record.target).and_then(|place| objects.get(place)) {
        Some(Ready::Inode { record, file }) => (record, file),
        _ => {
            return Err(cx.fail(
                EINVAL,
                fmt!("object {}: it refers to no deleted file", record.objref),
            ));
        }
    };
    if (inode.mode ^ record.mode) & S_IFMT != 0 {
        return Err(cx.fail(
            EINVAL,
            fmt!(
                "object {}: its type is not that of the deleted file",
                record.objref
            ),
        ));
    }
    let is_path = record.kind == kernel::uapi::CR_FILE_PATH;
    let wanted = record.flags & !NOT_FOR_OPEN | if is_path { flags::O_PATH } else { 0 };
    let file = state::open_again(file, wanted).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "object {}: a deleted file cannot be opened: {e:?}",
                record.objref
            ),
        )
    })?;

    if is_path {
        return Ok(file);
    }
    set_flags(cx, &file, record, BStr::from_bytes(b"(deleted)"))?;
    if record.pos != 0 {
        state::seek(&file, record.pos).map_err(|e| {
            cx.fail(
                e,
                fmt!("object {}: its offset cannot be set: {e:?}", record.objref),
            )
        })?;
    }
    Ok(file)
}

/// Puts bytes into a file.
pub(super) fn fill(file: &File, mut bytes: &[u8], mut offset: u64) -> Result {
    while !bytes.is_empty() {
        let written = inode::write(file, bytes, offset)?;

        if written == 0 {
            return Err(EIO);
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.saturating_add(written as u64);
    }
    Ok(())
}

/// Gives a file with all its contents its owner, permissions and times.
pub(super) fn finish(cx: &mut Prepare<'_>, record: &image::Inode, file: &File) -> Result {
    inode::finish(file, &attributes(record)).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "object {}: a deleted file cannot be that of user {} and group {} with mode {:o}: \
                 {e:?}",
                record.objref,
                record.uid,
                record.gid,
                record.mode & 0o7777
            ),
        )
    })
}
