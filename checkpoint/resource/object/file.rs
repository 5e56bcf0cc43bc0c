// SPDX-License-Identifier: GPL-2.0

//! Files that are opened by their path.

use kernel::{
    fs::{
        file::flags,
        state::{
            self,
            inode,
            Seen, //
        },
        File, //
    },
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::aref::ARef,
    uapi, //
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
    set_flags,
    Use, //
};

/// The type of an inode in its mode.
pub(super) const S_IFMT: u32 = 0o170_000;

const S_IFDIR: u32 = 0o040_000;

/// What an open file does not need to be opened with.
pub(super) const NOT_FOR_OPEN: u32 =
    flags::O_CREAT | flags::O_EXCL | flags::O_TRUNC | flags::O_ASYNC | flags::O_CLOEXEC;

/// Where a file is.
pub(super) enum Place {
    /// There.
    Path(KVVec<u8>),
    /// It was deleted.
    Deleted,
    /// Why it cannot be saved.
    Unfit(&'static CStr),
}

/// Finds the path of a file.
pub(super) fn find(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<Place> {
    let mut buffer = KVVec::from_elem(0, state::PATH_MAX, GFP_KERNEL)?;

    match state::path(file, &mut buffer) {
        Ok(path) => return copy(path).map(Place::Path),
        Err(e) if e == ENOENT => (),
        Err(e) if e == EXDEV => return Ok(Place::Unfit(c"a file that is not below the root")),
        Err(e) if e == ENAMETOOLONG => {
            return Ok(Place::Unfit(c"a path that is longer than 4095 bytes"))
        }
        Err(e) => return Err(cx.fail(e, fmt!("{of}: its path cannot be read: {e:?}"))),
    }
    // Only that name of it was deleted?
    match inode::alias(file, &mut buffer) {
        Ok(path) => copy(path).map(Place::Path),
        Err(_) => Ok(Place::Deleted),
    }
}

/// Opens the file at a path, with `flags`.
fn open(cx: &mut Prepare<'_>, path: &[u8], flags: u32) -> Result<ARef<File>> {
    let string = c_string(&[path])?;
    let name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;

    state::open(name, flags).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "file \"{}\": it cannot be opened: {e:?}",
                BStr::from_bytes(path)
            ),
        )
    })
}

/// Opens a file by its path, and checks that it is the one that the image means.
pub(super) fn open_path(
    cx: &mut Prepare<'_>,
    record: &image::File,
    path: &[u8],
) -> Result<ARef<File>> {
    let name = BStr::from_bytes(path);
    let wanted = record.flags & !NOT_FOR_OPEN;
    let is_path = record.kind == uapi::CR_FILE_PATH;
    let file = match record.kind {
        uapi::CR_FILE_PATH => open(cx, path, wanted | flags::O_PATH)?,
        // A FIFO takes O_DIRECT later only.
        uapi::CR_FILE_FIFO => open(
            cx,
            path,
            wanted & !flags::O_DIRECT | flags::O_NONBLOCK | flags::O_NOCTTY,
        )?,
        // Whatever is there now must not make the caller wait.
        _ => open(
            cx,
            path,
            wanted & !flags::O_PATH | flags::O_NONBLOCK | flags::O_NOCTTY,
        )?,
    };
    let seen = Seen::look(&file)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": it cannot be looked at: {e:?}")))?;
    // There a reboot changes what says that it is the same file.
    let relaxed = cx.flags & uapi::RESTART_RELAXED_FILES != 0 || seen.is_pseudo();
    let kind = match record.kind {
        uapi::CR_FILE_PROC => match record.mode & S_IFMT {
            S_IFDIR => uapi::CR_FILE_DIR,
            _ => uapi::CR_FILE_REG,
        },
        kind => kind,
    };

    if seen.kind() != kind
        || (seen.mode() ^ record.mode) & S_IFMT != 0
        || (!relaxed && (seen.dev() != record.dev || seen.ino() != record.ino))
    {
        return Err(cx.fail(
            ESTALE,
            fmt!("file \"{name}\": it is another file than at the checkpoint"),
        ));
    }
    if !relaxed && record.kind == uapi::CR_FILE_REG && seen.size() != record.size {
        return Err(cx.fail(
            ESTALE,
            fmt!(
                "file \"{name}\": it has {} bytes instead of {}",
                seen.size(),
                record.size
            ),
        ));
    }
    if !is_path {
        set_flags(cx, &file, record, name)?;
    }
    if record.pos != 0 && !is_path {
        state::seek(&file, record.pos)
            .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its offset cannot be set: {e:?}")))?;
    }
    Ok(file)
}
