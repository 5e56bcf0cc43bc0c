// SPDX-License-Identifier: GPL-2.0

//! The descriptor table: numbers, close-on-exec, and which descriptors have one open file; and locks
//! on files, which belong to the table or to an open file.
//!
//! Locks: none is held here. The table that a restart fills is nobody else's until it is committed.

use kernel::{
    fmt::{
        self,
        Display, //
    },
    fs::{
        state::{
            self,
            lock::{
                self,
                Lock, //
            },
            table::{
                self,
                Table, //
            }, //
        },
        File, //
    },
    prelude::*,
    str::BStr,
    task::CurrentTask,
    uapi, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        object::{
            self,
            Use, //
        },
        Collect,
        Prepare,
        Resource,
        Saving, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

/// What an image says of a descriptor table.
#[derive(Default)]
pub(crate) struct Image {
    /// Whether there is one: without, the caller keeps its own.
    present: bool,
    fds: KVVec<image::Fd>,
    locks: KVVec<image::Lock>,
}

/// The name of a file, for the log.
struct Name<'a> {
    path: Option<&'a [u8]>,
    objref: u32,
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Some(path) => f.write_fmt(fmt!("file \"{}\"", BStr::from_bytes(path))),
            None => write!(f, "object {}", self.objref),
        }
    }
}

/// The bytes that a lock is about, for the log.
struct Range<'a>(&'a image::Lock);

impl Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.start, self.0.end) {
            (0, i64::MAX) => f.write_str("all bytes"),
            (start, i64::MAX) => write!(f, "bytes from {start} on"),
            (start, end) => write!(f, "bytes {start}-{end}"),
        }
    }
}

/// Logs why a lock cannot be taken.
fn not_locked(cx: &mut Prepare<'_>, file: &File, lock: &image::Lock, error: Error) -> Error {
    let mut buffer = KVVec::new();
    let path = match buffer.resize(state::PATH_MAX, 0, GFP_KERNEL) {
        Ok(()) => state::path(file, &mut buffer).ok(),
        Err(_) => None,
    };
    let name = Name {
        path,
        objref: lock.objref,
    };
    let range = Range(lock);

    if error == EAGAIN {
        return cx.fail(error, fmt!("{name}: {range} are locked by another process"));
    }
    cx.fail(error, fmt!("{name}: {range} cannot be locked: {error:?}"))
}

/// Takes all locks, those of the process by the descriptors of `table`. Those that were taken when
/// one fails go with the table, and with the files.
fn take_locks(cx: &mut Prepare<'_>, table: &mut Table, image: &Image) -> Result {
    if image.locks.is_empty() {
        return Ok(());
    }

    // Descriptors by their file: each lock looks for one.
    let mut by_file = KVVec::with_capacity(image.fds.len(), GFP_KERNEL_ACCOUNT)?;
    for fd in &image.fds {
        by_file.push((fd.objref, u32::try_from(fd.fd)?), GFP_KERNEL_ACCOUNT)?;
    }
    by_file.sort_unstable();

    for lock in &image.locks {
        let Some(file) = cx.objects.lockable(lock.objref) else {
            return Err(cx.fail(
                EINVAL,
                fmt!("lock: object {} is no file that can be locked", lock.objref),
            ));
        };
        let wanted = Lock {
            kind: lock.kind,
            lock_type: lock.lock_type,
            start: lock.start,
            end: lock.end,
        };
        let taken = if lock.kind == uapi::CR_LOCK_POSIX {
            let first = by_file.partition_point(|(objref, _)| *objref < lock.objref);

            match by_file.get(first) {
                Some((objref, fd)) if *objref == lock.objref => table.lock(*fd, wanted),
                _ => {
                    return Err(cx.fail(
                        EINVAL,
                        fmt!("lock: object {} is no file with a descriptor", lock.objref),
                    ))
                }
            }
        } else {
            lock::take(&file, wanted)
        };

        taken.map_err(|e| not_locked(cx, &file, lock, e))?;
    }
    Ok(())
}

pub(crate) struct FileState;

impl Resource for FileState {
    type Found = KVVec<image::Fd>;
    type Image = Image;
    type Prepared = Option<Table>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        if table::is_shared(cx.task) {
            cx.refuse_further(fmt!("a descriptor table that is shared with another task"))?;
        }

        let mut open = KVVec::new();
        let mut fd = 0;
        while let Some(descriptor) = table::next(cx.task, fd) {
            fd = descriptor.fd + 1;
            if descriptor.fd >= uapi::CR_FDS_MAX {
                return Err(cx.refuse(fmt!("fd {}: so large a number", descriptor.fd)));
            }
            open.push(descriptor, GFP_KERNEL_ACCOUNT)?;
        }
        cx.objects.survey(&open)?;

        let mut found = KVVec::with_capacity(open.len(), GFP_KERNEL_ACCOUNT)?;
        for descriptor in &open {
            let objref = object::collect_file(cx, &descriptor.file, Use::Fd(descriptor.fd));
            let objref = cx.tolerate(objref)?.unwrap_or_default();

            found.push(
                image::Fd {
                    // Less than CR_FDS_MAX.
                    fd: descriptor.fd as i32,
                    flags: if descriptor.cloexec {
                        uapi::CR_FD_CLOEXEC
                    } else {
                        0
                    },
                    objref,
                    reserved: 0,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        Ok(found)
    }

    fn save<T: Transport>(
        found: &Self::Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&image::Files {
            count: u32::try_from(found.len()).map_err(Error::from)?,
            nr_locks: u32::try_from(cx.objects.locks().len()).map_err(Error::from)?,
            ..Default::default()
        })?;
        for fd in found {
            to.record(fd)?;
        }
        // Those of files that are only mapped are there, too.
        for lock in cx.objects.locks() {
            to.record(lock)?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Files(_) => image.present = true,
            Item::Fd(fd) => image.fds.push(*fd, GFP_KERNEL_ACCOUNT)?,
            Item::Lock(lock) => image.locks.push(*lock, GFP_KERNEL_ACCOUNT)?,
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        if !image.present {
            return Ok(None);
        }
        let limit = table::max_fds();
        let mut table = Table::new()?;

        for fd in &image.fds {
            let number = u32::try_from(fd.fd)?;

            if u64::from(number) >= limit {
                return Err(cx.fail(
                    EMFILE,
                    fmt!("fd {number}: the caller's limit of open files is {limit}"),
                ));
            }
            let Some(file) = cx.objects.file(fd.objref) else {
                return Err(cx.fail(EINVAL, fmt!("fd {number}: object {} is no file", fd.objref)));
            };
            table
                .install(number, &file, fd.flags & uapi::CR_FD_CLOEXEC != 0)
                .map_err(|e| cx.fail(e, fmt!("fd {number}: there is no room for it: {e:?}")))?;
        }
        take_locks(cx, &mut table, &image)?;
        Ok(Some(table))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(table) = prepared {
            table.switch(caller);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_files)]
mod tests {
    use super::*;
    use kernel::{
        fs::{
            file::flags,
            state::shm, //
        },
        page::PAGE_SIZE,
        str::CString,
        sync::aref::ARef, //
    };

    const WHOLE: Lock = Lock {
        kind: uapi::CR_LOCK_FLOCK,
        lock_type: 1,
        start: 0,
        end: i64::MAX,
    };

    fn memory() -> Result<ARef<File>> {
        shm::create(c"dev/zero", PAGE_SIZE as u64, 0, 0, 0)
    }

    #[test]
    fn lock_of_a_file_keeps_others_out() -> Result {
        let file = memory()?;
        let other = state::open_again(&file, flags::O_RDONLY)?;
        let task = kernel::current!();

        lock::take(&file, WHOLE)?;
        assert!(lock::take(&other, WHOLE) == Err(EAGAIN));
        assert!(lock::find(&file, task, 4)?[..] == [WHOLE]);
        assert!(lock::find(&other, task, 4)?.is_empty());
        assert!(matches!(lock::find(&file, task, 0), Err(e) if e == E2BIG));
        Ok(())
    }

    #[test]
    fn locks_of_a_file_are_found_in_their_order() -> Result {
        let file = memory()?;
        let ofd = |lock_type, start, end| Lock {
            kind: uapi::CR_LOCK_OFD,
            lock_type,
            start,
            end,
        };
        let wanted = [WHOLE, ofd(0, 5, 9), ofd(1, 10, 10), ofd(0, 99, i64::MAX)];

        for index in [3, 1, 0, 2] {
            lock::take(&file, wanted[index])?;
        }
        assert!(lock::find(&file, kernel::current!(), 4)?[..] == wanted);
        Ok(())
    }

    #[test]
    fn write_lock_takes_a_file_that_can_be_written() -> Result {
        let file = memory()?;
        let read_only = state::open_again(&file, flags::O_RDONLY)?;
        let exclusive = Lock {
            kind: uapi::CR_LOCK_OFD,
            ..WHOLE
        };

        assert!(lock::take(&read_only, exclusive) == Err(EBADF));
        lock::take(
            &read_only,
            Lock {
                lock_type: 0,
                ..exclusive
            },
        )
    }

    #[test]
    fn lock_of_a_process_goes_with_its_table() -> Result {
        let file = memory()?;
        let bytes = Lock {
            kind: uapi::CR_LOCK_POSIX,
            lock_type: 1,
            start: 10,
            end: 19,
        };
        let mut table = Table::new()?;
        let mut other = Table::new()?;

        table.install(5, &file, false)?;
        other.install(7, &file, false)?;
        assert!(table.lock(4, bytes) == Err(EBADF));
        assert!(table.lock(5, WHOLE) == Err(EINVAL));
        assert!(lock::take(&file, bytes) == Err(EINVAL));
        table.lock(5, bytes)?;
        assert!(other.lock(7, bytes) == Err(EAGAIN));
        drop(table);
        other.lock(7, bytes)
    }

    #[test]
    fn bytes_have_names() -> Result {
        let name = |start, end| {
            let lock = image::Lock {
                start,
                end,
                ..Default::default()
            };

            CString::try_from_fmt(fmt!("{}", Range(&lock)))
        };

        assert_eq!(name(0, i64::MAX)?.to_bytes(), b"all bytes");
        assert_eq!(name(7, i64::MAX)?.to_bytes(), b"bytes from 7 on");
        assert_eq!(name(0, 9)?.to_bytes(), b"bytes 0-9");
        Ok(())
    }
}
