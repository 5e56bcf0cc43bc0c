// SPDX-License-Identifier: GPL-2.0

//! Open files as objects: what a file is, and how to get one that is the same.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use core::ptr::{
    self,
    NonNull, //
};

use crate::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::{
        File,
        LocalFile, //
    },
    prelude::*,
    sync::aref::ARef,
    task::Task, //
};

pub mod anon;
pub mod dirs;
pub mod epoll;
pub mod inode;
pub mod inotify;
pub mod lock;
pub mod outside;
pub mod owner;
pub mod table;
pub mod timerfd;

/// Longest path, with the `NUL` behind it.
pub const PATH_MAX: usize = bindings::PATH_MAX as usize;

/// Makes a reference of what a C function returned with one.
fn owned(file: *mut bindings::file) -> Result<ARef<File>> {
    let file = NonNull::new(from_err_ptr(file)?).ok_or(EBADF)?;

    // SAFETY: The callers pass a file of which they have a reference, which is given away here.
    // None of them is inside of an `fdget_pos()` of it.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}

/// Makes a string of what a C function returned.
///
/// # Safety
///
/// `what` is null or a string literal.
unsafe fn text(what: *const c_char) -> Option<&'static CStr> {
    if what.is_null() {
        return None;
    }
    // SAFETY: The caller passes a string literal.
    Some(unsafe { CStr::from_char_ptr(what) })
}

/// Calls a C function that writes a string to the end of `buffer`, and returns where it begins.
fn found(buffer: &mut [u8], find: impl FnOnce(*mut c_char, c_int) -> c_int) -> Result<&[u8]> {
    let len = c_int::try_from(buffer.len())?;
    if len == 0 {
        return Err(ENAMETOOLONG);
    }
    let begin = find(buffer.as_mut_ptr().cast(), len);
    let begin = usize::try_from(begin).map_err(|_| Error::from_errno(begin))?;

    match buffer.get(begin..) {
        Some([text @ .., 0]) => Ok(text),
        _ => Err(EINVAL),
    }
}

/// What an open file is.
pub struct Seen(bindings::checkpoint_file);

impl Seen {
    /// Looks at `file`.
    ///
    /// # Errors
    ///
    /// What its file system says instead of its attributes.
    pub fn look(file: &File) -> Result<Self> {
        let mut seen = bindings::checkpoint_file::default();

        // SAFETY: `file` is a valid file, and `seen` is written to.
        to_result(unsafe { bindings::checkpoint_look(file.as_ptr(), &raw mut seen) })?;
        Ok(Self(seen))
    }

    /// `CR_FILE_*`; 0 if there is none for it.
    pub fn kind(&self) -> u32 {
        self.0.kind
    }

    /// `O_*`
    pub fn flags(&self) -> u32 {
        self.0.flags
    }

    /// Type and permissions of the inode.
    pub fn mode(&self) -> u32 {
        self.0.mode
    }

    /// Offset.
    pub fn pos(&self) -> i64 {
        self.0.pos
    }

    /// Device of the inode: major << 32 | minor.
    pub fn dev(&self) -> u64 {
        self.0.dev
    }

    /// Number of the inode.
    pub fn ino(&self) -> u64 {
        self.0.ino
    }

    /// Bytes of a regular file.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// What tells a pipe or shared memory from others, as long as the file is open.
    pub fn object(&self) -> usize {
        self.0.object
    }

    /// Bytes that a pipe can hold, or that shared memory has.
    pub fn object_size(&self) -> u64 {
        self.0.object_size
    }

    /// `CR_SHM_*` of shared memory.
    pub fn shm_flags(&self) -> u32 {
        self.0.shm_flags
    }

    /// `F_SEAL_*` of shared memory.
    pub fn seals(&self) -> u32 {
        self.0.seals
    }

    /// The shift of the huge pages of shared memory, 0 if it has others.
    pub fn page_shift(&self) -> u32 {
        self.0.page_shift
    }

    /// How many open files the pipe has.
    pub fn pipe_files(&self) -> u32 {
        self.0.pipe_files
    }

    /// How many packets wait in the pipe.
    pub fn pipe_packets(&self) -> u32 {
        self.0.pipe_packets
    }

    /// Whether it is something which is not supported, but may be a standard stream that a restarter
    /// provides: a socket, or a device that is no terminal.
    pub fn is_stream(&self) -> bool {
        self.0.stream
    }

    /// Name of shared memory, or of a file that has no kind.
    pub fn name(&self) -> &[u8] {
        let len = (self.0.name_len as usize).min(self.0.name.len());

        // SAFETY: `name` has at least `len` bytes, which are initialized; c_char has the size of u8.
        unsafe { core::slice::from_raw_parts(self.0.name.as_ptr().cast(), len) }
    }

    /// Whether numbers and sizes of inodes of its file system mean nothing after a reboot.
    pub fn is_pseudo(&self) -> bool {
        self.0.pseudo
    }

    /// Why the file is not supported, if it is for another reason than having no kind.
    pub fn unsupported(&self) -> Option<&'static CStr> {
        // SAFETY: `what` is null or a string literal of fs/checkpoint.c.
        unsafe { text(self.0.what) }
    }
}

/// Tells why a file that a restarter provides is not supported: who is told of what becomes of it.
pub fn obstacle(file: &File) -> Option<&'static CStr> {
    // SAFETY: `file` is a valid file. What is returned is null or a string literal of
    // fs/checkpoint.c.
    unsafe { text(bindings::checkpoint_file_obstacle(file.as_ptr())) }
}

/// Returns how `file` is called in `/proc/PID/fd`.
pub fn name_of<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    found(buffer, |to, len| {
        // SAFETY: `file` is a valid file, and there is room for as many bytes as said.
        unsafe { bindings::checkpoint_text(file.as_ptr(), to, len) }
    })
}

/// Where a file is in the proc file system.
pub struct InProc {
    /// How many names lead to it from the root: the first of them is the number of `of`.
    pub depth: usize,
    /// The task whose directory it is in.
    pub of: ARef<Task>,
    /// The task that the file itself is of, which may be a thread of that one's.
    pub inner: ARef<Task>,
}

/// Returns where `file` is in the proc file system, if it is in the directory of a task. [`None`] if
/// it is in no such directory.
///
/// # Errors
///
/// `ESRCH` if it is in the directory of a task that is gone.
pub fn in_proc(file: &File) -> Result<Option<InProc>> {
    let (mut of, mut inner) = (core::ptr::null_mut(), core::ptr::null_mut());
    // SAFETY: `file` is a valid file, and the others are written to.
    let depth =
        unsafe { bindings::checkpoint_proc_depth(file.as_ptr(), &raw mut of, &raw mut inner) };
    let task = |task| {
        let task = NonNull::new(task).ok_or(ESRCH)?;
        // SAFETY: The function has set both to a reference, which is handed over here only. `Task` is
        // a transparent wrapper of `struct task_struct`.
        Ok::<_, Error>(unsafe { ARef::<Task>::from_raw(NonNull::cast(task)) })
    };

    match usize::try_from(depth) {
        Ok(0) => Ok(None),
        Ok(depth) => Ok(Some(InProc {
            depth,
            of: task(of)?,
            inner: task(inner)?,
        })),
        Err(_) => Err(Error::from_errno(depth)),
    }
}

/// Finds the path of `file` from the root of the current task.
///
/// # Errors
///
/// `ENOENT` if the file was deleted, `EXDEV` if the root does not lead to it, `ENAMETOOLONG`.
pub fn path<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    found(buffer, |to, len| {
        // SAFETY: `file` is a valid file, and there is room for as many bytes as said.
        unsafe { bindings::checkpoint_path(file.as_ptr(), to, len) }
    })
}

/// Opens the file at `path`, from the root of the current task and with its rights.
pub fn open(path: &CStr, flags: u32) -> Result<ARef<File>> {
    // SAFETY: `path` is a string. The function returns a reference or an error.
    owned(unsafe { bindings::filp_open(path.as_char_ptr(), flags as c_int, 0) })
}

/// Opens once more what `file` has open, without looking at permissions.
pub fn open_again(file: &File, flags: u32) -> Result<ARef<File>> {
    // SAFETY: `file` is a valid file. The function returns a reference or an error.
    owned(unsafe { bindings::checkpoint_open_again(file.as_ptr(), flags) })
}

/// Drops a reference to a file. If it was the last one, the file is closed then, and not on the way to
/// user mode: who waits for the other end of a pipe has been told. This may sleep.
pub fn close_now(file: ARef<File>) {
    let file = ARef::into_raw(file);

    // SAFETY: The reference is given away. Nobody is inside of an `fdget_pos()` of the file without a
    // reference of their own.
    unsafe { bindings::checkpoint_close_now(file.as_ptr().cast()) };
}

/// Takes a file of the current task.
pub fn from_fd(fd: u32) -> Result<ARef<File>> {
    let file = LocalFile::fget(fd)?;

    // SAFETY: A system call that works through this function does not also use `fdget_pos()`, and
    // the reference just taken makes any other user of the file take `f_pos_lock`.
    Ok(unsafe { LocalFile::assume_no_fdget_pos(file) })
}

/// Takes a file of the current task that execve(2) would not close, if there is one.
pub fn from_open_fd(fd: u32) -> Option<ARef<File>> {
    // SAFETY: The current task has its descriptor table for as long as this takes.
    if unsafe { bindings::get_close_on_exec(fd) } {
        return None;
    }
    from_fd(fd).ok()
}

/// Tells whether `file` may be read and written as a file that is opened with `flags`.
pub fn may_access(file: &File, flags: u32) -> bool {
    let wanted = match flags & bindings::O_ACCMODE {
        bindings::O_RDONLY => bindings::FMODE_READ,
        bindings::O_WRONLY => bindings::FMODE_WRITE,
        _ => bindings::FMODE_READ | bindings::FMODE_WRITE,
    };

    // SAFETY: `file` is a valid file. These bits do not change while it is open.
    let mode = unsafe { (&raw const (*file.as_ptr()).f_mode).read_volatile() };

    mode & wanted == wanted
}

/// Changes what fcntl(2) can with `F_SETFL`, but for `O_ASYNC`.
pub fn set_flags(file: &File, flags: u32) -> Result {
    // SAFETY: `file` is a valid file.
    to_result(unsafe { bindings::checkpoint_set_flags(file.as_ptr(), flags) })
}

/// Sets the offset of `file`.
pub fn seek(file: &File, pos: i64) -> Result {
    // SAFETY: `file` is a valid file.
    let at = unsafe { bindings::vfs_llseek(file.as_ptr(), pos, bindings::SEEK_SET as c_int) };

    match at {
        at if at == pos => Ok(()),
        at if at < 0 => Err(Error::from_errno(at as c_int)),
        _ => Err(EINVAL),
    }
}

/// Turns what a transfer returned into a number of bytes.
fn moved(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::from_errno(result as c_int))
}

/// What pipes can do.
pub mod pipe {
    use super::*;

    /// Tells what the pipe behind `file` is known by as long as it is open; 0 if it is none.
    pub fn id(file: &File) -> usize {
        // SAFETY: `file` is a valid file.
        unsafe { bindings::checkpoint_pipe_of(file.as_ptr()) }
    }

    /// Makes a pipe: its end for reading, and that for writing.
    pub fn create(flags: u32) -> Result<(ARef<File>, ARef<File>)> {
        let mut ends = [ptr::null_mut(); 2];

        // SAFETY: There is room for two pointers.
        to_result(unsafe { bindings::create_pipe_files(ends.as_mut_ptr(), flags as c_int) })?;
        let [read, write] = ends;
        // Both are taken before one of them can be an error.
        let (read, write) = (owned(read), owned(write));
        Ok((read?, write?))
    }

    /// Makes the pipe hold `size` bytes, under the limits that the current task has.
    pub fn resize(file: &File, size: u32) -> Result {
        // SAFETY: `file` is a valid file.
        to_result(unsafe { bindings::checkpoint_pipe_resize(file.as_ptr(), size) })
    }

    /// Copies bytes that wait in the pipe, and leaves them there.
    ///
    /// `slot` is one of its buffers, where 0 is the one that is read next, and `skip` so many bytes
    /// of it are left out. Returns [`None`] if there is no such buffer.
    pub fn peek(file: &File, slot: u32, skip: usize, to: &mut [u8]) -> Result<Option<usize>> {
        // SAFETY: `file` is a valid file, and `to` has as many bytes as said.
        let copied = unsafe {
            bindings::checkpoint_pipe_peek(
                file.as_ptr(),
                slot,
                skip,
                to.as_mut_ptr().cast(),
                to.len(),
            )
        };

        match moved(copied) {
            Ok(copied) => Ok(Some(copied)),
            Err(e) if e == ENXIO => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Puts bytes into the pipe without waiting: `EAGAIN` if there is no room. A pipe with
    /// `O_DIRECT` makes a packet of them.
    pub fn put(file: &File, from: &[u8]) -> Result<usize> {
        // SAFETY: `file` is a valid file, and `from` has as many bytes as said.
        moved(unsafe {
            bindings::checkpoint_pipe_fill(file.as_ptr(), from.as_ptr().cast(), from.len())
        })
    }
}

/// What files with contents can do.
pub mod contents {
    use super::*;

    /// Finds the next bytes at or behind `from` that are not a hole: the first, and that behind the
    /// last. [`None`] if there is nothing but a hole. May move the offset of `file`.
    pub fn next_data(file: &File, from: u64) -> Result<Option<(u64, u64)>> {
        // SAFETY: `file` is a valid file.
        if unsafe { bindings::checkpoint_hugetlb_shift(file.as_ptr()) } != 0 {
            let (mut begin, mut end) = (0, 0);

            // SAFETY: `file` is a valid file of huge pages, and the other pointers are valid.
            let found = unsafe {
                bindings::checkpoint_hugetlb_next_data(
                    file.as_ptr(),
                    from,
                    &raw mut begin,
                    &raw mut end,
                )
            };
            return Ok(found.then_some((begin, end)));
        }
        let seek = |from: i64, whence: u32| {
            // SAFETY: `file` is a valid file.
            let at = unsafe { bindings::vfs_llseek(file.as_ptr(), from, whence as c_int) };

            if at < 0 {
                Err(Error::from_errno(at as c_int))
            } else {
                Ok(at)
            }
        };
        let begin = match seek(i64::try_from(from)?, bindings::SEEK_DATA) {
            Ok(begin) => begin,
            Err(e) if e == ENXIO => return Ok(None),
            Err(e) => return Err(e),
        };
        let end = seek(begin, bindings::SEEK_HOLE)?;

        Ok(Some((begin as u64, end as u64)))
    }

    /// Reads bytes at `offset`; 0 at the end.
    pub fn read(file: &File, to: &mut [u8], offset: u64) -> Result<usize> {
        let mut pos = i64::try_from(offset)?;

        // SAFETY: `file` is a valid file, and `to` has as many bytes as said.
        moved(unsafe {
            bindings::kernel_read(
                file.as_ptr(),
                to.as_mut_ptr().cast(),
                to.len(),
                &raw mut pos,
            )
        })
    }
}

/// What shared memory without a path can do.
pub mod shm {
    use super::*;

    /// Makes shared memory. `flags` are `CR_SHM_*`; the seals are for [`seal`]; `page_shift` is that
    /// of huge pages.
    pub fn create(
        name: &CStr,
        size: u64,
        flags: u32,
        seals: u32,
        mode: u32,
        page_shift: u32,
    ) -> Result<ARef<File>> {
        // SAFETY: `name` is a string. The function returns a reference or an error.
        owned(unsafe {
            bindings::checkpoint_shm_create(
                name.as_char_ptr(),
                size,
                flags,
                seals,
                mode as bindings::umode_t,
                page_shift,
            )
        })
    }

    /// Gives a memfd the seals that it was made for.
    pub fn seal(file: &File, seals: u32) -> Result {
        // SAFETY: `file` is a valid file.
        to_result(unsafe { bindings::checkpoint_shm_seal(file.as_ptr(), seals) })
    }

    /// Writes bytes at `offset`, as a mapping would: no limit but that of memory counts. Returns how
    /// many went there at once.
    pub fn write(file: &File, from: &[u8], offset: u64) -> Result<usize> {
        let pos = i64::try_from(offset)?;

        // SAFETY: `file` is a valid file, and `from` has as many bytes as said.
        moved(unsafe {
            bindings::checkpoint_shm_write(file.as_ptr(), from.as_ptr().cast(), from.len(), pos)
        })
    }
}

/// What terminals can do.
pub mod tty {
    use super::*;

    /// Bytes of [`Settings`].
    pub const LEN: usize = bindings::CHECKPOINT_TTY_LEN as usize;

    /// The settings of a terminal: the bytes of a `struct cr_hdr_tty`.
    #[repr(C, align(8))]
    #[derive(Clone, Copy)]
    pub struct Settings(pub [u8; LEN]);

    /// Returns the settings of the terminal that `file` is.
    pub fn settings(file: &File) -> Result<Settings> {
        let mut to = Settings([0; LEN]);

        // SAFETY: `file` is a valid file. `to` has the size and the alignment of what is written.
        to_result(unsafe { bindings::checkpoint_tty_get(file.as_ptr(), (&raw mut to).cast()) })?;
        Ok(to)
    }

    /// Gives a terminal other settings, as tcsetattr(3). Does nothing if `file` is none.
    pub fn set(file: &File, settings: &Settings) {
        // SAFETY: `file` is a valid file. `settings` has the size and the alignment of what is
        // read, in which any bytes are valid.
        unsafe { bindings::checkpoint_tty_set(file.as_ptr(), ptr::from_ref(settings).cast()) };
    }
}
