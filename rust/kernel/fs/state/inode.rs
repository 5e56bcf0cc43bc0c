// SPDX-License-Identifier: GPL-2.0

//! Files and directories that were deleted, and are still open.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use core::ptr;

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

use super::{
    found,
    moved,
    owned,
    text, //
};

/// Bytes of [`Attributes`].
pub const LEN: usize = core::mem::size_of::<bindings::cr_hdr_inode>();

/// What is known of an inode: the bytes of a `struct cr_hdr_inode`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Attributes(pub [u8; LEN]);

/// Tells what the deleted file is that `file` has open, and why it cannot be saved, if so.
///
/// # Errors
///
/// What its file system says instead of its attributes.
pub fn look(file: &File) -> Result<(Attributes, Option<&'static CStr>)> {
    let mut to = Attributes([0; LEN]);
    let mut what = ptr::null();

    // SAFETY: `file` is a valid file, and the others are written to. `to` has the size and the
    // alignment of what is written.
    to_result(unsafe {
        bindings::checkpoint_inode_look(file.as_ptr(), (&raw mut to).cast(), &raw mut what)
    })?;
    // SAFETY: `what` is null or a string literal of fs/checkpoint_inode.c.
    Ok((to, unsafe { text(what) }))
}

/// Tells what the inode behind `file` is known by as long as it is open.
pub fn id(file: &File) -> usize {
    // SAFETY: `file` is a valid file.
    unsafe { bindings::checkpoint_inode_id(file.as_ptr()) }
}

/// Finds another name of a file, the name of which was deleted.
///
/// # Errors
///
/// `ENOENT` if there is none on the same mount that the root of the current task leads to.
pub fn alias<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    found(buffer, |to, len| {
        // SAFETY: `file` is a valid file, and there is room for as many bytes as said.
        unsafe { bindings::checkpoint_inode_alias(file.as_ptr(), to, len) }
    })
}

/// Finds the directory that a deleted file was in, or the next one above that is still there.
///
/// # Errors
///
/// `EXDEV` if the root of the current task does not lead to it, `ENAMETOOLONG`.
pub fn dir<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    found(buffer, |to, len| {
        // SAFETY: `file` is a valid file, and there is room for as many bytes as said.
        unsafe { bindings::checkpoint_inode_dir(file.as_ptr(), to, len) }
    })
}

/// Opens the file once more, with an offset of its own, to read what it has.
///
/// # Errors
///
/// `EACCES` if neither `file` is open for reading nor the current task may read the inode.
pub fn reader(file: &File) -> Result<ARef<File>> {
    // SAFETY: `file` is a valid file. The function returns a reference or an error.
    owned(unsafe { bindings::checkpoint_inode_reader(file.as_ptr()) })
}

/// Makes a file or a directory that has no name, in the directory `dir`, with the rights of the
/// current task. It has its size, but no contents, and belongs to the task until [`finish`].
///
/// The file returned is open with `O_PATH` and keeps it.
pub fn create(dir: &CStr, from: &Attributes) -> Result<ARef<File>> {
    // SAFETY: `dir` is a string. `from` has the size and the alignment of what is read, in which any
    // bytes are valid. The function returns a reference or an error.
    owned(unsafe {
        bindings::checkpoint_inode_create(dir.as_char_ptr(), ptr::from_ref(from).cast())
    })
}

/// Puts bytes into a file that [`create`] made. Returns how many went there at once.
pub fn write(file: &File, from: &[u8], offset: u64) -> Result<usize> {
    let pos = i64::try_from(offset)?;

    // SAFETY: `file` is a valid file, and `from` has as many bytes as said.
    moved(unsafe {
        bindings::checkpoint_inode_write(file.as_ptr(), from.as_ptr().cast(), from.len(), pos)
    })
}

/// Gives a file or directory that [`create`] made its owner, its permissions and its times.
///
/// # Errors
///
/// Those of chown(2), chmod(2) and utimensat(2).
pub fn finish(file: &File, from: &Attributes) -> Result {
    // SAFETY: `file` is a valid file. `from` has the size and the alignment of what is read, in
    // which any bytes are valid.
    to_result(unsafe {
        bindings::checkpoint_inode_finish(file.as_ptr(), ptr::from_ref(from).cast())
    })
}
