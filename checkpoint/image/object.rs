// SPDX-License-Identifier: GPL-2.0

//! Objects: what has a number in an image, because others refer to it.
//!
//! An open file description, a pipe, shared memory and a deleted file can be reached in several ways.
//! Each is in the image once, and before everything that refers to it.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    creds::NO_ID,
    Context,
    Kind,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

const S_IFMT: u32 = 0o170_000;
const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;

/// Permissions, and the bits for set-user-ID, set-group-ID and sticky.
const PERMISSIONS: u32 = 0o7777;

/// The `O_*` of a file that is open. Not those which only make open(2) do something: `O_CREAT`,
/// `O_EXCL`, `O_NOCTTY`, `O_TRUNC` and `O_TMPFILE`.
const OPEN_FLAGS: u32 = 0o17_776_003;

const O_PATH: u32 = 0o10_000_000;

/// What fcntl(2) shows `PIDFD_THREAD` as.
const O_EXCL: u32 = 0o200;

/// `F_SEAL_SEAL` to `F_SEAL_EXEC`.
const SEALS: u32 = 0x3f;

/// `RWH_WRITE_LIFE_EXTREME`
const HINT_MAX: u32 = 5;

/// The largest number of a descriptor that stands for one of the restarter's standard streams.
const STDERR: u32 = 2;

/// An open file description; a `CR_HDR_STRING` with its path follows if `path_len` is not 0, then
/// what the `kind` says.
///
/// C: `struct cr_hdr_file`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_FILE, abi = cr_hdr_file)]
pub struct File {
    /// Number of this object: 1 more than that of the object before.
    pub objref: u32,
    /// `CR_FILE_*`
    pub kind: u32,
    /// `O_*` as fcntl(`F_GETFL`) reports them, with `O_DIRECTORY` and `O_NOFOLLOW`.
    pub flags: u32,
    /// Bytes of the path, which is absolute from the checkpointer's root.
    pub path_len: u32,
    /// Offset.
    pub pos: i64,
    /// Device of the inode, as statx(2) has it: `major << 32 | minor`.
    pub dev: u64,
    /// Number of the inode.
    pub ino: u64,
    /// Bytes of a regular file.
    pub size: u64,
    /// Type and permissions of the inode.
    pub mode: u32,
    /// The objref of a pipe or shared memory, or of the `CR_HDR_INODE` of a file or directory that
    /// has no path any more; number of the restarter's descriptor for `CR_FILE_TTY` and
    /// `CR_FILE_INHERIT`; number of the task for `CR_FILE_PROC`, 0 is the first; otherwise 0.
    pub target: u32,
    /// `RWH_*` of fcntl(`F_SET_RW_HINT`)
    pub hint: u32,
    /// 0
    pub reserved: u32,
}

impl File {
    /// Returns how many bytes the path has that follows.
    pub fn path_len(&self) -> usize {
        self.path_len as usize
    }

    /// Returns which record with more of its state follows it and its path: one or none.
    pub const fn detail(&self) -> &'static [Kind] {
        match self.kind {
            uapi::CR_FILE_TTY => &[Kind::Tty],
            uapi::CR_FILE_EVENTFD => &[Kind::EventFd],
            uapi::CR_FILE_TIMERFD => &[Kind::TimerFd],
            uapi::CR_FILE_SIGNALFD => &[Kind::SignalFd],
            uapi::CR_FILE_INOTIFY => &[Kind::Inotify],
            uapi::CR_FILE_PIDFD => &[Kind::PidFd],
            _ => &[],
        }
    }

    /// Returns whether the file may be deleted: it is then that of a [`Inode`].
    const fn can_be_deleted(&self) -> bool {
        matches!(
            self.kind,
            uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_PATH
        )
    }

    /// Returns whether the file is opened by its path.
    pub const fn is_by_path(&self) -> bool {
        match self.kind {
            uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_PATH => self.target == 0,
            uapi::CR_FILE_CHR | uapi::CR_FILE_FIFO | uapi::CR_FILE_PROC => true,
            _ => false,
        }
    }

    /// Returns the number of the pipe, shared memory or deleted file that this is an open file of.
    pub const fn target_object(&self) -> Option<u32> {
        match self.kind {
            uapi::CR_FILE_FIFO | uapi::CR_FILE_PIPE | uapi::CR_FILE_SHM => Some(self.target),
            _ if self.can_be_deleted() && self.target != 0 => Some(self.target),
            _ => None,
        }
    }

    /// Returns whether a restart has an open file of its own for this one, so that locks on it go
    /// when the restart fails.
    pub const fn can_be_locked(&self) -> bool {
        matches!(
            self.kind,
            uapi::CR_FILE_REG
                | uapi::CR_FILE_DIR
                | uapi::CR_FILE_CHR
                | uapi::CR_FILE_FIFO
                | uapi::CR_FILE_PIPE
                | uapi::CR_FILE_SHM
        )
    }

    /// Refuses a `target` that this kind of file does not have.
    fn check_target(&self, context: &Context<'_>) -> Result<(), Reason> {
        match self.kind {
            uapi::CR_FILE_FIFO | uapi::CR_FILE_PIPE | uapi::CR_FILE_SHM => {
                context.unless_object("target", self.target)
            }
            uapi::CR_FILE_TTY => Reason::unless_in("target", self.target, 0, i64::from(i32::MAX)),
            uapi::CR_FILE_INHERIT => Reason::unless_in("target", self.target, 0, STDERR),
            uapi::CR_FILE_PROC => {
                Reason::unless_in("target", self.target, 0, i64::from(uapi::CR_TASKS_MAX))
            }
            _ if self.can_be_deleted() && self.target != 0 => {
                context.unless_object("target", self.target)
            }
            _ => Reason::unless_equal("target", self.target, 0u32),
        }
    }
}

impl Validate for File {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_next_object(self.objref)?;
        let (file_type, min, max) = match self.kind {
            uapi::CR_FILE_REG => (Some(S_IFREG), 1, uapi::CR_PATH_LEN_MAX),
            uapi::CR_FILE_DIR => (Some(S_IFDIR), 1, uapi::CR_PATH_LEN_MAX),
            uapi::CR_FILE_CHR => (Some(S_IFCHR), 1, uapi::CR_PATH_LEN_MAX),
            uapi::CR_FILE_FIFO => (Some(S_IFIFO), 1, uapi::CR_PATH_LEN_MAX),
            uapi::CR_FILE_PATH | uapi::CR_FILE_PROC | uapi::CR_FILE_EXTERNAL => {
                (None, 1, uapi::CR_PATH_LEN_MAX)
            }
            uapi::CR_FILE_PIPE
            | uapi::CR_FILE_SHM
            | uapi::CR_FILE_IMAGE
            | uapi::CR_FILE_EVENTFD
            | uapi::CR_FILE_TIMERFD
            | uapi::CR_FILE_SIGNALFD
            | uapi::CR_FILE_EPOLL
            | uapi::CR_FILE_INOTIFY
            | uapi::CR_FILE_PIDFD => (None, 0, 0),
            uapi::CR_FILE_TTY | uapi::CR_FILE_INHERIT => (None, 0, uapi::CR_PATH_LEN_MAX),
            found => return Err(Reason::unknown("kind", found)),
        };
        // What is deleted has no path.
        let (min, max) = match self.can_be_deleted() && self.target != 0 {
            true => (0, 0),
            false => (min, max),
        };
        Reason::unless_in("path_len", self.path_len, min, max)?;
        Reason::unless_bits("mode", self.mode, S_IFMT | PERMISSIONS)?;
        if file_type.is_some_and(|file_type| self.mode & S_IFMT != file_type) {
            return Err(Reason::FileType { found: self.mode });
        }

        let flags = match self.kind {
            uapi::CR_FILE_PATH => OPEN_FLAGS,
            // Nothing is opened with them.
            uapi::CR_FILE_EXTERNAL => OPEN_FLAGS | O_EXCL,
            uapi::CR_FILE_PIDFD => OPEN_FLAGS & !O_PATH | O_EXCL,
            _ => OPEN_FLAGS & !O_PATH,
        };
        Reason::unless_bits("flags", self.flags, flags)?;
        Reason::unless_in("pos", self.pos, 0, i64::MAX)?;
        Reason::unless_max("size", self.size, i64::MAX as u64)?;
        Reason::unless_in("hint", self.hint, 0, HINT_MAX)?;
        self.check_target(context)
    }
}

/// A pipe; its contents are in `CR_HDR_DATA`.
///
/// C: `struct cr_hdr_pipe`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_PIPE, abi = cr_hdr_pipe)]
pub struct Pipe {
    /// Number of this object: 1 more than that of the object before.
    pub objref: u32,
    /// Bytes it can hold, as fcntl(`F_GETPIPE_SZ`) reports them.
    pub size: u32,
    /// `CR_PIPE_*`
    pub flags: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for Pipe {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_next_object(self.objref)?;
        Reason::unless_in("size", self.size, 1, i64::from(i32::MAX))?;
        Reason::unless_multiple("size", self.size, context.page_size)?;
        Reason::unless_bits("flags", self.flags, uapi::CR_PIPE_PACKETS)
    }
}

/// Shared memory without a path; a `CR_HDR_STRING` with its name follows if `name_len` is not 0;
/// its contents are in `CR_HDR_DATA`.
///
/// C: `struct cr_hdr_shm`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SHM, abi = cr_hdr_shm)]
pub struct Shm {
    /// Number of this object: 1 more than that of the object before.
    pub objref: u32,
    /// `CR_SHM_*`
    pub flags: u32,
    /// Bytes.
    pub size: u64,
    /// `F_SEAL_*`
    pub seals: u32,
    /// Bytes of the name.
    pub name_len: u32,
    /// Permissions of the inode.
    pub mode: u32,
    /// Of the huge pages; 0 without `CR_SHM_HUGETLB`.
    pub page_shift: u32,
}

impl Shm {
    /// Returns how many bytes the name has that follows.
    pub fn name_len(&self) -> usize {
        self.name_len as usize
    }
}

impl Validate for Shm {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_next_object(self.objref)?;
        Reason::unless_bits(
            "flags",
            self.flags,
            uapi::CR_SHM_MEMFD | uapi::CR_SHM_NORESERVE | uapi::CR_SHM_HUGETLB,
        )?;
        Reason::unless_max("size", self.size, i64::MAX as u64)?;
        Reason::unless_bits("seals", self.seals, SEALS)?;
        Reason::unless_in("name_len", self.name_len, 0, uapi::CR_NAME_LEN_MAX)?;
        Reason::unless_bits("mode", self.mode, PERMISSIONS)?;
        let hugetlb = self.flags & uapi::CR_SHM_HUGETLB != 0;
        context.unless_page_shift(self.page_shift, hugetlb)
    }
}

/// A file or directory that was deleted; a `CR_HDR_STRING` with the path of a directory on the same
/// mount follows, in which it was if that is still there; its contents are in `CR_HDR_DATA`, holes
/// left out.
///
/// C: `struct cr_hdr_inode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_INODE, abi = cr_hdr_inode)]
pub struct Inode {
    /// Number of this object: 1 more than that of the object before.
    pub objref: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Bytes of a regular file, 0 for a directory.
    pub size: u64,
    /// Device, as in `struct cr_hdr_file`.
    pub dev: u64,
    /// Number of the inode.
    pub ino: u64,
    /// Nanoseconds since the epoch when it was last read.
    pub atime: i64,
    /// Nanoseconds since the epoch when it was last written to.
    pub mtime: i64,
    /// Owner, in the user namespace of the checkpointer.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// `CR_INODE_*`
    pub flags: u32,
    /// Bytes of the path.
    pub path_len: u32,
}

impl Inode {
    /// Returns how many bytes the path has that follows.
    pub fn path_len(&self) -> usize {
        self.path_len as usize
    }

    /// Returns whether this is a regular file, which alone has contents.
    pub const fn is_regular(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }
}

impl Validate for Inode {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_next_object(self.objref)?;
        Reason::unless_bits("mode", self.mode, S_IFMT | PERMISSIONS)?;
        let (size, flags) = match self.mode & S_IFMT {
            S_IFREG => (i64::MAX as u64, uapi::CR_INODE_LINKABLE),
            S_IFDIR => (0, 0),
            _ => return Err(Reason::FileType { found: self.mode }),
        };
        Reason::unless_max("size", self.size, size)?;
        for (field, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id == NO_ID {
                return Err(Reason::NoId { field });
            }
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        Reason::unless_in("path_len", self.path_len, 1, uapi::CR_PATH_LEN_MAX)
    }
}

/// Settings of a terminal.
///
/// C: `struct cr_hdr_tty`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TTY, abi = cr_hdr_tty)]
pub struct Tty {
    /// `c_iflag` of `struct termios2`
    pub iflag: u32,
    /// `c_oflag`
    pub oflag: u32,
    /// `c_cflag`
    pub cflag: u32,
    /// `c_lflag`
    pub lflag: u32,
    /// `c_ispeed`
    pub ispeed: u32,
    /// `c_ospeed`
    pub ospeed: u32,
    /// `c_line`
    pub line: u8,
    /// `c_cc`
    pub cc: [u8; 19],
    /// 0
    pub reserved: [u8; 4],
}

impl Validate for Tty {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // tcsetattr(3) takes any settings, and makes what it can of them.
        Ok(())
    }
}
