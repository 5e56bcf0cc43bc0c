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

mod file;
mod inherit;
mod kind;
mod lock;
mod pipe;
mod shm;
mod tty;

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
        /// What its kind has noted, if it is one of the list in [`kind`].
        state: Option<kind::Found>,
        /// Nothing else can come to be at its address meanwhile.
        _file: ARef<File>,
    },
}

/// The objects of a checkpoint.
pub(crate) struct Objects {
    /// Numbers, by the address of the kernel's object.
    index: RBTree<usize, u32>,
    found: KVVec<Object>,
    pipes: Pipes,
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
            pipes: Pipes::new(),
            standard: [0; 3],
            locks: KVVec::new(),
        }
    }

    /// Looks at a whole descriptor table, before its files are collected: whether the other end of
    /// a pipe is outside of the task shows only there.
    pub(crate) fn survey(&mut self, table: &[Descriptor]) -> Result {
        for descriptor in table {
            if let Some(standard) = self.standard.get_mut(descriptor.fd as usize) {
                *standard = descriptor.file.as_ptr() as usize;
            }
        }
        self.pipes.survey(table)
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
    } else if let Some(what) = seen.unsupported().or_else(|| state::obstacle(file)) {
        return Err(cx.refuse(fmt!("{of}: {what}")));
    }

    match record.kind {
        uapi::CR_FILE_IMAGE | uapi::CR_FILE_INHERIT => (),
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_CHR | uapi::CR_FILE_PATH => {
            path = file::path_of(cx, file, of)?;
        }
        uapi::CR_FILE_FIFO => {
            path = file::path_of(cx, file, of)?;
            record.target = pipe::collect(cx, file, &seen)?;
        }
        uapi::CR_FILE_PIPE => {
            let pipe = cx.objects.pipes.of(&seen);

            if pipe.files == seen.pipe_files() {
                let both = seen.flags() & flags::O_ACCMODE == flags::O_RDWR;

                if both || pipe.readers > 1 || pipe.writers > 1 {
                    return Err(cx.refuse(fmt!("{of}: a pipe that was opened again")));
                }
                record.target = pipe::collect(cx, file, &seen)?;
            } else if let Some(fd) = inherited {
                record.kind = uapi::CR_FILE_INHERIT;
                record.target = fd;
            } else {
                return Err(cx.fail(
                    EOPNOTSUPP,
                    fmt!("{of}: the other end of the pipe is outside of the tree"),
                ));
            }
        }
        uapi::CR_FILE_SHM => record.target = shm::collect(cx, file, &seen)?,
        _ => {
            found = kind::Found::collect(cx, file, &seen, &mut record, of)?;
            if found.is_none() {
                return Err(cx.refuse(fmt!("{of}: {}", BStr::from_bytes(seen.name()))));
            }
        }
    }

    if matches!(
        record.kind,
        uapi::CR_FILE_REG | uapi::CR_FILE_DIR | uapi::CR_FILE_SHM
    ) {
        record.pos = seen.pos();
    }
    // At most CR_PATH_LEN_MAX.
    record.path_len = path.len() as u32;
    record.objref = cx.objects.next()?;
    lock::collect(cx, file, &record, of)?;
    cx.objects.push(
        address,
        Object::File {
            record,
            path,
            state: found,
            _file: file.into(),
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

/// What an image says of an object.
enum Said {
    Pipe(image::Pipe),
    Shm(image::Shm, KVVec<u8>),
    File(image::File, KVVec<u8>, Option<kind::Said>),
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
        state: Option<kind::Said>,
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

/// Gives a file the status flags of the image.
fn set_flags(cx: &mut Prepare<'_>, file: &File, record: &image::File, name: &BStr) -> Result {
    if (file.flags() ^ record.flags) & STATUS_FLAGS == 0 {
        return Ok(());
    }
    state::set_flags(file, record.flags & STATUS_FLAGS)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its flags cannot be set: {e:?}")))
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
                Object::Shm { record, file, .. } => shm::save(record, file, &mut buffer, to)?,
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
            Item::File(file) => {
                named = file.path_len > 0;
                image.objects.push(
                    Said::File(*file, KVVec::new(), kind::Said::new(file.kind)),
                    GFP_KERNEL_ACCOUNT,
                )?;
            }
            Item::Text(text) if image.named => {
                if let Some(Said::Shm(_, name) | Said::File(_, name, _)) = image.objects.last_mut()
                {
                    *name = copy(text)?;
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

        for said in image.objects {
            let (ready, file) = match said {
                Said::Pipe(record) => (
                    Ready::Pipe {
                        record,
                        ends: Ends::Unknown,
                        filled: 0,
                    },
                    None,
                ),
                Said::Shm(record, name) => (
                    Ready::Shm {
                        record,
                        file: shm::make(cx, &record, &name)?,
                        taken: false,
                    },
                    None,
                ),
                Said::File(record, path, state) => {
                    let file = make_file(cx, &mut objects, &record, &path, state.as_ref())?;

                    (
                        Ready::File {
                            record,
                            file: file.clone(),
                            state,
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

                    if !pipe::fill(inlet, packets, bytes)? {
                        return Err(bulk.unclaimed());
                    }
                    *filled = end;
                }
                Ready::Shm { file, .. } => shm::fill(file, bytes, at)?,
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
            if let Ready::File {
                record,
                file,
                state: Some(state),
            } = object
            {
                state.commit(record, file);
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
