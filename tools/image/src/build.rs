// SPDX-License-Identifier: GPL-2.0

//! Making images, for tests.

use std::{
    convert::Infallible,
    mem::offset_of, //
};

use zerocopy::IntoBytes;

use crate::{
    crc32c,
    image::{
        bulk_padding,
        BulkKind,
        Checker,
        Cpu,
        Creds,
        Data,
        Encoder,
        Expect,
        Extent,
        Fd,
        File,
        Files,
        Fs,
        Head,
        Header,
        Item,
        Kernel,
        Kind,
        Lock,
        Mm,
        MmContext,
        Pages,
        Payload,
        Pipe,
        Record,
        Refusal,
        Shm,
        SigAction,
        SigInfo,
        Signals,
        Tail,
        Task,
        TaskStats,
        Text,
        Thread,
        Tty,
        Vma, //
    },
    uapi,
    Reader, //
};

/// The kernel that a new [`ImageBuilder`] says its image is from.
pub const SAMPLE_KERNEL: Kernel<'static> = Kernel {
    version: (7, 3, 4),
    release: b"7.3.4",
    text: b"#1 SMP PREEMPT_DYNAMIC",
    machine: b"x86_64",
    page_size: 4096,
};

/// Makes images as checkpoint(2) does.
///
/// Every field can be set to something that is not valid; the records that are there are written
/// with the lengths that they have, and the checksum is that of what is there. To get them wrong,
/// change the bytes.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    /// First record.
    pub head: Head,
    /// Files, pipes and shared memory.
    pub objects: Vec<Object>,
    /// The task. Its `task_comm_len` is set by [`Self::comm`].
    pub task: Task,
    /// Payload of the STRING, not necessarily `task_comm_len` bytes.
    pub comm: Vec<u8>,
    /// What it has used up.
    pub stats: TaskStats,
    /// All that a process has besides.
    pub process: Option<Box<Process>>,
    /// Pages and contents of objects.
    pub bulk: Vec<BulkData>,
}

/// An object, and what follows it.
#[derive(Clone, Debug)]
pub enum Object {
    /// A pipe.
    Pipe(Pipe),
    /// Shared memory and its name.
    Shm(Shm, Vec<u8>),
    /// A file, its path, and the settings of the terminal that it is.
    File(File, Vec<u8>, Option<Tty>),
}

/// A mapping and its name.
pub type Mapping = (Vma, Vec<u8>);

/// The records of a process, in their order.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// CREDS
    pub creds: Creds,
    /// GROUPS, if there are any.
    pub groups: Vec<u32>,
    /// THREAD
    pub thread: Thread,
    /// CPU
    pub cpu: Cpu,
    /// XSTATE
    pub xstate: Vec<u8>,
    /// SIGNALS
    pub signals: Signals,
    /// SIGACTION
    pub actions: Vec<SigAction>,
    /// SIGINFO
    pub pending: Vec<SigInfo>,
    /// FS
    pub fs: Fs,
    /// FILES
    pub files: Files,
    /// FD
    pub fds: Vec<Fd>,
    /// LOCK
    pub locks: Vec<Lock>,
    /// MM
    pub mm: Mm,
    /// MM_CONTEXT
    pub mm_context: MmContext,
    /// AUXV
    pub auxv: Vec<u64>,
    /// VMA
    pub vmas: Vec<Mapping>,
}

/// Bulk data. The record that announces it is made of it.
#[derive(Clone, Debug)]
pub enum BulkData {
    /// Where pages belong, and all of their bytes.
    Pages(Vec<Extent>, Vec<u8>),
    /// Contents of an object: its number, where in it, and the bytes.
    Data(u32, u64, Vec<u8>),
}

/// Hands records to where an image is gathered.
struct Writer {
    encoder: Encoder,
    image: Vec<u8>,
}

impl Writer {
    fn put(&mut self, put: impl FnOnce(&mut Encoder, &mut Sink<'_>) -> Result<(), Infallible>) {
        let image = &mut self.image;
        let mut sink = |bytes: &[u8]| {
            image.extend_from_slice(bytes);
            Ok(())
        };
        let Ok(()) = put(&mut self.encoder, &mut sink);
    }

    /// Writes the last record, and returns the image.
    fn finish(self) -> Vec<u8> {
        let Writer { encoder, mut image } = self;
        let Ok(_) = encoder.tail(|bytes| -> Result<(), Infallible> {
            image.extend_from_slice(bytes);
            Ok(())
        });
        image
    }

    fn record<R: Record>(&mut self, record: &R) {
        self.put(|encoder, sink| encoder.record(0, record, sink));
    }

    /// What is longer than `CR_LEN_MAX` is cut to that: no record can hold more.
    fn text(&mut self, text: &[u8]) {
        let text = text.get(..uapi::CR_LEN_MAX as usize).unwrap_or(text);
        if let Some(text) = Text::new(text) {
            self.put(|encoder, sink| encoder.text(0, text, sink));
        }
    }

    fn text_unless_empty(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.text(text);
        }
    }

    fn bytes(&mut self, kind: Kind, bytes: &[u8]) {
        let bytes = bytes.get(..uapi::CR_LEN_MAX as usize).unwrap_or(bytes);
        if let Some(payload) = Payload::new(kind, bytes) {
            self.put(|encoder, sink| encoder.bytes(0, payload, sink));
        }
    }

    fn object(&mut self, object: &Object) {
        match object {
            Object::Pipe(pipe) => self.record(pipe),
            Object::Shm(shm, name) => {
                self.record(shm);
                self.text_unless_empty(name);
            }
            Object::File(file, path, tty) => {
                self.record(file);
                self.text_unless_empty(path);
                if let Some(tty) = tty {
                    self.record(tty);
                }
            }
        }
    }

    fn process(&mut self, process: &Process) {
        self.record(&process.creds);
        if !process.groups.is_empty() {
            self.bytes(Kind::Groups, process.groups.as_bytes());
        }
        self.record(&process.thread);
        self.record(&process.cpu);
        self.bytes(Kind::XState, &process.xstate);
        self.record(&process.signals);
        process
            .actions
            .iter()
            .for_each(|action| self.record(action));
        process.pending.iter().for_each(|info| self.record(info));
        self.record(&process.fs);
        self.record(&process.files);
        process.fds.iter().for_each(|fd| self.record(fd));
        process.locks.iter().for_each(|lock| self.record(lock));
        self.record(&process.mm);
        self.record(&process.mm_context);
        self.bytes(Kind::Auxv, process.auxv.as_bytes());
        for (vma, name) in &process.vmas {
            self.record(vma);
            self.text_unless_empty(name);
        }
    }

    fn bulk(&mut self, bulk: &BulkData, page_size: u32) {
        let bytes = match bulk {
            BulkData::Pages(extents, bytes) => {
                self.record(&Pages {
                    nr_extents: extents.len() as u32,
                    nr_pages: (bytes.len() as u64 / u64::from(page_size.max(1))) as u32,
                    crc: crc32c(0, bytes),
                    reserved: 0,
                });
                self.bytes(Kind::Extents, extents.as_bytes());
                bytes
            }
            BulkData::Data(objref, offset, bytes) => {
                self.record(&Data {
                    objref: *objref,
                    crc: crc32c(0, bytes),
                    offset: *offset,
                    len: bytes.len() as u64,
                });
                bytes
            }
        };
        self.put(|encoder, sink| encoder.pad(page_size, sink));
        self.image.extend_from_slice(bytes);
        let len = bytes.len() as u64;
        self.image.extend_from_slice(bulk_padding(len));
        self.encoder.skip(len);
    }
}

type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Infallible> + 'a;

impl ImageBuilder {
    /// Begins with the valid image of a task named "sample", from [`SAMPLE_KERNEL`].
    pub fn new() -> Self {
        Self::of(&SAMPLE_KERNEL)
    }

    /// Begins with the valid image of a task named "sample", from `kernel`.
    pub fn of(kernel: &Kernel<'_>) -> Self {
        let flags = 0;
        Self {
            head: Head::new(kernel, 1_790_000_000, flags, 1, 412),
            objects: Vec::new(),
            task: Task {
                exit_signal: 17,
                pid: 412,
                pgid: 412,
                sid: 400,
                ..Task::default()
            },
            comm: Vec::new(),
            stats: TaskStats {
                utime: 4_000_000,
                stime: 1_000_000,
                utimescaled: 4_000_000,
                stimescaled: 1_000_000,
                nvcsw: 3,
                nivcsw: 1,
                start_time: 12_345_678_901,
                start_boottime: 12_345_678_901,
                min_flt: 97,
                ..TaskStats::default()
            },
            process: None,
            bulk: Vec::new(),
        }
        .comm(b"sample\0\0\0\0\0\0\0\0\0\0")
    }

    /// Begins with the valid image of a process that has something of everything, from
    /// [`SAMPLE_KERNEL`].
    pub fn process() -> Self {
        let mut builder = Self::new();
        builder.objects = sample_objects();
        builder.process = Some(Box::new(sample_process()));
        builder.bulk = sample_bulk();
        builder.counted()
    }

    /// Sets the comm, and the length of it that the task announces.
    pub fn comm(mut self, comm: &[u8]) -> Self {
        self.comm = comm.to_vec();
        self.task.task_comm_len = i32::try_from(comm.len()).unwrap_or(i32::MAX);
        self
    }

    /// Sets the numbers of objects, and all counts and lengths, to what there is.
    pub fn counted(mut self) -> Self {
        for (object, number) in self.objects.iter_mut().zip(1..) {
            match object {
                Object::Pipe(pipe) => pipe.objref = number,
                Object::Shm(shm, name) => {
                    shm.objref = number;
                    shm.name_len = name.len() as u32;
                }
                Object::File(file, path, _) => {
                    file.objref = number;
                    file.path_len = path.len() as u32;
                }
            }
        }
        if let Some(process) = &mut self.process {
            process.creds.ngroups = process.groups.len() as u32;
            process.thread.xstate_len = process.xstate.len() as u32;
            process.signals.nr_actions = process.actions.len() as u32;
            process.signals.nr_pending = process.pending.len() as u32;
            process.files.count = process.fds.len() as u32;
            process.files.nr_locks = process.locks.len() as u32;
            process.mm.auxv_len = size_of_val(&*process.auxv) as u32;
            process.mm.nr_vmas = process.vmas.len() as u32;
            for (vma, name) in &mut process.vmas {
                vma.name_len = name.len() as u32;
            }
        }
        self
    }

    /// Returns the image.
    pub fn build(&self) -> Vec<u8> {
        let mut writer = Writer {
            encoder: Encoder::new(),
            image: Vec::new(),
        };
        writer.record(&self.head);
        for object in &self.objects {
            writer.object(object);
        }
        writer.record(&self.task);
        writer.text(&self.comm);
        writer.record(&self.stats);
        if let Some(process) = &self.process {
            writer.process(process);
        }
        for bulk in &self.bulk {
            writer.bulk(bulk, self.head.page_size);
        }
        writer.finish()
    }
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// An open file of this kind.
fn file(kind: u32, mode: u32, path: &[u8]) -> (File, Vec<u8>) {
    let file = File {
        kind,
        mode,
        dev: 8 << 32 | 1,
        ino: 131_072,
        ..File::default()
    };
    (file, path.to_vec())
}

/// 1: pipe, 2: shared memory, 3: cwd, 4: exe, 5: program, 6: terminal, 7: end of the pipe, 8: memfd.
fn sample_objects() -> Vec<Object> {
    let plain = |(file, path)| Object::File(file, path, None);
    let pipe = Pipe {
        size: 65536,
        ..Pipe::default()
    };
    let shm = Shm {
        flags: uapi::CR_SHM_MEMFD,
        size: 8192,
        mode: 0o600,
        ..Shm::default()
    };
    let (mut program, program_path) = file(uapi::CR_FILE_REG, 0o100_755, b"/usr/bin/sample");
    program.size = 14_720;
    let (mut cwd, cwd_path) = file(uapi::CR_FILE_PATH, 0o040_755, b"/srv/spool");
    cwd.flags = 0o10_200_000;
    let (mut exe, exe_path) = file(uapi::CR_FILE_PATH, 0o100_755, b"/usr/bin/sample");
    exe.flags = 0o10_000_000;
    let (mut tty, tty_path) = file(uapi::CR_FILE_TTY, 0o020_620, b"/dev/pts/0");
    tty.flags = 2;
    let settings = Tty {
        iflag: 0x4500,
        oflag: 0x5,
        cflag: 0xbf,
        lflag: 0x8a3b,
        ispeed: 38400,
        ospeed: 38400,
        ..Tty::default()
    };
    let (mut end, _) = file(uapi::CR_FILE_PIPE, 0o010_600, b"");
    end.target = 1;
    let (mut memfd, _) = file(uapi::CR_FILE_SHM, 0o100_777, b"");
    memfd.flags = 2;
    memfd.target = 2;
    memfd.size = 8192;
    vec![
        Object::Pipe(pipe),
        Object::Shm(shm, b"scratch".to_vec()),
        plain((cwd, cwd_path)),
        plain((exe, exe_path)),
        plain((program, program_path)),
        Object::File(tty, tty_path, Some(settings)),
        plain((end, Vec::new())),
        plain((memfd, Vec::new())),
    ]
}

fn sample_process() -> Process {
    let (uid, gid) = (1000, 100);
    let creds = Creds {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        cap_bset: 0x1ff_ffff_ffff,
        ..Creds::default()
    };
    let thread = Thread {
        clear_child_tid: 0x7f00_0000_0a10,
        robust_list: 0x7f00_0000_0a20,
        rseq: 0x7f00_0000_0b00,
        rseq_len: 32,
        rseq_sig: 0x5305_3053,
        restart_kind: uapi::CR_RESTART_NANOSLEEP,
        restart_args: [1, 0, 0x7ffd_0000_0f00, 0],
        restart_left: 1_500_000_000,
        altstack_flags: 2,
        ..Thread::default()
    };
    let cpu = Cpu {
        ax: (-516i64) as u64,
        orig_ax: 35,
        ip: 0x40_1234,
        cs: 0x33,
        flags: 0x246,
        sp: 0x7ffd_0000_0e00,
        ss: 0x2b,
        fs_base: 0x7f00_0000_0740,
        ..Cpu::default()
    };
    let signal = |signal, handler, flags| SigAction {
        signal,
        handler,
        flags,
        restorer: 0x40_2000,
        ..SigAction::default()
    };
    let mut info = [0; 16];
    info[0] = 15;
    let fd = |fd, objref, flags| Fd {
        fd,
        flags,
        objref,
        reserved: 0,
    };
    let lock = |objref, kind, lock_type, start, end| Lock {
        objref,
        kind,
        lock_type,
        reserved: 0,
        start,
        end,
    };
    let mm = Mm {
        start_code: 0x40_0000,
        end_code: 0x40_2f00,
        start_data: 0x40_3000,
        end_data: 0x40_3f00,
        start_brk: 0x100_0000,
        brk: 0x102_1000,
        start_stack: 0x7ffd_0000_0f80,
        arg_start: 0x7ffd_0000_0fa0,
        arg_end: 0x7ffd_0000_0fb0,
        env_start: 0x7ffd_0000_0fb0,
        env_end: 0x7ffd_0000_0ff0,
        flags: 1 | 0x33 << uapi::CR_MM_DUMP_FILTER_SHIFT,
        exe: 4,
        ..Mm::default()
    };
    let (r, w, x) = (uapi::CR_VMA_READ, uapi::CR_VMA_WRITE, uapi::CR_VMA_EXEC);
    let vma = |start: u64, end, flags: u32, kind, objref| Vma {
        start,
        end,
        flags: flags.into(),
        pgoff: if objref == 0 { start >> 12 } else { 0 },
        kind,
        objref,
        ..Vma::default()
    };
    let (anon, of_file) = (uapi::CR_MAPPING_ANON, uapi::CR_MAPPING_FILE);
    let unnamed = |vma| (vma, Vec::new());
    let rw = r | w | uapi::CR_VMA_ACCOUNT;
    Process {
        creds,
        groups: vec![27, 100, 1000],
        thread,
        cpu,
        xstate: vec![0; 832],
        signals: Signals {
            blocked: 1 << 1,
            ..Signals::default()
        },
        actions: vec![
            signal(2, 0x40_1500, 0x1400_0000),
            signal(13, 1, 0x400_0000),
            signal(64, 0x40_1600, 0x0400_0004),
        ],
        pending: vec![SigInfo::new(true, info)],
        fs: Fs {
            umask: 0o22,
            cwd: 3,
            ..Fs::default()
        },
        files: Files::default(),
        fds: vec![
            fd(0, 6, 0),
            fd(1, 6, 0),
            fd(2, 6, 0),
            fd(3, 7, uapi::CR_FD_CLOEXEC),
            fd(5, 8, 0),
        ],
        locks: vec![
            lock(7, uapi::CR_LOCK_FLOCK, 1, 0, i64::MAX),
            lock(8, uapi::CR_LOCK_POSIX, 0, 0, 99),
            lock(8, uapi::CR_LOCK_POSIX, 1, 100, 100),
            lock(8, uapi::CR_LOCK_OFD, 1, 4096, i64::MAX),
        ],
        mm,
        mm_context: MmContext {
            vdso: 0x7ffd_0010_2000,
            vdso_size: 0x2000,
            vdso_crc: 0x1234_5678,
            pkeys: 1,
            reserved: 0,
        },
        auxv: vec![6, 4096, 33, 0x7ffd_0010_2000, 0, 0],
        vmas: vec![
            unnamed(vma(0x40_0000, 0x40_3000, r | x, of_file, 5)),
            unnamed(vma(0x40_3000, 0x40_4000, rw, of_file, 5)),
            unnamed(vma(0x100_0000, 0x102_1000, rw, anon, 0)),
            unnamed(vma(
                0x4000_0000,
                0x4040_0000,
                rw | uapi::CR_VMA_HUGEPAGE,
                anon,
                0,
            )),
            (
                vma(0x7f00_0000_0000, 0x7f00_0001_0000, rw, anon, 0),
                b"arena".to_vec(),
            ),
            unnamed(vma(
                0x7f00_0010_0000,
                0x7f00_0010_2000,
                r | w | uapi::CR_VMA_SHARED,
                of_file,
                8,
            )),
            unnamed(vma(
                0x7ffc_fffd_f000,
                0x7ffd_0000_1000,
                rw | uapi::CR_VMA_GROWSDOWN,
                anon,
                0,
            )),
            unnamed(vma(
                0x7ffd_0010_0000,
                0x7ffd_0010_2000,
                r,
                uapi::CR_MAPPING_VVAR,
                0,
            )),
            unnamed(vma(
                0x7ffd_0010_2000,
                0x7ffd_0010_4000,
                r | x,
                uapi::CR_MAPPING_VDSO,
                0,
            )),
        ],
    }
}

fn sample_bulk() -> Vec<BulkData> {
    let extent = |start, nr_pages| Extent {
        start,
        nr_pages,
        flags: 0,
    };
    let fill = |len: usize| (0..len).map(|i| (i / 7) as u8).collect::<Vec<u8>>();
    vec![
        BulkData::Data(1, 0, b"in the pipe".to_vec()),
        BulkData::Data(2, 4096, fill(4096)),
        BulkData::Pages(
            vec![extent(0x40_3000, 1), extent(0x100_0000, 2)],
            fill(3 * 4096),
        ),
        BulkData::Pages(vec![extent(0x7ffd_0000_0000, 1)], fill(4096)),
    ]
}

/// Gives an image that was changed the checksums of what it is now.
///
/// So a test gets behind the checksums, to the check that it is about. Returns whether there was a
/// TAIL to write one into.
pub fn reseal(image: &mut [u8]) -> bool {
    // The checksums of bulk data are in records, so they come first.
    let bulk: Vec<_> = Reader::new(&*image)
        .flatten()
        .filter_map(|record| record.bulk)
        .collect();
    for bulk in bulk {
        let field = match bulk.bulk.kind {
            BulkKind::Pages { .. } => offset_of!(Pages, crc),
            BulkKind::Data { .. } => offset_of!(Data, crc),
        };
        let at = bulk.announcement + (Header::SIZE + field) as u64;
        if !put(image, at, &bulk.crc.to_ne_bytes()) {
            return false;
        }
    }

    let mut crc = 0;
    let mut tail = None;
    for record in Reader::new(&*image).flatten() {
        if record.header.kind == Kind::Tail.number() {
            tail = Some(record.offset);
            break;
        }
        crc = crc32c(crc32c(crc, record.header.as_bytes()), &record.padded);
    }
    let field = Header::SIZE + offset_of!(Tail, cksum);
    tail.is_some_and(|tail| put(image, tail + field as u64, &u64::from(crc).to_ne_bytes()))
}

/// Writes `bytes` over those at `offset`, if there are so many.
fn put(image: &mut [u8], offset: u64, bytes: &[u8]) -> bool {
    let field = usize::try_from(offset)
        .ok()
        .and_then(|offset| image.get_mut(offset..)?.get_mut(..bytes.len()));
    match field {
        Some(field) => {
            field.copy_from_slice(bytes);
            true
        }
        None => false,
    }
}

/// Reads an image, and returns what the writing side makes of it: the same bytes, if all is well.
pub fn rewrite(image: &[u8], expect: Expect<'_>) -> Result<Vec<u8>, Refusal> {
    let mut writer = Writer {
        encoder: Encoder::new(),
        image: Vec::new(),
    };
    let mut checker = Checker::new(expect);
    let mut rest = image;
    let mut page_size = 0;
    while !checker.done() {
        if let Some(bulk) = checker.bulk() {
            let (bytes, padding, next) = (|| {
                let (bytes, rest) = rest.split_at_checked(usize::try_from(bulk.len).ok()?)?;
                let (padding, next) = rest.split_at_checked(bulk.padding_len())?;
                Some((bytes, padding, next))
            })()
            .ok_or_else(|| checker.truncated(rest.len()))?;
            checker.bulk_done(crc32c(0, bytes), padding)?;
            writer.put(|encoder, sink| encoder.pad(page_size, sink));
            writer.image.extend_from_slice(bytes);
            writer.image.extend_from_slice(bulk_padding(bulk.len));
            writer.encoder.skip(bulk.len);
            rest = next;
            continue;
        }
        let Some((header, next)) = rest.split_first_chunk::<{ Header::SIZE }>() else {
            return Err(checker.truncated(rest.len()));
        };
        let len = checker.header(header)?.padded_len();
        let Some((padded, next)) = next.split_at_checked(len) else {
            return Err(checker.truncated(next.len()));
        };
        match checker.payload(padded)? {
            Item::Head(record) => {
                page_size = record.page_size;
                writer.record(&record);
            }
            Item::Text(text) => writer.text(text),
            Item::Groups(bytes) => writer.bytes(Kind::Groups, bytes),
            Item::XState(bytes) => writer.bytes(Kind::XState, bytes),
            Item::Auxv(bytes) => writer.bytes(Kind::Auxv, bytes),
            Item::Extents(extents) => writer.bytes(Kind::Extents, extents.bytes()),
            // Where there must be one, the encoder knows.
            Item::Pad(_) => (),
            Item::Pipe(record) => writer.record(&record),
            Item::Shm(record) => writer.record(&record),
            Item::File(record) => writer.record(&record),
            Item::Tty(record) => writer.record(&record),
            Item::Task(record) => writer.record(&record),
            Item::TaskStats(record) => writer.record(&record),
            Item::Creds(record) => writer.record(&record),
            Item::Thread(record) => writer.record(&record),
            Item::Cpu(record) => writer.record(&record),
            Item::Signals(record) => writer.record(&record),
            Item::SigAction(record) => writer.record(&record),
            Item::SigInfo(record) => writer.record(&record),
            Item::Fs(record) => writer.record(&record),
            Item::Files(record) => writer.record(&record),
            Item::Fd(record) => writer.record(&record),
            Item::Lock(record) => writer.record(&record),
            Item::Mm(record) => writer.record(&record),
            Item::MmContext(record) => writer.record(&record),
            Item::Vma(record) => writer.record(&record),
            Item::Pages(record) => writer.record(&record),
            Item::Data(record) => writer.record(&record),
            Item::Tail(_) => (),
        }
        rest = next;
    }
    Ok(writer.finish())
}
