// SPDX-License-Identifier: GPL-2.0

//! What others refer to: open file descriptions, pipes, shared memory.
//!
//! Two descriptors, or a descriptor and a mapping, may have one open file, and two open files one
//! pipe or one memfd. Each of these is an object, which is in the image once. Objects are numbered
//! when they are first met: their number is 1 more than their place in [`Objects`], and a pipe or
//! shared memory comes right before the first file that refers to it.
//!
//! All that is saved of an object is noted when it is met, but for the contents of pipes and shared
//! memory: these cannot change while the task stands still, unless another process has them, too.
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
            lock,
            pipe,
            shm,
            table::Descriptor,
            tty,
            Seen, //
        },
        File, //
    },
    page::PAGE_SIZE,
    prelude::*,
    rbtree::RBTree,
    str::{
        BStr,
        CStr, //
    },
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
        Collect,
        Prepare,
        Resource,
        Saving, //
    },
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
};

/// Bytes of contents that are moved at once: a multiple of the page size, so that a pipe has room
/// for them again whatever its buffers were.
const CHUNK: usize = 256 * 1024;

/// What a memfd's name begins with, and is not part of the image.
const MEMFD: &[u8] = b"memfd:";

/// Longest name of a memfd.
const MEMFD_NAME_MAX: usize = 249;

/// The type of an inode in its mode.
const S_IFMT: u32 = 0o170_000;

/// What an open file does not need to be opened with.
const NOT_FOR_OPEN: u32 =
    flags::O_CREAT | flags::O_EXCL | flags::O_TRUNC | flags::O_ASYNC | flags::O_CLOEXEC;

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
}

impl Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(fd) => write!(f, "fd {fd}"),
            Self::Mapping(start, end) => write!(f, "mapping {start:x}-{end:x}"),
            Self::Exe => f.write_str("the program"),
            Self::Dir(name) => f.write_str(name),
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
    File {
        record: image::File,
        path: KVVec<u8>,
        tty: Option<image::Tty>,
        /// Nothing else can come to be at its address meanwhile.
        _file: ARef<File>,
    },
}

/// Who has a pipe.
#[derive(Clone, Copy, Default)]
struct PipeUse {
    /// Open files of the task.
    files: u32,
    /// Those that read, and those that write.
    readers: u32,
    writers: u32,
}

/// The objects of a checkpoint.
pub(crate) struct Objects {
    /// Numbers, by the address of the kernel's object.
    index: RBTree<usize, u32>,
    found: KVVec<Object>,
    /// What the descriptor table has of each pipe.
    pipes: RBTree<usize, PipeUse>,
    /// The files of descriptors 0 to 2.
    standard: [usize; 3],
    /// Locks that were taken by the files, in the order of their numbers.
    locks: KVVec<image::Lock>,
}

impl Objects {
    /// No objects.
    pub(crate) fn new() -> Self {
        Self {
            index: RBTree::new(),
            found: KVVec::new(),
            pipes: RBTree::new(),
            standard: [0; 3],
            locks: KVVec::new(),
        }
    }

    /// Looks at a whole descriptor table, before its files are collected: whether the other end of
    /// a pipe is outside of the task shows only there.
    pub(crate) fn survey(&mut self, table: &[Descriptor]) -> Result {
        let mut counted = RBTree::<usize, ()>::new();

        for descriptor in table {
            let file = &descriptor.file;
            let address = file.as_ptr() as usize;

            if let Some(standard) = self.standard.get_mut(descriptor.fd as usize) {
                *standard = address;
            }

            let id = pipe::id(file);
            if id == 0 || counted.get(&address).is_some() {
                continue;
            }
            counted.try_create_and_insert(address, (), GFP_KERNEL_ACCOUNT)?;
            if self.pipes.get(&id).is_none() {
                self.pipes
                    .try_create_and_insert(id, PipeUse::default(), GFP_KERNEL_ACCOUNT)?;
            }
            if let Some(pipe) = self.pipes.get_mut(&id) {
                pipe.files = pipe.files.saturating_add(1);
                pipe.readers += u32::from(state::may_access(file, flags::O_RDONLY));
                pipe.writers += u32::from(state::may_access(file, flags::O_WRONLY));
            }
        }
        Ok(())
    }

    /// The locks on all files, as an image has them.
    pub(crate) fn locks(&self) -> &[image::Lock] {
        &self.locks
    }

    /// Tells whether `file` is behind one of the descriptors 0 to 2.
    fn is_standard(&self, file: &File) -> bool {
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

/// Finds the path of a file, or says why it has none.
fn path_of(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<KVVec<u8>> {
    let mut buffer = KVVec::from_elem(0, state::PATH_MAX, GFP_KERNEL)?;

    match state::path(file, &mut buffer) {
        Ok(path) => copy(path),
        Err(e) if e == ENOENT => Err(cx.refuse(fmt!("{of}: a deleted file"))),
        Err(e) if e == EXDEV => Err(cx.refuse(fmt!("{of}: a file that is not below the root"))),
        Err(e) if e == ENAMETOOLONG => {
            Err(cx.refuse(fmt!("{of}: a path that is longer than 4095 bytes")))
        }
        Err(e) => Err(cx.fail(e, fmt!("{of}: its path cannot be read: {e:?}"))),
    }
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

fn collect(cx: &mut Collect<'_>, file: &File, of: Use) -> Result<u32> {
    let address = file.as_ptr() as usize;

    if let Some(objref) = cx.objects.index.get(&address) {
        return Ok(*objref);
    }

    let seen = Seen::look(file)
        .map_err(|e| cx.fail(e, fmt!("{of}: its attributes cannot be read: {e:?}")))?;
    let mut path = KVVec::new();
    let mut settings = None;
    let mut target = 0;
    let mut kind = seen.kind();
    let inherited = match of {
        Use::Fd(fd) if cx.objects.is_standard(file) => Some(fd),
        _ => None,
    };

    if cx.is_image(file) {
        kind = uapi::CR_FILE_IMAGE;
    } else if let (true, Some(fd)) = (seen.is_stream(), inherited) {
        kind = uapi::CR_FILE_INHERIT;
        target = fd;
    } else if let Some(what) = seen.unsupported().or_else(|| state::obstacle(file)) {
        return Err(cx.refuse(fmt!("{of}: {what}")));
    }

    match kind {
        uapi::CR_FILE_IMAGE | uapi::CR_FILE_INHERIT => (),
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_CHR | uapi::CR_FILE_PATH => {
            path = path_of(cx, file, of)?;
        }
        uapi::CR_FILE_FIFO => {
            path = path_of(cx, file, of)?;
            target = collect_pipe(cx, file, &seen)?;
        }
        uapi::CR_FILE_PIPE => {
            let pipe = cx.objects.pipes.get(&seen.object()).copied();
            let pipe = pipe.unwrap_or_default();

            if pipe.files == seen.pipe_files() {
                let both = seen.flags() & flags::O_ACCMODE == flags::O_RDWR;

                if both || pipe.readers > 1 || pipe.writers > 1 {
                    return Err(cx.refuse(fmt!("{of}: a pipe that was opened again")));
                }
                target = collect_pipe(cx, file, &seen)?;
            } else if let Some(fd) = inherited {
                kind = uapi::CR_FILE_INHERIT;
                target = fd;
            } else {
                return Err(cx.fail(
                    EOPNOTSUPP,
                    fmt!("{of}: the other end of the pipe is outside of the tree"),
                ));
            }
        }
        uapi::CR_FILE_SHM => target = collect_shm(cx, file, &seen)?,
        uapi::CR_FILE_TTY => {
            let Use::Fd(fd) = of else {
                return Err(cx.refuse(fmt!("{of}: a terminal")));
            };
            let bytes = tty::settings(file)
                .map_err(|e| cx.fail(e, fmt!("{of}: its settings cannot be read: {e:?}")))?;

            settings = Some(image::Tty::read_from_bytes(&bytes.0).map_err(|_| EINVAL)?);
            target = fd;
        }
        _ => return Err(cx.refuse(fmt!("{of}: {}", BStr::from_bytes(seen.name())))),
    }

    let has_pos = matches!(
        kind,
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_SHM
    );
    let record = image::File {
        objref: cx.objects.next()?,
        kind,
        flags: seen.flags(),
        // At most CR_PATH_LEN_MAX.
        path_len: path.len() as u32,
        pos: if has_pos { seen.pos() } else { 0 },
        dev: seen.dev(),
        ino: seen.ino(),
        size: seen.size(),
        mode: seen.mode(),
        target,
    };
    collect_locks(cx, file, &record, of)?;
    cx.objects.push(
        address,
        Object::File {
            record,
            path,
            tty: settings,
            _file: file.into(),
        },
    )
}

/// Notes the locks that were taken by a file, which is going to be `record`.
fn collect_locks(cx: &mut Collect<'_>, file: &File, record: &image::File, of: Use) -> Result {
    // At most CR_LOCKS_MAX are noted.
    let room = uapi::CR_LOCKS_MAX.saturating_sub(cx.objects.locks.len() as u32);
    let locks = match lock::find(file, cx.task, room) {
        Ok(locks) => locks,
        Err(e) if e == E2BIG => return Err(cx.refuse(fmt!("{of}: so many locks"))),
        Err(e) => return Err(e),
    };

    if !locks.is_empty() && !record.can_be_locked() {
        return Err(cx.refuse(fmt!("{of}: a lock on a file that the restarter provides")));
    }
    for lock in &locks {
        cx.objects.locks.push(
            image::Lock {
                objref: record.objref,
                kind: lock.kind,
                lock_type: lock.lock_type,
                reserved: 0,
                start: lock.start,
                end: lock.end,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    Ok(())
}

/// Numbers the pipe that `file` is an end of.
fn collect_pipe(cx: &mut Collect<'_>, file: &File, seen: &Seen) -> Result<u32> {
    if let Some(objref) = cx.objects.index.get(&seen.object()) {
        return Ok(*objref);
    }
    let known = cx.objects.pipes.get(&seen.object());
    let record = image::Pipe {
        objref: cx.objects.next()?,
        size: u32::try_from(seen.object_size())?,
        flags: if seen.pipe_packets() > 0 {
            uapi::CR_PIPE_PACKETS
        } else {
            0
        },
        reserved: 0,
    };
    let contents = known.is_some_and(|pipe| pipe.files == seen.pipe_files());

    cx.objects.push(
        seen.object(),
        Object::Pipe {
            record,
            file: file.into(),
            files: seen.pipe_files(),
            contents,
        },
    )
}

/// Numbers the shared memory that `file` has open.
fn collect_shm(cx: &mut Collect<'_>, file: &File, seen: &Seen) -> Result<u32> {
    if let Some(objref) = cx.objects.index.get(&seen.object()) {
        return Ok(*objref);
    }
    let name = if seen.shm_flags() & uapi::CR_SHM_MEMFD != 0 {
        copy(seen.name().strip_prefix(MEMFD).unwrap_or(&[]))?
    } else {
        KVVec::new()
    };
    // With an offset of its own, for a walk through the memory that the task does not see.
    let again = state::open_again(file, flags::O_RDONLY | flags::O_LARGEFILE)?;
    let record = image::Shm {
        objref: cx.objects.next()?,
        flags: seen.shm_flags(),
        size: seen.object_size(),
        seals: seen.seals(),
        // At most CR_NAME_LEN_MAX.
        name_len: name.len() as u32,
        mode: seen.mode() & 0o7777,
        reserved: 0,
    };

    cx.objects.push(
        seen.object(),
        Object::Shm {
            record,
            name,
            file: again,
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
    Ok(())
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

/// Writes what waits in a pipe: each packet by itself, or all bytes in large pieces.
fn save_pipe<T: Transport>(
    record: &image::Pipe,
    file: &File,
    buffer: &mut [u8],
    to: &mut ImageWriter<'_, T>,
) -> Result<(), Failure> {
    let packets = record.flags & uapi::CR_PIPE_PACKETS != 0;
    let mut offset = 0u64;
    let mut used = 0;
    let mut skip = 0;
    let mut slot = 0;

    loop {
        let room = buffer.get_mut(used..).unwrap_or_default();
        let full = room.is_empty();
        let copied = if full {
            0
        } else {
            match pipe::peek(file, slot, skip, room)? {
                Some(copied) => copied,
                None => break,
            }
        };

        used += copied;
        skip += copied;
        if copied == 0 && !full {
            slot += 1;
            skip = 0;
        }
        if full || (packets && copied == 0) {
            let bytes = buffer.get(..used).unwrap_or_default();

            save_data(to, record.objref, offset, bytes)?;
            offset = offset.saturating_add(used as u64);
            used = 0;
        }
    }
    save_data(
        to,
        record.objref,
        offset,
        buffer.get(..used).unwrap_or_default(),
    )
}

/// Writes what shared memory has, without its holes.
fn save_shm<T: Transport>(
    record: &image::Shm,
    file: &File,
    buffer: &mut [u8],
    to: &mut ImageWriter<'_, T>,
) -> Result<(), Failure> {
    let mut offset = 0;

    while offset < record.size {
        let Some((begin, end)) = shm::next_data(file, offset)? else {
            break;
        };
        let end = end.min(record.size);

        offset = begin;
        while offset < end {
            let len = usize::try_from(end - offset)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            let read = shm::read(file, chunk, offset)?;

            if read == 0 {
                return Ok(());
            }
            save_data(to, record.objref, offset, chunk.get(..read).unwrap_or(&[]))?;
            offset = offset.saturating_add(read as u64);
        }
    }
    Ok(())
}

/// What an image says of an object.
pub(crate) enum Said {
    Pipe(image::Pipe),
    Shm(image::Shm, KVVec<u8>),
    File(image::File, KVVec<u8>, Option<image::Tty>),
}

/// What an image says of all objects.
#[derive(Default)]
pub(crate) struct Image {
    objects: KVVec<Said>,
    /// Whether the next text is the path or the name of the last object.
    named: bool,
}

/// The open files that the objects of an image have become, by their number.
#[derive(Default)]
pub(crate) struct Opened {
    files: KVVec<Option<OpenedFile>>,
}

/// A file of the process, and whether it is nobody else's, so that there may be locks on it.
struct OpenedFile {
    file: ARef<File>,
    can_be_locked: bool,
}

impl Opened {
    /// Returns the file with number `objref`, [`None`] if that is no file.
    pub(crate) fn file(&self, objref: u32) -> Option<ARef<File>> {
        Some(self.opened(objref)?.file.clone())
    }

    /// Returns the file with number `objref` if there may be locks on it.
    pub(crate) fn lockable(&self, objref: u32) -> Option<ARef<File>> {
        let opened = self.opened(objref)?;

        opened.can_be_locked.then(|| opened.file.clone())
    }

    fn opened(&self, objref: u32) -> Option<&OpenedFile> {
        self.files.get(place(objref)?)?.as_ref()
    }
}

/// Returns where the object with number `objref` is.
fn place(objref: u32) -> Option<usize> {
    usize::try_from(objref).ok()?.checked_sub(1)
}

/// How far a pipe has come back.
enum Ends {
    /// No file has referred to it yet.
    Unknown,
    /// Both ends, until a file takes them.
    Pipe {
        read: Option<ARef<File>>,
        write: Option<ARef<File>>,
        /// The end for writing, to put contents in.
        inlet: ARef<File>,
    },
    /// A FIFO, with both ends in one, so that no opening waits and no contents are lost; [`None`]
    /// if the caller may only read or only write it.
    Fifo(Option<ARef<File>>),
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
    File {
        record: image::File,
        file: ARef<File>,
        tty: Option<image::Tty>,
    },
}

/// All objects that are ready.
pub(crate) struct Prepared {
    objects: KVVec<Ready>,
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
fn open_path(cx: &mut Prepare<'_>, record: &image::File, path: &[u8]) -> Result<ARef<File>> {
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
    let relaxed = cx.flags & uapi::RESTART_RELAXED_FILES != 0;

    if seen.kind() != record.kind
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

/// Gives a file the status flags of the image.
fn set_flags(cx: &mut Prepare<'_>, file: &File, record: &image::File, name: &BStr) -> Result {
    if (file.flags() ^ record.flags) & STATUS_FLAGS == 0 {
        return Ok(());
    }
    state::set_flags(file, record.flags & STATUS_FLAGS)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its flags cannot be set: {e:?}")))
}

/// Opens a FIFO so that none of its later openings waits.
fn hold_fifo(
    cx: &mut Prepare<'_>,
    pipe: &image::Pipe,
    record: &image::File,
    path: &[u8],
) -> Result<Option<ARef<File>>> {
    let name = BStr::from_bytes(path);
    let string = c_string(&[path])?;
    let c_name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;
    let file = match state::open(c_name, flags::O_RDWR | flags::O_NONBLOCK | flags::O_NOCTTY) {
        Ok(file) => file,
        // The open that comes next may do with less.
        Err(_) => return Ok(None),
    };

    if Seen::look(&file)?.kind() != record.kind {
        return Err(cx.fail(
            ESTALE,
            fmt!("file \"{name}\": it is another file than at the checkpoint"),
        ));
    }
    pipe::resize(&file, pipe.size)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its size cannot be set: {e:?}")))?;
    if pipe.flags & uapi::CR_PIPE_PACKETS != 0 {
        state::set_flags(&file, flags::O_NONBLOCK | flags::O_DIRECT)?;
    }
    Ok(Some(file))
}

/// Takes a descriptor of the caller that may do what `record` could.
fn inherit(fd: u32, record: &image::File) -> Option<ARef<File>> {
    state::from_fd(fd)
        .ok()
        .filter(|file| state::may_access(file, record.flags))
}

/// Takes a standard stream of the caller. What was a socket may become a pipe, which goes one way.
fn inherit_stream(fd: u32, record: &image::File) -> Option<ARef<File>> {
    if record.flags & flags::O_ACCMODE == flags::O_RDWR {
        return state::from_fd(fd).ok();
    }
    inherit(fd, record)
}

/// Finds a terminal for what was one: the caller's of the same number, or else the first of its
/// standard streams that is one.
fn inherit_tty(fd: u32, record: &image::File) -> Option<ARef<File>> {
    [fd, 0, 1, 2].into_iter().find_map(|fd| {
        inherit(fd, record)
            .filter(|file| Seen::look(file).is_ok_and(|seen| seen.kind() == uapi::CR_FILE_TTY))
    })
}

/// Makes the pipe, and hands out the end that `record` has.
fn pipe_end(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
) -> Result<ARef<File>> {
    let objref = record.target;
    let Some(Ready::Pipe {
        record: pipe, ends, ..
    }) = place(objref).and_then(|place| objects.get_mut(place))
    else {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: it refers to no pipe", record.objref),
        ));
    };

    if matches!(ends, Ends::Unknown) {
        let packets = pipe.flags & uapi::CR_PIPE_PACKETS != 0;
        let (read, write) = pipe::create(if packets { flags::O_DIRECT } else { 0 })?;

        pipe::resize(&write, pipe.size).map_err(|e| {
            cx.fail(
                e,
                fmt!(
                    "object {objref}: a pipe cannot have {} bytes: {e:?}",
                    pipe.size
                ),
            )
        })?;
        *ends = Ends::Pipe {
            read: Some(read),
            inlet: write.clone(),
            write: Some(write),
        };
    }

    let end = match (ends, record.flags & flags::O_ACCMODE) {
        (Ends::Pipe { read, .. }, flags::O_RDONLY) => read.take(),
        (Ends::Pipe { write, .. }, flags::O_WRONLY) => write.take(),
        _ => None,
    };
    end.ok_or_else(|| {
        cx.fail(
            EINVAL,
            fmt!("object {}: its end of the pipe is taken", record.objref),
        )
    })
}

/// Opens shared memory once more, or for the first time.
fn shm_file(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
) -> Result<ARef<File>> {
    let Some(Ready::Shm { file, taken, .. }) =
        place(record.target).and_then(|place| objects.get_mut(place))
    else {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: it refers to no shared memory", record.objref),
        ));
    };
    let file = if !*taken && record.flags & flags::O_ACCMODE == flags::O_RDWR {
        *taken = true;
        file.clone()
    } else {
        state::open_again(
            file,
            record.flags & (flags::O_ACCMODE | flags::O_LARGEFILE | flags::O_NOFOLLOW),
        )?
    };

    set_flags(cx, &file, record, BStr::from_bytes(MEMFD))?;
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

/// Makes shared memory.
fn make_shm(cx: &mut Prepare<'_>, record: &image::Shm, name: &[u8]) -> Result<ARef<File>> {
    let is_memfd = record.flags & uapi::CR_SHM_MEMFD != 0;

    if is_memfd && name.len() > MEMFD_NAME_MAX {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: its name is too long", record.objref),
        ));
    }
    let string = if is_memfd {
        c_string(&[MEMFD, name])?
    } else {
        c_string(&[b"dev/zero"])?
    };
    let c_name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;

    shm::create(c_name, record.size, record.flags, record.seals, record.mode).map_err(|e| {
        cx.fail(
            e,
            fmt!(
                "shared memory \"{}\" of {} bytes: it cannot be made: {e:?}",
                BStr::from_bytes(name),
                record.size
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
) -> Result<ARef<File>> {
    let fd = record.target;

    match record.kind {
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_CHR | uapi::CR_FILE_PATH => {
            open_path(cx, record, path)
        }
        uapi::CR_FILE_FIFO => {
            let Some(Ready::Pipe {
                record: pipe, ends, ..
            }) = place(record.target).and_then(|place| objects.get_mut(place))
            else {
                return Err(cx.fail(
                    EINVAL,
                    fmt!("object {}: it refers to no pipe", record.objref),
                ));
            };

            match ends {
                Ends::Unknown => *ends = Ends::Fifo(hold_fifo(cx, pipe, record, path)?),
                Ends::Fifo(_) => (),
                Ends::Pipe { .. } => {
                    return Err(cx.fail(
                        EINVAL,
                        fmt!("object {}: its pipe is no FIFO", record.objref),
                    ));
                }
            }
            open_path(cx, record, path)
        }
        uapi::CR_FILE_PIPE => pipe_end(cx, objects, record),
        uapi::CR_FILE_SHM => shm_file(cx, objects, record),
        uapi::CR_FILE_TTY => inherit_tty(fd, record).ok_or_else(|| {
            cx.fail(
                ENOTTY,
                fmt!("fd {fd} was a terminal, and the caller has none on it or on 0, 1 and 2"),
            )
        }),
        uapi::CR_FILE_INHERIT if fd <= 2 => inherit_stream(fd, record).ok_or_else(|| {
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

/// Puts bytes into a pipe. Returns whether there was room for them.
fn fill_pipe(inlet: &File, packets: bool, mut bytes: &[u8]) -> Result<bool> {
    if packets {
        if bytes.len() > PAGE_SIZE {
            return Ok(false);
        }
        return match pipe::put(inlet, bytes) {
            Ok(put) => Ok(put == bytes.len()),
            Err(e) if e == EAGAIN => Ok(false),
            Err(e) => Err(e),
        };
    }
    while !bytes.is_empty() {
        match pipe::put(inlet, bytes) {
            Ok(0) => return Ok(false),
            Ok(put) => bytes = bytes.get(put..).unwrap_or_default(),
            Err(e) if e == EAGAIN => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// Puts bytes into shared memory.
fn fill_shm(file: &File, mut bytes: &[u8], mut offset: u64) -> Result {
    while !bytes.is_empty() {
        let written = shm::write(file, bytes, offset)?;

        if written == 0 {
            return Err(EIO);
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.saturating_add(written as u64);
    }
    Ok(())
}

pub(crate) struct ObjectState;

impl Resource for ObjectState {
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
                Object::File {
                    record, path, tty, ..
                } => {
                    to.record(record)?;
                    if !path.is_empty() {
                        to.text(Text::new(path).ok_or(EINVAL)?)?;
                    }
                    if let Some(tty) = tty {
                        to.record(tty)?;
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
                } => save_pipe(record, file, &mut buffer, to)?,
                Object::Shm { record, file, .. } => save_shm(record, file, &mut buffer, to)?,
                _ => (),
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
            Item::File(file) => {
                named = file.path_len > 0;
                image
                    .objects
                    .push(Said::File(*file, KVVec::new(), None), GFP_KERNEL_ACCOUNT)?;
            }
            Item::Text(text) if image.named => {
                if let Some(Said::Shm(_, name) | Said::File(_, name, _)) = image.objects.last_mut()
                {
                    *name = copy(text)?;
                }
            }
            Item::Tty(settings) => {
                if let Some(Said::File(_, _, tty)) = image.objects.last_mut() {
                    *tty = Some(*settings);
                }
            }
            _ => (),
        }
        image.named = named;
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let mut objects = KVVec::with_capacity(image.objects.len(), GFP_KERNEL_ACCOUNT)?;
        let mut files = KVVec::with_capacity(image.objects.len(), GFP_KERNEL_ACCOUNT)?;

        for said in &image.objects {
            let (ready, file) = match said {
                Said::Pipe(record) => (
                    Ready::Pipe {
                        record: *record,
                        ends: Ends::Unknown,
                        filled: 0,
                    },
                    None,
                ),
                Said::Shm(record, name) => (
                    Ready::Shm {
                        record: *record,
                        file: make_shm(cx, record, name)?,
                        taken: false,
                    },
                    None,
                ),
                Said::File(record, path, tty) => {
                    let file = make_file(cx, &mut objects, record, path)?;

                    (
                        Ready::File {
                            record: *record,
                            file: file.clone(),
                            tty: *tty,
                        },
                        Some(OpenedFile {
                            file,
                            can_be_locked: record.can_be_locked(),
                        }),
                    )
                }
            };
            objects.push(ready, GFP_KERNEL_ACCOUNT)?;
            files.push(file, GFP_KERNEL_ACCOUNT)?;
        }
        cx.objects = Opened { files };
        Ok(Prepared {
            objects,
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
        let end = offset.checked_add(run.len).ok_or(EINVAL)?;
        let (room, begin) = match object {
            Ready::Pipe { record, filled, .. } => (u64::from(record.size), *filled),
            Ready::Shm { record, .. } => (record.size, offset),
            Ready::File { .. } => return Ok(false),
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
                        Ends::Unknown => return Err(bulk.unclaimed()),
                    };
                    let packets = record.flags & uapi::CR_PIPE_PACKETS != 0;

                    if !fill_pipe(inlet, packets, bytes)? {
                        return Err(bulk.unclaimed());
                    }
                    *filled = end;
                }
                Ready::Shm { file, .. } => fill_shm(file, bytes, at)?,
                Ready::File { .. } => return Ok(false),
            }
            at = at.saturating_add(len as u64);
        }
        Ok(true)
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        for object in &prepared.objects {
            match object {
                Ready::Shm { record, file, .. } => {
                    shm::seal(file, record.seals).map_err(|e| {
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
                tty: Some(settings),
            } = object
            else {
                continue;
            };
            let mut bytes = tty::Settings([0; tty::LEN]);

            for (to, from) in bytes.0.iter_mut().zip(settings.as_bytes()) {
                *to = *from;
            }
            tty::set(file, &bytes);
            if (file.flags() ^ record.flags) & STATUS_FLAGS != 0 {
                // The terminal is the caller's, and stays as it is if it does not take them.
                let _ = state::set_flags(file, record.flags & STATUS_FLAGS);
            }
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object)]
mod tests {
    use super::*;
    use kernel::str::CString;

    /// What waits in a pipe, buffer by buffer.
    fn waiting(file: &File) -> Result<KVVec<KVVec<u8>>> {
        let mut slots = KVVec::new();
        let mut slot = 0;
        let mut buffer = KVVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;

        while let Some(len) = pipe::peek(file, slot, 0, &mut buffer)? {
            slots.push(copy(&buffer[..len])?, GFP_KERNEL)?;
            slot += 1;
        }
        Ok(slots)
    }

    #[test]
    fn bytes_come_together_in_a_pipe() -> Result {
        let (read, write) = pipe::create(0)?;

        assert!(fill_pipe(&write, false, b"abc")?);
        assert!(fill_pipe(&write, false, b"def")?);
        let slots = waiting(&read)?;
        assert_eq!(slots.len(), 1);
        assert_eq!(&slots[0][..], b"abcdef");
        // Looking takes nothing away.
        assert_eq!(waiting(&read)?.len(), 1);
        Ok(())
    }

    #[test]
    fn packets_stay_apart() -> Result {
        let (read, write) = pipe::create(flags::O_DIRECT)?;

        assert!(fill_pipe(&write, true, b"abc")?);
        assert!(fill_pipe(&write, true, b"d")?);
        let slots = waiting(&read)?;
        assert_eq!(slots.len(), 2);
        assert_eq!(&slots[0][..], b"abc");
        assert_eq!(&slots[1][..], b"d");
        assert_eq!(Seen::look(&read)?.pipe_packets(), 2);
        Ok(())
    }

    #[test]
    fn full_pipe_takes_no_more() -> Result {
        let (_read, write) = pipe::create(0)?;
        let page = KVVec::from_elem(1, PAGE_SIZE, GFP_KERNEL)?;

        pipe::resize(&write, PAGE_SIZE as u32)?;
        assert!(fill_pipe(&write, false, &page)?);
        assert!(!fill_pipe(&write, false, b"x")?);
        Ok(())
    }

    #[test]
    fn pipe_is_seen_as_one() -> Result {
        let (read, write) = pipe::create(0)?;
        let seen = Seen::look(&read)?;

        assert_eq!(seen.kind(), uapi::CR_FILE_PIPE);
        assert_eq!(seen.pipe_files(), 2);
        assert_eq!(seen.object(), pipe::id(&write));
        assert!(state::may_access(&read, flags::O_RDONLY));
        assert!(!state::may_access(&read, flags::O_RDWR));
        Ok(())
    }

    #[test]
    fn shared_memory_keeps_its_holes() -> Result {
        let file = shm::create(c"dev/zero", 16 * PAGE_SIZE as u64, 0, 0, 0)?;
        let again = state::open_again(&file, flags::O_RDONLY)?;
        let begin = 5 * PAGE_SIZE as u64;
        let mut back = [0; 8];

        assert!(shm::next_data(&again, 0)?.is_none());
        fill_shm(&file, b"contents", begin)?;
        assert!(shm::next_data(&again, 0)?.is_some_and(|(b, e)| b == begin && e > b));
        assert_eq!(shm::read(&file, &mut back, begin)?, 8);
        assert_eq!(&back, b"contents");
        assert_eq!(Seen::look(&file)?.kind(), uapi::CR_FILE_SHM);
        Ok(())
    }

    #[test]
    fn memory_is_not_written_behind_its_end() -> Result {
        let file = shm::create(c"dev/zero", PAGE_SIZE as u64, 0, 0, 0)?;

        assert!(fill_shm(&file, b"x", PAGE_SIZE as u64).is_err());
        Ok(())
    }

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
