// SPDX-License-Identifier: GPL-2.0

//! The descriptor table: numbers, close-on-exec, and which descriptors have one open file; locks on
//! files, which belong to the table or to an open file; who is told of what happens to a file; and what
//! instances of epoll(7) and inotify(7) wait for.
//!
//! Locks: none is held here. The table that a restart fills is nobody else's until it is committed.

use kernel::{
    fmt::{
        self,
        Display, //
    },
    fs::{
        file::flags,
        state::{
            self,
            lock::{
                self,
                Lock, //
            },
            owner::{
                self,
                NewOwner,
                Owner,
                Whom, //
            },
            table::{
                self,
                Descriptor,
                SharedTable,
                Table, //
            }, //
        },
        File, //
    },
    prelude::*,
    rbtree::RBTree,
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
        outside,
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope,
        SignalFd, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

mod epoll;
mod watch;

/// What was found of a descriptor table. What open files have to themselves, whatever tables they are
/// in, comes with the first.
pub(crate) struct Found {
    fds: KVVec<image::Fd>,
    locks: KVVec<image::Lock>,
    epoll_items: KVVec<image::EpollItem>,
    watches: KVVec<image::Watch>,
    is_first: bool,
}

/// What an image says of a descriptor table.
#[derive(Default)]
pub(crate) struct Image {
    /// Whether there is one: without, the caller keeps its own.
    present: bool,
    /// Number of the task that it came with, if that is another one.
    shared: u32,
    fds: KVVec<image::Fd>,
    locks: KVVec<image::Lock>,
    owners: KVVec<image::Owner>,
    epoll: epoll::Image,
    watches: KVVec<image::Watch>,
    /// What the process group had as a number.
    pgid: i32,
}

/// What is committed.
pub(crate) enum Prepared {
    /// The table that the task came with.
    Own(KBox<Own>),
    /// That of another task.
    Shared(SharedTable),
}

/// A descriptor table, and what is left to do with it and its files.
pub(crate) struct Own {
    table: Table,
    image: Image,
    /// It is the first one of the image.
    is_first: bool,
    owners: KVVec<NewOwner>,
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

/// Logs what is wrong with a file.
fn fail_at(
    cx: &mut Prepare<'_>,
    file: &File,
    objref: u32,
    error: Error,
    what: fmt::Arguments<'_>,
) -> Error {
    let mut buffer = KVVec::new();
    let path = match buffer.resize(state::PATH_MAX, 0, GFP_KERNEL) {
        Ok(()) => state::path(file, &mut buffer).ok(),
        Err(_) => None,
    };
    let name = Name { path, objref };

    cx.fail(error, fmt!("{name}: {what}"))
}

/// Logs why a lock cannot be taken.
fn not_locked(cx: &mut Prepare<'_>, file: &File, lock: &image::Lock, error: Error) -> Error {
    let objref = lock.objref;
    let range = Range(lock);

    match (lock.kind, error) {
        (uapi::CR_LOCK_LEASE, e) if e == EAGAIN => fail_at(
            cx,
            file,
            objref,
            e,
            fmt!("no lease: another process has it open"),
        ),
        (uapi::CR_LOCK_LEASE, e) => fail_at(cx, file, objref, e, fmt!("no lease: {e:?}")),
        (_, e) if e == EAGAIN => fail_at(
            cx,
            file,
            objref,
            e,
            fmt!("{range} are locked by another process"),
        ),
        (_, e) => fail_at(cx, file, objref, e, fmt!("{range} cannot be locked: {e:?}")),
    }
}

/// Returns the first descriptor of a file.
fn first_fd(by_file: &[(u32, u32)], objref: u32) -> Option<u32> {
    let first = by_file.partition_point(|(file, _)| *file < objref);

    match by_file.get(first) {
        Some((file, fd)) if *file == objref => Some(*fd),
        _ => None,
    }
}

/// Takes all locks but leases, those of the process by the descriptors of `table`. Those that were
/// taken when one fails go with the table, and with the files.
fn take_locks(
    cx: &mut Prepare<'_>,
    table: &mut Table,
    image: &Image,
    by_file: &[(u32, u32)],
) -> Result {
    for lock in &image.locks {
        if lock.kind == uapi::CR_LOCK_LEASE || cx.objects.is_replaced(lock.objref) {
            continue;
        }
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
            match first_fd(by_file, lock.objref) {
                Some(fd) => table.lock(fd, wanted),
                None => {
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

/// Adds a descriptor to a table.
fn install(cx: &mut Prepare<'_>, table: &mut Table, fd: &image::Fd, file: &File) -> Result {
    let number = u32::try_from(fd.fd)?;

    table
        .install(number, file, fd.flags & uapi::CR_FD_CLOEXEC != 0)
        .map_err(|e| cx.fail(e, fmt!("fd {number}: there is no room for it: {e:?}")))
}

/// Notes files that send signals, with the descriptors that these tell of: each has the first one, of
/// the first task that has any.
fn note_signal_fds(cx: &mut Prepare<'_>, image: &Image, by_file: &[(u32, u32)]) -> Result {
    // Of leases, the first table tells.
    for lock in &image.locks {
        if lock.kind == uapi::CR_LOCK_LEASE {
            cx.signal_fds
                .push(SignalFd::new(lock.objref, false), GFP_KERNEL_ACCOUNT)?;
        }
    }
    for noted in cx.signal_fds.iter_mut() {
        noted.fd = noted.fd.or_else(|| first_fd(by_file, noted.objref));
    }
    Ok(())
}

/// Takes leases. Each is the last that is done to its inode: an open of it later would break one.
fn take_leases(cx: &mut Prepare<'_>, prepared: &Own) -> Result {
    // At the place of the last that was found.
    let mut noted = 0;

    for lock in &prepared.image.locks {
        if lock.kind != uapi::CR_LOCK_LEASE || cx.objects.is_replaced(lock.objref) {
            continue;
        }
        while let Some(next) = cx.signal_fds.get(noted) {
            if !next.asynchronous && next.objref == lock.objref {
                break;
            }
            noted += 1;
        }
        let fd = cx.signal_fds.get(noted).and_then(|noted| noted.fd);
        let Some(file) = cx.objects.lockable(lock.objref) else {
            return Err(cx.fail(
                EINVAL,
                fmt!("lease: object {} is no file that can have one", lock.objref),
            ));
        };

        owner::take_lease(&file, fd, lock.lock_type).map_err(|e| not_locked(cx, &file, lock, e))?;
    }
    Ok(())
}

/// Makes files send signals, which nobody gets before the commit.
fn send_signals(cx: &mut Prepare<'_>) -> Result {
    let noted = core::mem::take(cx.signal_fds);

    for &SignalFd { objref, fd, .. } in noted.iter().filter(|noted| noted.asynchronous) {
        let Some(file) = cx.objects.own(objref) else {
            continue;
        };
        // A lease makes a file send signals, too.
        if file.flags() & flags::O_ASYNC == 0 {
            owner::send_signals(&file, fd)
                .map_err(|e| fail_at(cx, &file, objref, e, fmt!("O_ASYNC cannot be set: {e:?}")))?;
        }
    }
    Ok(())
}

/// Finds whom the number of an owner means. Who is none of the image is who has the number.
fn whom<'a>(cx: &'a Prepare<'_>, record: &image::Owner, pgid: i32) -> Whom<'a> {
    let task = cx.tasks.get(&record.pid).map(|task| &**task);
    let other = task.filter(|task| task.as_ptr() != cx.caller.group().as_ptr());

    match (record.kind == uapi::F_OWNER_PGRP, other, task) {
        // That of the first task is the restarter's.
        (true, None, _) if record.pid == pgid => Whom::GroupOf(cx.caller),
        (_, Some(task), _) | (_, None, Some(task)) => Whom::Task(task),
        (_, None, None) => Whom::Number,
    }
}

/// Finds all who get signals of files.
fn find_owners(cx: &mut Prepare<'_>, prepared: &mut Own) -> Result {
    let image = &prepared.image;

    for record in &image.owners {
        if cx.objects.is_replaced(record.objref) {
            continue;
        }
        let Some(file) = cx.objects.own(record.objref) else {
            return Err(cx.fail(
                EINVAL,
                fmt!("owner: object {} is no file of the process", record.objref),
            ));
        };
        let owner = Owner {
            kind: record.kind,
            pid: record.pid,
            signal: record.signal,
            uid: record.uid,
            euid: record.euid,
        };
        let new = NewOwner::new(&file, &owner, whom(cx, record, image.pgid)).map_err(|e| {
            let (pid, uid) = (record.pid, record.uid);

            if e == EPERM {
                let what = fmt!("its signals cannot be sent as by user {uid}: EPERM");
                return fail_at(cx, &file, record.objref, e, what);
            }
            let what = fmt!("its signals cannot be sent to {pid}: {e:?}");
            fail_at(cx, &file, record.objref, e, what)
        })?;

        prepared.owners.push(new, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(())
}

/// Looks at the descriptor table that comes with the task, if one does, before any of its files are
/// collected: who has a pipe shows only when all tables have been looked at.
pub(crate) fn survey(cx: &mut Collect<'_>) -> Result {
    if !cx.has(Scope::Files) {
        return Ok(());
    }
    let known = cx.tree.users(&cx.member()?.kin, |kin| kin.files);
    if table::users(cx.task) > known {
        outside::refuse_table(
            cx,
            cx.member()?.kin.files,
            "a descriptor table that is shared",
        )?;
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
    let is_first = cx.is_first_table();
    cx.objects.survey(&open, is_first)?;
    cx.outside.count_table(&open)?;
    cx.put_table(open)
}

/// Finds the locks that the process has by the file of a descriptor, and notes them.
fn collect_locks(
    cx: &mut Collect<'_>,
    found: &mut KVVec<image::Lock>,
    descriptor: &Descriptor,
    objref: u32,
) -> Result {
    let locks = object::locks(cx, &descriptor.file, Use::Fd(descriptor.fd))?;
    let mut own = locks
        .iter()
        .filter(|lock| lock.kind == uapi::CR_LOCK_POSIX)
        .peekable();

    if own.peek().is_some() && !cx.objects.can_be_locked(objref) {
        return Err(cx.refuse(fmt!(
            "fd {}: a lock on a file that the restarter provides",
            descriptor.fd
        )));
    }
    for lock in own {
        found.push(object::lock_record(objref, lock), GFP_KERNEL_ACCOUNT)?;
    }
    Ok(())
}

pub(crate) struct FileState;

impl Resource for FileState {
    const SCOPE: Scope = Scope::Files;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let open = cx.take_table();
        let mut locks = KVVec::new();
        let mut looked = RBTree::<u32, ()>::new();
        let mut found = KVVec::with_capacity(open.len(), GFP_KERNEL_ACCOUNT)?;
        for descriptor in &open {
            let objref = object::collect_file(cx, &descriptor.file, Use::Fd(descriptor.fd));
            let objref = cx.tolerate(objref)?.unwrap_or_default();

            if objref != 0 && looked.get(&objref).is_none() {
                looked.try_create_and_insert(objref, (), GFP_KERNEL_ACCOUNT)?;
                collect_locks(cx, &mut locks, descriptor, objref)?;
            }
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
        locks.sort_unstable_by_key(|lock| (lock.objref, lock.kind, lock.start));
        Ok(Found {
            fds: found,
            locks,
            epoll_items: KVVec::new(),
            watches: KVVec::new(),
            is_first: cx.is_first_table(),
        })
    }

    fn finish(found: &mut Self::Found, cx: &mut Collect<'_>) -> Result {
        if !found.is_first {
            return Ok(());
        }
        found.epoll_items = epoll::collect(cx)?;
        found.watches = watch::collect(cx)?;
        // Those of files that are only mapped are there, too.
        found
            .locks
            .extend_from_slice(cx.objects.locks(), GFP_KERNEL_ACCOUNT)?;
        found
            .locks
            .sort_unstable_by_key(|lock| (lock.objref, lock.kind, lock.start));
        if found.locks.len() > uapi::CR_LOCKS_MAX as usize {
            return Err(cx.refuse(fmt!("so many locks")));
        }
        Ok(())
    }

    fn save<T: Transport>(
        found: &Self::Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let owners = match found.is_first {
            true => cx.objects.owners(),
            false => &[],
        };

        to.record(&image::Files {
            count: u32::try_from(found.fds.len()).map_err(Error::from)?,
            nr_locks: u32::try_from(found.locks.len()).map_err(Error::from)?,
            nr_owners: u32::try_from(owners.len()).map_err(Error::from)?,
            nr_epoll_items: u32::try_from(found.epoll_items.len()).map_err(Error::from)?,
            nr_watches: u32::try_from(found.watches.len()).map_err(Error::from)?,
            ..Default::default()
        })?;
        for fd in &found.fds {
            to.record(fd)?;
        }
        for lock in &found.locks {
            to.record(lock)?;
        }
        for owner in owners {
            to.record(owner)?;
        }
        for item in &found.epoll_items {
            to.record(item)?;
        }
        for watch in &found.watches {
            to.record(watch)?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Files(_) => image.present = true,
            Item::Fd(fd) => image.fds.push(*fd, GFP_KERNEL_ACCOUNT)?,
            Item::Lock(lock) => image.locks.push(*lock, GFP_KERNEL_ACCOUNT)?,
            Item::Owner(owner) => image.owners.push(*owner, GFP_KERNEL_ACCOUNT)?,
            Item::Task(task) => {
                image.pgid = task.pgid;
                image.shared = task.files;
            }
            Item::Watch(watch) => image.watches.push(*watch, GFP_KERNEL_ACCOUNT)?,
            _ => (),
        }
        epoll::take(&mut image.epoll, item)
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        if image.shared != 0 {
            let Some(shared) = cx.tables.get(&image.shared).map(SharedTable::share) else {
                return Err(cx.fail(
                    EINVAL,
                    fmt!(
                        "descriptor table: task {} has none of its own",
                        image.shared
                    ),
                ));
            };
            return Ok(Some(Prepared::Shared(shared)));
        }
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
            if cx.objects.is_late(fd.objref) {
                continue;
            }
            let Some(file) = cx.objects.file(fd.objref) else {
                return Err(cx.fail(EINVAL, fmt!("fd {number}: object {} is no file", fd.objref)));
            };
            install(cx, &mut table, fd, &file)?;
        }

        // Descriptors by their file: each lock looks for one.
        let mut by_file = KVVec::with_capacity(image.fds.len(), GFP_KERNEL_ACCOUNT)?;
        for fd in &image.fds {
            by_file.push((fd.objref, u32::try_from(fd.fd)?), GFP_KERNEL_ACCOUNT)?;
        }
        by_file.sort_unstable();
        take_locks(cx, &mut table, &image, &by_file)?;
        let is_first = cx.tables.iter().next().is_none();
        note_signal_fds(cx, &image, &by_file)?;

        cx.tables
            .try_create_and_insert(cx.number, table.share(), GFP_KERNEL_ACCOUNT)?;
        let own = Own {
            table,
            image,
            is_first,
            owners: KVVec::new(),
        };
        Ok(Some(Prepared::Own(KBox::new(own, GFP_KERNEL_ACCOUNT)?)))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        let Some(Prepared::Own(prepared)) = prepared else {
            return Ok(());
        };
        let prepared = &mut **prepared;

        // Those that could not be opened before. The numbers of the others are in use.
        for fd in &prepared.image.fds {
            if prepared.table.has(u32::try_from(fd.fd)?) {
                continue;
            }
            let Some(file) = cx.objects.file(fd.objref) else {
                return Err(cx.fail(
                    EINVAL,
                    fmt!("fd {}: object {} is no file", fd.fd, fd.objref),
                ));
            };
            install(cx, &mut prepared.table, fd, &file)?;
        }
        if !prepared.is_first {
            return Ok(());
        }
        find_owners(cx, prepared)?;
        take_leases(cx, prepared)?;
        epoll::complete(cx, &prepared.image.epoll)?;
        // Behind it: an event that comes now is news.
        watch::complete(cx, &prepared.image.watches)?;
        send_signals(cx)
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        match prepared {
            Some(Prepared::Own(own)) => {
                let own = KBox::into_inner(own);

                own.table.switch(caller);
                for owner in own.owners {
                    owner.commit();
                }
            }
            Some(Prepared::Shared(table)) => table.switch(caller),
            None => (),
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_files)]
mod tests {
    use super::*;
    use kernel::{
        fs::state::shm,
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
        shm::create(c"dev/zero", PAGE_SIZE as u64, 0, 0, 0, 0)
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
