// SPDX-License-Identifier: GPL-2.0

//! What others refer to: open file descriptions, pipes, shared memory, deleted files.
//!
//! Two descriptors, or a descriptor and a mapping, may have one open file, and two open files one
//! pipe or one memfd. Each of these is an object, which is in the image once. Objects are numbered
//! when they are first met: their number is 1 more than their place in [`Objects`], and a pipe, shared
//! memory or a deleted file comes right before the first open file that refers to it.
//!
//! All that is saved of an object is noted when it is met, but for the contents of pipes, shared
//! memory and deleted files: these cannot change while the task stands still, unless another process has them, too.
//!
//! An open file that is more than a path, or an end of another object, has a module of its own, which
//! is a line of the list in [`kind`].
//!
//! Locks: none is held between two steps. What [`kernel::fs::state`] takes it also releases.

use kernel::{
    crc32::crc32c,
    fmt::{
        self,
        Display, //
    },
    fs::{
        file::flags,
        state::{
            self,
            contents,
            owner,
            shm as memory,
            table::Descriptor,
            Seen, //
        },
        File, //
    },
    prelude::*,
    rbtree::RBTree,
    str::BStr,
    sync::aref::ARef,
    task::CurrentTask,
    uapi, //
};

use crate::{
    image::{
        self,
        BulkKind,
        Item,
        Text, //
    },
    resource::{
        outside,
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope,
        SignalFd, //
    },
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
};

mod epoll;
mod eventfd;
mod file;
mod inherit;
mod inode;
mod inotify;
mod kind;
mod lock;
mod pidfd;
mod pipe;
mod proc;
mod shm;
mod signalfd;
mod timerfd;
mod tty;

pub(crate) use lock::{
    lock_record,
    locks, //
};

use pipe::{
    Ends,
    Pipes, //
};

/// Bytes of contents that are moved at once: a multiple of the page size, so that a pipe has room
/// for them again whatever its buffers were.
const CHUNK: usize = 256 * 1024;

/// What fcntl(F_SETFL) changes.
const STATUS_FLAGS: u32 = flags::O_APPEND | flags::O_NONBLOCK | flags::O_DIRECT | flags::O_NOATIME;

/// What a file is used as, for the log.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// A descriptor.
    Fd(u32),
    /// A mapping, from its first byte to that behind its last.
    Mapping(usize, usize),
    /// The program.
    Exe,
    /// The working directory or the root.
    Dir(&'static str),
    /// What the inotify instance of a descriptor watches, by its watch descriptor.
    Watch(i32, i32),
}

impl Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(fd) => write!(f, "fd {fd}"),
            Self::Mapping(start, end) => write!(f, "mapping {start:x}-{end:x}"),
            Self::Exe => f.write_str("the program"),
            Self::Dir(name) => f.write_str(name),
            Self::Watch(fd, wd) => write!(f, "fd {fd}: watch {wd}"),
        }
    }
}

/// An object, with a reference that keeps it alive.
enum Object {
    Pipe {
        record: image::Pipe,
        /// An end of it.
        file: ARef<File>,
        /// How many open files it has.
        files: u32,
        /// Whether its contents are the task's alone, and saved.
        contents: bool,
    },
    Shm {
        record: image::Shm,
        name: KVVec<u8>,
        file: ARef<File>,
    },
    Inode {
        record: image::Inode,
        /// The directory that it was in.
        dir: KVVec<u8>,
        /// What its contents are read by.
        reader: Option<ARef<File>>,
    },
    File {
        record: image::File,
        path: KVVec<u8>,
        /// What its kind has noted, if it is one of the list in [`kind`].
        state: Option<kind::Found>,
        /// Nothing else can come to be at its address meanwhile.
        file: ARef<File>,
        /// By the task at which place it was met first, and as what.
        met: (usize, Use),
    },
}

/// Shared memory or a deleted file, with all open files that lead to it.
pub(crate) struct Kept {
    /// `F_SEAL_*`; [`None`] of a file.
    pub(crate) seals: Option<u32>,
    /// By the task at which place it was met first, and as what.
    pub(crate) met: Option<(usize, Use)>,
    pub(crate) files: KVVec<ARef<File>>,
}

/// An open file of the tree.
pub(crate) struct FoundFile {
    /// Its number.
    pub(crate) objref: u32,
    pub(crate) file: ARef<File>,
    /// By the task at which place it was met first, and as what.
    pub(crate) place: usize,
    pub(crate) of: Use,
}

/// The objects of a checkpoint.
pub(crate) struct Objects {
    /// Numbers, by the address of the kernel's object.
    index: RBTree<usize, u32>,
    found: KVVec<Object>,
    pipes: Pipes,
    /// The files of descriptors 0 to 2.
    standard: [usize; 3],
    /// The files of descriptors by their number, in the first table that has it.
    numbers: RBTree<u32, usize>,
    /// Locks that were taken by the files, in the order of their numbers.
    locks: KVVec<image::Lock>,
    /// Who gets a signal when a file is ready, in that order, too.
    owners: KVVec<image::Owner>,
}

impl Objects {
    /// No objects.
    pub(crate) fn new() -> Self {
        Self {
            index: RBTree::new(),
            found: KVVec::new(),
            pipes: Pipes::new(),
            standard: [0; 3],
            numbers: RBTree::new(),
            locks: KVVec::new(),
            owners: KVVec::new(),
        }
    }

    /// Looks at a whole descriptor table, before any files are collected: whether the other end of a
    /// pipe is outside of the tree shows only there. `first` tells whether it is that of the first
    /// task, whose standard streams are those of all.
    pub(crate) fn survey(&mut self, table: &[Descriptor], first: bool) -> Result {
        for descriptor in table.iter().filter(|_| first) {
            if let Some(standard) = self.standard.get_mut(descriptor.fd as usize) {
                *standard = descriptor.file.as_ptr() as usize;
            }
        }
        for descriptor in table {
            if self.numbers.get(&descriptor.fd).is_none() {
                self.numbers.try_create_and_insert(
                    descriptor.fd,
                    descriptor.file.as_ptr() as usize,
                    GFP_KERNEL_ACCOUNT,
                )?;
            }
        }
        self.pipes.survey(table)
    }

    /// Tells whether a restarter can hand in another file for `file`: there is a number that is its
    /// in the first table that has the number.
    fn has_number(&self, file: &File) -> bool {
        let address = file.as_ptr() as usize;

        self.numbers.values().any(|file| *file == address)
    }

    /// Returns the number of an open file, [`None`] if it has not been met.
    pub(crate) fn number(&self, file: &File) -> Option<u32> {
        self.index.get(&(file.as_ptr() as usize)).copied()
    }

    /// Returns the open files of a kind; their numbers ascend.
    pub(crate) fn of_kind(&self, kind: u32) -> Result<KVVec<FoundFile>> {
        let mut files = KVVec::new();

        for object in &self.found {
            match object {
                Object::File {
                    record,
                    file,
                    met: (place, of),
                    ..
                } if record.kind == kind => {
                    files.push(
                        FoundFile {
                            objref: record.objref,
                            file: file.clone(),
                            place: *place,
                            of: *of,
                        },
                        GFP_KERNEL_ACCOUNT,
                    )?;
                }
                _ => (),
            }
        }
        Ok(files)
    }

    /// The locks on all files, as an image has them.
    pub(crate) fn locks(&self) -> &[image::Lock] {
        &self.locks
    }

    /// Tells whether there may be locks on the file with number `objref`.
    pub(crate) fn can_be_locked(&self, objref: u32) -> bool {
        place(objref)
            .and_then(|place| self.found.get(place))
            .is_some_and(
                |object| matches!(object, Object::File { record, .. } if record.can_be_locked()),
            )
    }

    /// All owners of files, as an image has them.
    pub(crate) fn owners(&self) -> &[image::Owner] {
        &self.owners
    }

    /// Tells whether an end of the pipe that `file` is one of is in none of the tables.
    pub(crate) fn leads_outside(&self, file: &File) -> Result<bool> {
        let seen = Seen::look(file)?;

        Ok(self.pipes.of(&seen).files != seen.pipe_files())
    }

    /// Returns what is in the image with its contents, and is no pipe.
    pub(crate) fn kept(&self) -> Result<KVVec<Kept>> {
        let mut kept = KVVec::<Kept>::new();
        let mut places = RBTree::new();

        for object in &self.found {
            let (objref, seals) = match object {
                Object::Shm { record, .. } => (record.objref, Some(record.seals)),
                Object::Inode { record, .. } if record.is_regular() => (record.objref, None),
                Object::File {
                    record, file, met, ..
                } => {
                    let kept = places
                        .get(&record.target)
                        .and_then(|place: &usize| kept.get_mut(*place));

                    // A target is not that of each kind.
                    if let (
                        Some(kept),
                        uapi::CR_FILE_SHM | uapi::CR_FILE_REG | uapi::CR_FILE_PATH,
                    ) = (kept, record.kind)
                    {
                        kept.met = kept.met.or(Some(*met));
                        kept.files.push(file.clone(), GFP_KERNEL)?;
                    }
                    continue;
                }
                _ => continue,
            };

            places.try_create_and_insert(objref, kept.len(), GFP_KERNEL)?;
            kept.push(
                Kept {
                    seals,
                    met: None,
                    files: KVVec::new(),
                },
                GFP_KERNEL,
            )?;
        }
        Ok(kept)
    }

    /// Tells whether `file` is behind one of the descriptors 0 to 2.
    pub(crate) fn is_standard(&self, file: &File) -> bool {
        self.standard.contains(&(file.as_ptr() as usize))
    }

    /// Returns what the next number is, if there may be one more object.
    fn next(&self) -> Result<u32> {
        match u32::try_from(self.found.len()) {
            Ok(found) if found < uapi::CR_OBJECTS_MAX => Ok(found + 1),
            _ => Err(E2BIG),
        }
    }

    /// Adds an object that is known by `address`.
    fn push(&mut self, address: usize, object: Object) -> Result<u32> {
        let objref = self.next()?;

        self.found.push(object, GFP_KERNEL_ACCOUNT)?;
        self.index
            .try_create_and_insert(address, objref, GFP_KERNEL_ACCOUNT)?;
        Ok(objref)
    }
}

/// Copies bytes.
fn copy(bytes: &[u8]) -> Result<KVVec<u8>> {
    let mut copy = KVVec::with_capacity(bytes.len(), GFP_KERNEL_ACCOUNT)?;

    copy.extend_from_slice(bytes, GFP_KERNEL_ACCOUNT)?;
    Ok(copy)
}

/// Numbers an open file of the task, and refuses one that cannot be restored.
pub(crate) fn collect_file(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<u32> {
    if let Use::Exe | Use::Dir(_) = of {
        return collect_path(cx, file, of);
    }
    collect(cx, file, of)
}

/// Numbers the path of an open file, with nothing of how it is open.
pub(crate) fn collect_path(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<u32> {
    let path = state::open_again(file, flags::O_PATH)
        .map_err(|e| cx.fail(e, fmt!("{of}: it cannot be looked at: {e:?}")))?;

    collect(cx, &path, of)
}

/// Tells that no image can have a file: it is refused, or left for the restarter to hand in another.
fn unfit(
    cx: &mut Collect<'_>,
    record: &mut image::File,
    of: Use,
    what: fmt::Arguments<'_>,
) -> Result {
    match of {
        Use::Fd(_) if cx.inherit => {
            record.kind = uapi::CR_FILE_EXTERNAL;
            record.target = 0;
            Ok(())
        }
        _ => Err(cx.refuse(fmt!("{of}: {what}"))),
    }
}

/// Tells whether a file is going to be one that a restart makes, not one that it is given.
const fn is_made(kind: u32) -> bool {
    !matches!(
        kind,
        uapi::CR_FILE_TTY
            | uapi::CR_FILE_INHERIT
            | uapi::CR_FILE_IMAGE
            | uapi::CR_FILE_EXTERNAL
            | uapi::CR_FILE_PATH
    )
}

/// Finds out how to get a file again that has a path or had one: by the path, which is returned, or
/// by what is left of the file.
fn collect_place(
    cx: &mut Collect<'_>,
    file: &File,
    record: &mut image::File,
    of: Use,
) -> Result<KVVec<u8>> {
    let what = match file::find(cx, file, of)? {
        file::Place::Path(path) => match state::in_proc(file) {
            Ok(None) => return Ok(path),
            Ok(Some(at)) => match proc::place(cx, &path, &at)? {
                Ok((place, path)) if record.kind != uapi::CR_FILE_PATH => {
                    record.kind = uapi::CR_FILE_PROC;
                    record.target = match place {
                        0 => 0,
                        // At most CR_TASKS_MAX.
                        place => place as u32 + 1,
                    };
                    return Ok(path);
                }
                // Paths are opened by the first task.
                Ok((0, path)) => return Ok(path),
                Ok(_) => c"the path of a file in /proc of a process that is not the first",
                Err(what) => what,
            },
            Err(_) => c"a file in /proc of a process that is gone",
        },
        file::Place::Deleted => match record.kind {
            uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_PATH => {
                match inode::collect(cx, file, of)? {
                    Ok(objref) => {
                        record.target = objref;
                        return Ok(KVVec::new());
                    }
                    Err(what) => what,
                }
            }
            _ => c"a deleted file that is neither a regular file nor a directory",
        },
        file::Place::Unfit(what) => what,
    };

    unfit(cx, record, of, fmt!("{what}"))?;
    Ok(KVVec::new())
}

fn collect(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<u32> {
    let address = file.as_ptr() as usize;

    if let Use::Mapping(..) = of {
        cx.outside.count_mapping(file)?;
    }
    if let Some(objref) = cx.objects.index.get(&address).copied() {
        // It may have been met as what is mapped, which says nothing of descriptors.
        if let (Use::Fd(_), true) = (of, cx.outside.is_container()) {
            let seen = Seen::look(file)?;
            let mut record = image::File {
                kind: seen.kind(),
                ..Default::default()
            };

            outside::check_file(cx, file, &seen, &mut record, of)?;
        }
        return Ok(objref);
    }

    let seen = Seen::look(file)
        .map_err(|e| cx.fail(e, fmt!("{of}: its attributes cannot be read: {e:?}")))?;
    let mut record = image::File {
        kind: seen.kind(),
        flags: seen.flags(),
        dev: seen.dev(),
        ino: seen.ino(),
        size: seen.size(),
        mode: seen.mode(),
        ..Default::default()
    };
    let mut path = KVVec::new();
    let mut found = None;
    let inherited = match of {
        Use::Fd(fd) if cx.objects.is_standard(file) => Some(fd),
        _ => None,
    };

    if cx.is_image(file) {
        record.kind = uapi::CR_FILE_IMAGE;
    } else if let (true, Some(fd)) = (seen.is_stream(), inherited) {
        record.kind = uapi::CR_FILE_INHERIT;
        record.target = fd;
    } else if let Some(what) = seen.unsupported().or_else(|| owner::obstacle(file)) {
        unfit(cx, &mut record, of, fmt!("{what}"))?;
    }
    if let Use::Fd(_) = of {
        outside::check_file(cx, file, &seen, &mut record, of)?;
    }

    match record.kind {
        uapi::CR_FILE_IMAGE | uapi::CR_FILE_INHERIT | uapi::CR_FILE_EXTERNAL => (),
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_CHR | uapi::CR_FILE_PATH => {
            path = collect_place(cx, file, &mut record, of)?;
        }
        uapi::CR_FILE_FIFO => {
            path = collect_place(cx, file, &mut record, of)?;
            if record.kind == uapi::CR_FILE_FIFO {
                record.target = pipe::collect(cx, file, &seen)?;
            }
        }
        uapi::CR_FILE_PIPE => {
            let pipe = cx.objects.pipes.of(&seen);

            if pipe.files == seen.pipe_files() {
                let both = seen.flags() & flags::O_ACCMODE == flags::O_RDWR;

                if both || pipe.readers > 1 || pipe.writers > 1 {
                    return Err(cx.refuse(fmt!("{of}: a pipe that was opened again")));
                }
                record.target = pipe::collect(cx, file, &seen)?;
            } else if let (Some(fd), false) = (inherited, cx.outside.is_container()) {
                record.kind = uapi::CR_FILE_INHERIT;
                record.target = fd;
            } else if cx.inherit {
                record.kind = uapi::CR_FILE_EXTERNAL;
            } else {
                return Err(outside::other_end(cx, file, of));
            }
        }
        uapi::CR_FILE_SHM => record.target = shm::collect(cx, file, &seen)?,
        _ => {
            found = kind::Found::collect(cx, file, &seen, &mut record, of)?;
            if found.is_none() {
                let name = BStr::from_bytes(seen.name());

                unfit(cx, &mut record, of, fmt!("{name}"))?;
            }
        }
    }

    if record.kind == uapi::CR_FILE_EXTERNAL {
        if !cx.objects.has_number(file) {
            return Err(cx.refuse(fmt!(
                "{of}: handing in another file for a number that is another one's in a task before"
            )));
        }
        path = inherit::name_of(file)?;
    }
    if matches!(
        record.kind,
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_SHM | uapi::CR_FILE_PROC
    ) {
        record.pos = seen.pos();
    }
    // At most CR_PATH_LEN_MAX.
    record.path_len = path.len() as u32;
    record.objref = cx.objects.next()?;
    if is_made(record.kind) {
        record.hint = owner::hint(file);
        let root = cx.tree.members().first().ok_or(EINVAL)?;

        if let Some(owner) = owner::get(file, &root.task) {
            if owner.pid < 0 {
                return Err(cx.refuse(fmt!("{of}: an owner in another pid namespace")));
            }
            cx.objects.owners.push(
                image::Owner {
                    objref: record.objref,
                    kind: owner.kind,
                    pid: owner.pid,
                    signal: owner.signal,
                    uid: owner.uid,
                    euid: owner.euid,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
    } else {
        // Of what the restarter provides, this is not changed.
        record.flags &= !flags::O_ASYNC;
    }
    if record.kind == uapi::CR_FILE_TTY {
        if let Some(what) = state::obstacle(file) {
            return Err(cx.refuse(fmt!("{of}: {what}")));
        }
    }
    if record.kind != uapi::CR_FILE_EXTERNAL {
        lock::collect(cx, file, &record, of)?;
    }
    cx.objects.push(
        address,
        Object::File {
            record,
            path,
            state: found,
            file: file.into(),
            met: (cx.place(), of),
        },
    )
}

/// Looks once more at what must not have changed since it was met.
pub(crate) fn check(cx: &mut Collect<'_>) -> Result {
    let changed = cx.objects.found.iter().any(|object| match object {
        Object::Pipe {
            file,
            files,
            contents: true,
            ..
        } => !Seen::look(file).is_ok_and(|seen| seen.pipe_files() == *files),
        _ => false,
    });

    if changed {
        return Err(cx.fail(EBUSY, fmt!("a pipe of it was opened or closed meanwhile")));
    }
    inode::check(cx)
}

/// Announces and writes some bytes of an object.
fn save_data<T: Transport>(
    to: &mut ImageWriter<'_, T>,
    objref: u32,
    offset: u64,
    bytes: &[u8],
) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    to.record(&image::Data {
        objref,
        crc: crc32c(0, bytes),
        offset,
        len: bytes.len() as u64,
    })?;
    to.bulk_bytes(bytes)
}

/// Writes what a file has, without its holes. Moves its offset.
fn save_contents<T: Transport>(
    to: &mut ImageWriter<'_, T>,
    objref: u32,
    size: u64,
    file: &File,
    buffer: &mut [u8],
) -> Result<(), Failure> {
    let mut offset = 0;

    while offset < size {
        let Some((begin, end)) = contents::next_data(file, offset)? else {
            break;
        };
        let end = end.min(size);

        offset = begin;
        while offset < end {
            let len = usize::try_from(end - offset)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            let read = contents::read(file, chunk, offset)?;

            if read == 0 {
                return Ok(());
            }
            save_data(to, objref, offset, chunk.get(..read).unwrap_or(&[]))?;
            offset = offset.saturating_add(read as u64);
        }
    }
    Ok(())
}

/// What an image says of an object.
enum Said {
    Pipe(image::Pipe),
    Shm(image::Shm, KVVec<u8>),
    Inode(image::Inode, KVVec<u8>),
    File(image::File, KVVec<u8>, Option<kind::Said>),
}

/// What an image says of all objects.
#[derive(Default)]
pub(crate) struct Image {
    objects: KVVec<Said>,
    /// The descriptors for which a file may be handed in: each number in the first table that has it.
    fds: KVVec<image::Fd>,
    /// The numbers of those, as bits.
    numbers: KVVec<u64>,
    /// Whether the next text is the path or the name of the last object.
    named: bool,
}

/// The open files that the objects of an image have become, by their number.
#[derive(Default)]
pub(crate) struct Opened {
    /// `CR_FILE_*`, 0 if it is none or was replaced, and what has become of it.
    files: KVVec<(u32, OpenedFile)>,
    /// The files that are opened when all bulk data is there, by the number of the task that opens
    /// them.
    late: RBTree<u32, KVVec<Late>>,
}

/// A file that is opened when all bulk data is there.
struct Late {
    record: image::File,
    path: KVVec<u8>,
    state: Option<kind::Said>,
}

impl Late {
    /// Returns the number of the task that opens a file, [`None`] if it is opened before.
    fn opener(record: &image::File, state: Option<&kind::Said>) -> Option<u32> {
        match (record.kind, state) {
            (uapi::CR_FILE_PROC, _) => Some(record.target.max(1)),
            (_, Some(kind::Said::PidFd(said))) if pidfd::is_of_member(said) => Some(1),
            _ => None,
        }
    }
}

/// What has become of an object.
enum OpenedFile {
    /// It is no open file.
    None,
    /// A file of the process that is nobody else's.
    Own {
        file: ARef<File>,
        /// Whether there may be locks on it.
        can_be_locked: bool,
    },
    /// An `O_PATH` file of a deleted file, which has its contents at the end only.
    Deleted(ARef<File>),
    /// A file that the restarter provides.
    Given(ARef<File>),
    /// A file that the restarter hands in instead of what the image has.
    Replaced(ARef<File>),
    /// A file that is opened when all bulk data is there.
    Late,
}

impl Opened {
    /// Returns the file with number `objref`, [`None`] if that is no file, or none yet.
    pub(crate) fn file(&self, objref: u32) -> Option<ARef<File>> {
        match self.opened(objref)? {
            OpenedFile::Own { file, .. }
            | OpenedFile::Deleted(file)
            | OpenedFile::Given(file)
            | OpenedFile::Replaced(file) => Some(file.clone()),
            OpenedFile::None | OpenedFile::Late => None,
        }
    }

    /// Returns the file with number `objref` if it is nobody else's: what is done to it goes with
    /// it when the restart fails.
    pub(crate) fn own(&self, objref: u32) -> Option<ARef<File>> {
        match self.opened(objref)? {
            OpenedFile::Own { file, .. } => Some(file.clone()),
            _ => None,
        }
    }

    /// Returns `CR_FILE_*` of the file with number `objref`, 0 if that is no file, or was handed in.
    pub(crate) fn kind(&self, objref: u32) -> u32 {
        self.entry(objref).map_or(0, |(kind, _)| *kind)
    }

    /// Returns the file with number `objref` if it is of a kind.
    pub(crate) fn file_of_kind(&self, objref: u32, kind: u32) -> Option<ARef<File>> {
        self.file(objref).filter(|_| self.kind(objref) == kind)
    }

    /// Returns the file with number `objref` if there may be locks on it.
    pub(crate) fn lockable(&self, objref: u32) -> Option<ARef<File>> {
        match self.opened(objref)? {
            OpenedFile::Own {
                file,
                can_be_locked: true,
            } => Some(file.clone()),
            _ => None,
        }
    }

    /// Tells whether the file with number `objref` is open with `O_PATH`, and deleted.
    pub(crate) fn is_deleted(&self, objref: u32) -> bool {
        matches!(self.opened(objref), Some(OpenedFile::Deleted(_)))
    }

    /// Tells whether the file with number `objref` was handed in. What the image says of the one
    /// that it replaces is not about it.
    pub(crate) fn is_replaced(&self, objref: u32) -> bool {
        matches!(self.opened(objref), Some(OpenedFile::Replaced(_)))
    }

    /// Tells whether the file with number `objref` is opened when all bulk data is there.
    pub(crate) fn is_late(&self, objref: u32) -> bool {
        matches!(self.opened(objref), Some(OpenedFile::Late))
    }

    /// Tells whether a file is to be opened by the task with a number.
    pub(crate) fn opens_late(&self, number: u32) -> bool {
        self.late.get(&number).is_some()
    }

    /// Notes that a file is to be opened by the task with a number.
    fn open_later(&mut self, number: u32, late: Late) -> Result {
        if let Some(files) = self.late.get_mut(&number) {
            return Ok(files.push(late, GFP_KERNEL_ACCOUNT)?);
        }
        let mut files = KVVec::new();

        files.push(late, GFP_KERNEL_ACCOUNT)?;
        self.late
            .try_create_and_insert(number, files, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    fn entry(&self, objref: u32) -> Option<&(u32, OpenedFile)> {
        self.files.get(place(objref)?)
    }

    fn opened(&self, objref: u32) -> Option<&OpenedFile> {
        self.entry(objref).map(|(_, opened)| opened)
    }
}

/// Returns where the object with number `objref` is.
fn place(objref: u32) -> Option<usize> {
    usize::try_from(objref).ok()?.checked_sub(1)
}

/// An object that is ready.
enum Ready {
    Pipe {
        record: image::Pipe,
        ends: Ends,
        /// Bytes that were put into it.
        filled: u64,
    },
    Shm {
        record: image::Shm,
        file: ARef<File>,
        /// Whether an open file of the process is `file`.
        taken: bool,
    },
    Inode {
        record: image::Inode,
        file: ARef<File>,
    },
    File {
        record: image::File,
        file: ARef<File>,
        state: Option<kind::Said>,
    },
    /// A file that was handed in.
    Replaced,
    /// A file that is opened when all bulk data is there.
    Late(image::File),
}

/// All objects that are ready.
pub(crate) struct Prepared {
    objects: KVVec<Ready>,
    /// Files may have been handed in, so that a pipe has no end.
    handed_in: bool,
    /// Where contents stop on their way.
    buffer: KVVec<u8>,
}

/// A string that C can read.
fn c_string(parts: &[&[u8]]) -> Result<KVVec<u8>> {
    let mut string = KVVec::new();

    for part in parts {
        string.extend_from_slice(part, GFP_KERNEL_ACCOUNT)?;
    }
    string.push(0, GFP_KERNEL_ACCOUNT)?;
    Ok(string)
}

/// Gives a file the status flags of the image.
fn set_flags(cx: &mut Prepare<'_>, file: &File, record: &image::File, name: &BStr) -> Result {
    if (file.flags() ^ record.flags) & STATUS_FLAGS == 0 {
        return Ok(());
    }
    state::set_flags(file, record.flags & STATUS_FLAGS)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its flags cannot be set: {e:?}")))
}

/// Checks that the caller may give a file the hint of the image.
fn may_hint(cx: &mut Prepare<'_>, record: &image::File, file: &File) -> Result {
    if record.hint == 0 || owner::hint(file) == record.hint {
        return Ok(());
    }
    owner::may_set_hint(file, record.hint).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "object {}: its write hint cannot be set: {e:?}",
                record.objref
            ),
        )
    })
}

/// Makes a file of what the image says of it.
fn make_file(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
    path: &[u8],
    state: Option<&kind::Said>,
) -> Result<ARef<File>> {
    let fd = record.target;

    if let Some(state) = state {
        return state.create(cx, record);
    }
    match record.kind {
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_PATH if record.target != 0 => {
            inode::open(cx, objects, record)
        }
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_CHR | uapi::CR_FILE_PATH => {
            file::open_path(cx, record, path)
        }
        uapi::CR_FILE_FIFO => pipe::open_fifo(cx, objects, record, path),
        uapi::CR_FILE_PIPE => pipe::end(cx, objects, record),
        uapi::CR_FILE_SHM => shm::open(cx, objects, record),
        uapi::CR_FILE_INHERIT if fd <= 2 => inherit::stream(fd, record).ok_or_else(|| {
            cx.fail(
                EBADF,
                fmt!("fd {fd}: the caller has none that is open for the same"),
            )
        }),
        uapi::CR_FILE_IMAGE => Ok(cx.image.into()),
        kind => Err(cx.fail(
            EINVAL,
            fmt!("object {}: kind {kind} of file is unknown", record.objref),
        )),
    }
}

/// Opens what could not be opened before all tasks were there, as far as that is for the caller.
pub(crate) fn open_late(cx: &mut Prepare<'_>) -> Result {
    for late in cx.objects.late.remove(&cx.number).unwrap_or_default() {
        let record = &late.record;
        let file = match &late.state {
            Some(state) => state.create(cx, record)?,
            None => proc::open(cx, record, &late.path)?,
        };

        if let Some((_, opened)) =
            place(record.objref).and_then(|place| cx.objects.files.get_mut(place))
        {
            *opened = OpenedFile::Own {
                file,
                can_be_locked: false,
            };
        }
    }
    Ok(())
}

pub(crate) struct ObjectState;

impl Resource for ObjectState {
    const SCOPE: Scope = Scope::Task;

    /// What is found is in [`Objects`], where the other resources add to it.
    type Found = ();
    type Image = Image;
    type Prepared = Prepared;

    fn collect(_cx: &mut Collect<'_>) -> Result<Self::Found> {
        Ok(())
    }

    fn save<T: Transport>(
        _found: &Self::Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        for object in &cx.objects.found {
            match object {
                Object::Pipe { record, .. } => to.record(record)?,
                Object::Shm { record, name, .. } => {
                    to.record(record)?;
                    if !name.is_empty() {
                        to.text(Text::new(name).ok_or(EINVAL)?)?;
                    }
                }
                Object::Inode { record, dir, .. } => {
                    to.record(record)?;
                    to.text(Text::new(dir).ok_or(EINVAL)?)?;
                }
                Object::File {
                    record,
                    path,
                    state,
                    ..
                } => {
                    to.record(record)?;
                    if !path.is_empty() {
                        to.text(Text::new(path).ok_or(EINVAL)?)?;
                    }
                    if let Some(state) = state {
                        state.save(to)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn save_bulk<T: Transport>(
        _found: &Self::Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let mut buffer = KVVec::new();

        for object in &cx.objects.found {
            if buffer.is_empty() && !matches!(object, Object::File { .. }) {
                buffer.resize(CHUNK, 0, GFP_KERNEL_ACCOUNT)?;
            }
            match object {
                Object::Pipe {
                    record,
                    file,
                    contents: true,
                    ..
                } => pipe::save(record, file, &mut buffer, to)?,
                Object::Pipe { .. } => (),
                Object::Shm { record, file, .. } => {
                    save_contents(to, record.objref, record.size, file, &mut buffer)?;
                }
                Object::Inode {
                    record,
                    reader: Some(reader),
                    ..
                } => save_contents(to, record.objref, record.size, reader, &mut buffer)?,
                Object::Inode { .. } => (),
                Object::File {
                    record,
                    state: Some(state),
                    ..
                } => state.save_bulk(record.objref, to)?,
                Object::File { .. } => (),
            }
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        let mut named = false;

        match item {
            Item::Pipe(pipe) => image.objects.push(Said::Pipe(*pipe), GFP_KERNEL_ACCOUNT)?,
            Item::Shm(shm) => {
                named = shm.name_len > 0;
                image
                    .objects
                    .push(Said::Shm(*shm, KVVec::new()), GFP_KERNEL_ACCOUNT)?;
            }
            Item::Inode(inode) => {
                named = true;
                image
                    .objects
                    .push(Said::Inode(*inode, KVVec::new()), GFP_KERNEL_ACCOUNT)?;
            }
            Item::File(file) => {
                named = file.path_len > 0;
                image.objects.push(
                    Said::File(*file, KVVec::new(), kind::Said::new(file.kind)),
                    GFP_KERNEL_ACCOUNT,
                )?;
            }
            Item::Text(text) if image.named => {
                if let Some(Said::Shm(_, name) | Said::Inode(_, name) | Said::File(_, name, _)) =
                    image.objects.last_mut()
                {
                    *name = copy(text)?;
                }
            }
            Item::Fd(fd) => {
                if inherit::is_new(&mut image.numbers, fd.fd)? {
                    image.fds.push(*fd, GFP_KERNEL_ACCOUNT)?;
                }
            }
            // What follows the last object is not its own, which the kind of it tells.
            _ => {
                if let Some(Said::File(_, _, Some(state))) = image.objects.last_mut() {
                    state.take(item)?;
                }
            }
        }
        image.named = named;
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let mut objects = KVVec::with_capacity(image.objects.len(), GFP_KERNEL_ACCOUNT)?;
        let mut files = KVVec::with_capacity(image.objects.len(), GFP_KERNEL_ACCOUNT)?;

        let mut opened = Opened::default();
        let replacements = inherit::replacements(cx, &image.fds, image.objects.len())?;
        let mut handed_in = replacements.into_iter();

        for said in image.objects {
            let replacement = handed_in.next().flatten();

            if let Said::File(record, ..) = &said {
                if record.flags & flags::O_ASYNC != 0 {
                    cx.signal_fds
                        .push(SignalFd::new(record.objref, true), GFP_KERNEL_ACCOUNT)?;
                }
            }
            let (ready, file) = match said {
                Said::Pipe(record) => (
                    Ready::Pipe {
                        record,
                        ends: Ends::Unknown,
                        filled: 0,
                    },
                    OpenedFile::None,
                ),
                Said::Shm(record, name) => (
                    Ready::Shm {
                        record,
                        file: shm::make(cx, &record, &name)?,
                        taken: false,
                    },
                    OpenedFile::None,
                ),
                Said::Inode(record, dir) => (
                    Ready::Inode {
                        record,
                        file: inode::make(cx, &record, &dir)?,
                    },
                    OpenedFile::None,
                ),
                Said::File(record, path, state) => match (replacement, record.kind) {
                    (None, kind)
                        if kind != uapi::CR_FILE_EXTERNAL
                            && Late::opener(&record, state.as_ref()).is_some() =>
                    {
                        let opener = Late::opener(&record, state.as_ref()).unwrap_or(1);
                        let late = Late {
                            record,
                            path,
                            state,
                        };

                        opened.open_later(opener, late)?;
                        (Ready::Late(record), OpenedFile::Late)
                    }
                    (Some(file), _) => {
                        inherit::check(cx, &image.fds, &record, &file)?;
                        (Ready::Replaced, OpenedFile::Replaced(file))
                    }
                    (None, uapi::CR_FILE_EXTERNAL) => {
                        return Err(inherit::missing(cx, &image.fds, &record, &path));
                    }
                    (None, kind) => {
                        let file = make_file(cx, &mut objects, &record, &path, state.as_ref())?;
                        let opened = if is_made(kind) {
                            may_hint(cx, &record, &file)?;
                            OpenedFile::Own {
                                file: file.clone(),
                                can_be_locked: record.can_be_locked(),
                            }
                        } else if kind == uapi::CR_FILE_PATH && record.target != 0 {
                            OpenedFile::Deleted(file.clone())
                        } else {
                            OpenedFile::Given(file.clone())
                        };

                        (
                            Ready::File {
                                record,
                                file,
                                state,
                            },
                            opened,
                        )
                    }
                },
            };
            let kind = match &ready {
                Ready::File { record, .. } | Ready::Late(record) => record.kind,
                _ => 0,
            };
            objects.push(ready, GFP_KERNEL_ACCOUNT)?;
            files.push((kind, file), GFP_KERNEL_ACCOUNT)?;
        }
        opened.files = files;
        *cx.objects = opened;
        Ok(Prepared {
            objects,
            handed_in: cx.flags & uapi::RESTART_INHERIT != 0,
            buffer: KVVec::new(),
        })
    }

    fn fill<T: Transport>(
        prepared: &mut Self::Prepared,
        bulk: &mut BulkReader<'_, '_, T>,
    ) -> Result<bool, Failure> {
        let run = bulk.bulk();
        let BulkKind::Data { objref, offset } = run.kind else {
            return Ok(false);
        };
        let Some(object) = place(objref).and_then(|place| prepared.objects.get_mut(place)) else {
            return Ok(false);
        };
        if let Ready::File {
            record,
            file,
            state: Some(state),
        } = object
        {
            return state.fill(record, file, bulk);
        }
        let end = offset.checked_add(run.len).ok_or(EINVAL)?;
        let (room, begin) = match object {
            Ready::Pipe { record, filled, .. } => (u64::from(record.size), *filled),
            Ready::Shm { record, .. } => (record.size, offset),
            Ready::Inode { record, .. } if record.is_regular() => (record.size, offset),
            // A kind of file that was handed in, and did not come to see this.
            Ready::Replaced => (u64::MAX, offset),
            Ready::Inode { .. } | Ready::File { .. } | Ready::Late(_) => return Ok(false),
        };
        if offset != begin || end > room {
            return Err(bulk.unclaimed());
        }

        // A packet is put there at once; at most CR_DATA_LEN_MAX, and no more than a pipe holds.
        let step = match object {
            Ready::Pipe { .. } => usize::try_from(run.len).map_err(|_| EINVAL)?,
            _ => CHUNK,
        };
        let mut at = offset;

        while at < end {
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(step);

            if prepared.buffer.len() < len {
                prepared.buffer.resize(len, 0, GFP_KERNEL_ACCOUNT)?;
            }
            let bytes = prepared.buffer.get_mut(..len).unwrap_or_default();
            bulk.read(bytes)?;

            match object {
                Ready::Pipe {
                    record,
                    ends,
                    filled,
                } => {
                    let inlet = match ends {
                        Ends::Pipe { inlet, .. } => inlet,
                        Ends::Fifo(Some(fifo)) => fifo,
                        Ends::Fifo(None) => return Err(EACCES.into()),
                        // Both ends were handed in, and what waits there is the restarter's.
                        Ends::Unknown if prepared.handed_in => {
                            *filled = end;
                            at = at.saturating_add(len as u64);
                            continue;
                        }
                        Ends::Unknown => return Err(bulk.unclaimed()),
                    };
                    let packets = record.flags & uapi::CR_PIPE_PACKETS != 0;

                    if !pipe::fill(inlet, packets, bytes)? {
                        return Err(bulk.unclaimed());
                    }
                    *filled = end;
                }
                Ready::Shm { record, file, .. } => match shm::fill(file, bytes, at) {
                    Err(e) if e == ENOMEM && record.flags & uapi::CR_SHM_HUGETLB != 0 => {
                        return Err(Failure::NoHugePage(at));
                    }
                    result => result?,
                },
                Ready::Inode { file, .. } => inode::fill(file, bytes, at)?,
                Ready::Replaced => (),
                Ready::File { .. } | Ready::Late(_) => return Ok(false),
            }
            at = at.saturating_add(len as u64);
        }
        Ok(true)
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        open_late(cx)?;
        for object in prepared.objects.iter_mut() {
            match object {
                // What the process has not is closed, before anybody waits for what it has.
                Ready::Pipe { ends, .. } => pipe::close_rest(ends),
                Ready::Inode { record, file } => inode::finish(cx, record, file)?,
                Ready::Late(record) => {
                    let record = *record;
                    let Some(file) = cx.objects.own(record.objref) else {
                        return Err(cx.fail(
                            EINVAL,
                            fmt!("object {}: its task is not there", record.objref),
                        ));
                    };

                    *object = Ready::File {
                        record,
                        file,
                        state: None,
                    };
                }
                Ready::Shm { record, file, .. } => {
                    memory::seal(file, record.seals).map_err(|e| {
                        cx.fail(
                            e,
                            fmt!("object {}: its seals cannot be set: {e:?}", record.objref),
                        )
                    })?;
                }
                // Until here O_DIRECT said how contents are put into the pipe.
                Ready::File { record, file, .. } if record.kind == uapi::CR_FILE_PIPE => {
                    set_flags(cx, file, record, BStr::from_bytes(b"pipe:"))?;
                }
                Ready::File {
                    record,
                    file,
                    state: Some(state),
                } => state.complete(cx, record, file)?,
                _ => (),
            }
        }
        Ok(())
    }

    fn commit(prepared: Self::Prepared, _caller: &CurrentTask) {
        for object in &prepared.objects {
            let Ready::File {
                record,
                file,
                state,
            } = object
            else {
                continue;
            };

            if let Some(state) = state {
                state.commit(record, file);
            }
            if is_made(record.kind) && record.hint != 0 {
                owner::set_hint(file, record.hint);
            }
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn text_goes_to_the_object_before_it() -> Result {
        let mut image = Image::default();
        let file = image::File {
            path_len: 2,
            ..Default::default()
        };

        ObjectState::take(&mut image, &Item::File(file))?;
        ObjectState::take(&mut image, &Item::Text(b"/a"))?;
        // The name of the task is not the file's.
        ObjectState::take(&mut image, &Item::Text(b"comm"))?;
        assert!(matches!(&image.objects[..], [Said::File(_, path, None)] if path[..] == *b"/a"));
        Ok(())
    }

    #[test]
    fn uses_have_names() -> Result {
        let name = |of: Use| CString::try_from_fmt(fmt!("{of}"));

        assert_eq!(name(Use::Fd(7))?.to_bytes(), b"fd 7");
        assert_eq!(
            name(Use::Mapping(0x1000, 0x2000))?.to_bytes(),
            b"mapping 1000-2000"
        );
        Ok(())
    }

    #[test]
    fn objects_are_counted_from_1() {
        assert_eq!(place(0), None);
        assert_eq!(place(1), Some(0));
        assert!(Opened::default().file(1).is_none());
        assert!(Opened::default().lockable(1).is_none());
    }
}
