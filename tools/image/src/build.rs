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
        Aio,
        BulkKind,
        Checker,
        Cpu,
        Creds,
        Data,
        Encoder,
        EpollItem,
        EventFd,
        Expect,
        Extent,
        Fd,
        File,
        Files,
        Filter,
        Fs,
        Guard,
        Head,
        Header,
        Inode,
        Inotify,
        Item,
        Kernel,
        Kind,
        Limits,
        Lock,
        Mm,
        MmContext,
        Owner,
        Pages,
        Payload,
        PidFd,
        Pipe,
        Policy,
        Process,
        Record,
        Refusal,
        Sched,
        Seccomp,
        SemAdj,
        SemUndo,
        SemUndoList,
        SharedExtent,
        SharedPages,
        Shm,
        SigAction,
        SigInfo,
        SignalFd,
        Signals,
        Tail,
        Task,
        TaskAttrs,
        TaskStats,
        Text,
        Thread,
        Timer,
        TimerFd,
        Timers,
        Tty,
        Usage,
        Vma,
        Watch, //
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
    /// Files, pipes, shared memory and deleted files.
    pub objects: Vec<Object>,
    /// The tasks.
    pub tasks: Vec<TaskRecords>,
    /// Pages and contents of objects.
    pub bulk: Vec<BulkData>,
}

/// A task, and what follows it.
#[derive(Clone, Debug)]
pub struct TaskRecords {
    /// TASK. Its `task_comm_len` is set by [`Self::comm`].
    pub task: Task,
    /// Payload of the STRING, not necessarily `task_comm_len` bytes.
    pub comm: Vec<u8>,
    /// What it has used up.
    pub stats: TaskStats,
    /// All that a task has besides. Of it, what the task says that it has is in the image.
    pub parts: Option<Box<Parts>>,
}

impl TaskRecords {
    /// Makes a task named "sample", of which nothing else is known.
    pub fn new(task: Task) -> Self {
        Self {
            task,
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
            parts: None,
        }
        .comm(b"sample\0\0\0\0\0\0\0\0\0\0")
    }

    /// Sets the comm, and the length of it that the task announces.
    pub fn comm(mut self, comm: &[u8]) -> Self {
        self.comm = comm.to_vec();
        self.task.task_comm_len = i32::try_from(comm.len()).unwrap_or(i32::MAX);
        self
    }

    /// Gives it all that it has besides.
    pub fn parts(mut self, parts: Parts) -> Self {
        self.parts = Some(Box::new(parts));
        self
    }
}

/// An object, and what follows it.
#[derive(Clone, Debug)]
pub enum Object {
    /// A pipe.
    Pipe(Pipe),
    /// Shared memory and its name.
    Shm(Shm, Vec<u8>),
    /// A deleted file, and the path of a directory.
    Inode(Inode, Vec<u8>),
    /// A file, its path, and more of its state.
    File(File, Vec<u8>, Option<Detail>),
}

/// More of the state of a file, as its kind says.
#[derive(Clone, Debug)]
pub enum Detail {
    /// Settings of a terminal.
    Tty(Tty),
    /// State of an eventfd.
    EventFd(EventFd),
    /// State of a timerfd.
    TimerFd(TimerFd),
    /// State of a signalfd.
    SignalFd(SignalFd),
    /// State of an inotify instance.
    Inotify(Inotify),
    /// The process of a pidfd.
    PidFd(PidFd),
}

/// A mapping and its name.
pub type Mapping = (Vma, Vec<u8>);

/// The records of a task from CREDS on, in their order.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// CREDS
    pub creds: Creds,
    /// USAGE, if the task says so.
    pub usage: Usage,
    /// GROUPS, if there are any.
    pub groups: Vec<u32>,
    /// SECCOMP
    pub seccomp: Seccomp,
    /// FILTER, and the instructions of each.
    pub filters: Vec<(Filter, Vec<u64>)>,
    /// LIMITS
    pub limits: Limits,
    /// SCHED
    pub sched: Sched,
    /// AFFINITY, if there is any.
    pub affinity: Vec<u64>,
    /// TASK_ATTRS
    pub attrs: TaskAttrs,
    /// The label behind it.
    pub label: Vec<u8>,
    /// THREAD
    pub thread: Thread,
    /// CPU
    pub cpu: Cpu,
    /// XSTATE
    pub xstate: Vec<u8>,
    /// TIMERS
    pub timers: Timers,
    /// TIMER
    pub posix_timers: Vec<Timer>,
    /// PROCESS
    pub process: Process,
    /// SIGACTION
    pub actions: Vec<SigAction>,
    /// SIGINFO behind PROCESS
    pub shared: Vec<SigInfo>,
    /// SIGNALS
    pub signals: Signals,
    /// SIGINFO behind SIGNALS
    pub pending: Vec<SigInfo>,
    /// SEM_UNDO_LIST
    pub undo_list: SemUndoList,
    /// SEM_UNDO, and SEMADJ
    pub undos: Vec<(SemUndo, Vec<SemAdj>)>,
    /// FS
    pub fs: Fs,
    /// FILES
    pub files: Files,
    /// FD
    pub fds: Vec<Fd>,
    /// LOCK
    pub locks: Vec<Lock>,
    /// OWNER
    pub owners: Vec<Owner>,
    /// EPOLL_ITEM
    pub epoll_items: Vec<EpollItem>,
    /// WATCH
    pub watches: Vec<Watch>,
    /// MM
    pub mm: Mm,
    /// MM_CONTEXT
    pub mm_context: MmContext,
    /// AUXV
    pub auxv: Vec<u64>,
    /// LDT
    pub ldt: Vec<u64>,
    /// VMA
    pub vmas: Vec<Mapping>,
    /// POLICY
    pub policies: Vec<Policy>,
    /// GUARD
    pub guards: Vec<Guard>,
    /// AIO
    pub aio: Vec<Aio>,
}

/// Bulk data. The record that announces it is made of it.
#[derive(Clone, Debug)]
pub enum BulkData {
    /// The number of the task whose address space it is, where in that pages belong, and all of
    /// their bytes.
    Pages(u32, Vec<Extent>, Vec<u8>),
    /// The number of the task whose address space gets pages of others, and which.
    Shared(u32, Vec<SharedExtent>),
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

    fn records<'r, R: Record + 'r>(&mut self, records: impl IntoIterator<Item = &'r R>) {
        records.into_iter().for_each(|record| self.record(record));
    }

    /// Words in as many records as they take.
    fn words(&mut self, kind: Kind, words: &[u64]) {
        for words in words.chunks(uapi::CR_WORDS_MAX as usize) {
            self.bytes(kind, words.as_bytes());
        }
    }

    fn detail(&mut self, detail: &Detail) {
        match detail {
            Detail::Tty(tty) => self.record(tty),
            Detail::EventFd(eventfd) => self.record(eventfd),
            Detail::TimerFd(timerfd) => self.record(timerfd),
            Detail::SignalFd(signalfd) => self.record(signalfd),
            Detail::Inotify(inotify) => self.record(inotify),
            Detail::PidFd(pidfd) => self.record(pidfd),
        }
    }

    fn object(&mut self, object: &Object) {
        match object {
            Object::Pipe(pipe) => self.record(pipe),
            Object::Shm(shm, name) => {
                self.record(shm);
                self.text_unless_empty(name);
            }
            Object::Inode(inode, path) => {
                self.record(inode);
                self.text_unless_empty(path);
            }
            Object::File(file, path, detail) => {
                self.record(file);
                self.text_unless_empty(path);
                if let Some(detail) = detail {
                    self.detail(detail);
                }
            }
        }
    }

    fn task(&mut self, records: &TaskRecords) {
        self.record(&records.task);
        self.text(&records.comm);
        self.record(&records.stats);
        if let Some(parts) = &records.parts {
            self.parts(&records.task, parts);
        }
    }

    fn parts(&mut self, task: &Task, parts: &Parts) {
        self.record(&parts.creds);
        if !parts.groups.is_empty() {
            self.bytes(Kind::Groups, parts.groups.as_bytes());
        }
        if task.flags & uapi::CR_TASK_USAGE != 0 {
            self.record(&parts.usage);
        }
        if task.is_alive() {
            self.record(&parts.seccomp);
            for (filter, insns) in &parts.filters {
                self.record(filter);
                self.words(Kind::Insns, insns);
            }
        }
        if task.is_process() {
            self.record(&parts.limits);
        }
        if task.is_alive() {
            self.record(&parts.sched);
            if !parts.affinity.is_empty() {
                self.bytes(Kind::Affinity, parts.affinity.as_bytes());
            }
            self.record(&parts.attrs);
            self.text_unless_empty(&parts.label);
            self.record(&parts.thread);
            self.record(&parts.cpu);
            self.bytes(Kind::XState, &parts.xstate);
        }
        if task.is_process() {
            self.record(&parts.timers);
            self.records(&parts.posix_timers);
        }
        if task.is_alive() {
            self.record(&parts.signals);
            self.records(&parts.pending);
        }
        if task.is_process() {
            self.record(&parts.process);
            self.records(&parts.actions);
            self.records(&parts.shared);
        }
        if task.has_undo_list() {
            self.record(&parts.undo_list);
            for (undo, adjs) in &parts.undos {
                self.record(undo);
                self.records(adjs);
            }
        }
        if task.has_fs() {
            self.record(&parts.fs);
        }
        if task.has_files() {
            self.files(parts);
        }
        if task.has_mm() {
            self.mm(parts);
        }
    }

    fn files(&mut self, parts: &Parts) {
        self.record(&parts.files);
        self.records(&parts.fds);
        self.records(&parts.locks);
        self.records(&parts.owners);
        self.records(&parts.epoll_items);
        self.records(&parts.watches);
    }

    fn mm(&mut self, parts: &Parts) {
        self.record(&parts.mm);
        self.record(&parts.mm_context);
        self.bytes(Kind::Auxv, parts.auxv.as_bytes());
        self.words(Kind::Ldt, &parts.ldt);
        for (vma, name) in &parts.vmas {
            self.record(vma);
            self.text_unless_empty(name);
        }
        self.records(&parts.policies);
        self.records(&parts.guards);
        self.records(&parts.aio);
    }

    fn bulk(&mut self, bulk: &BulkData, page_size: u32) {
        let bytes = match bulk {
            BulkData::Pages(task, extents, bytes) => {
                self.record(&Pages {
                    nr_extents: extents.len() as u32,
                    nr_pages: (bytes.len() as u64 / u64::from(page_size.max(1))) as u32,
                    crc: crc32c(0, bytes),
                    task: *task,
                });
                self.bytes(Kind::Extents, extents.as_bytes());
                bytes
            }
            BulkData::Shared(task, extents) => {
                self.record(&SharedPages {
                    nr_extents: extents.len() as u32,
                    task: *task,
                });
                self.bytes(Kind::SharedExtents, extents.as_bytes());
                return;
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
        let (time, flags, crid, nr_tasks) = (1_790_000_000, 0, 1, 1);
        Self {
            head: Head::new(kernel, time, flags, crid, 412, nr_tasks),
            objects: Vec::new(),
            tasks: vec![TaskRecords::new(Task {
                exit_signal: 17,
                pid: 412,
                pgid: 412,
                sid: 400,
                tgid: 412,
                ..Task::default()
            })],
            bulk: Vec::new(),
        }
    }

    /// Begins with the valid image of a process that has something of everything, from
    /// [`SAMPLE_KERNEL`].
    pub fn process() -> Self {
        let mut builder = Self::new();
        builder.objects = sample_objects();
        for task in &mut builder.tasks {
            task.task.flags = uapi::CR_TASK_SYSVSEM;
            task.parts = Some(Box::new(sample_parts()));
        }
        builder.bulk = sample_bulk();
        builder.counted()
    }

    /// Begins with the valid image of a tree that has tasks of every kind, from [`SAMPLE_KERNEL`].
    /// The first is that of [`Self::process`].
    pub fn tree() -> Self {
        let mut builder = Self::process();
        builder.tasks.extend(sample_tree());
        builder.bulk.extend(sample_tree_bulk());
        builder.counted()
    }

    /// Sets the comm of the first task, and the length of it that the task announces.
    pub fn comm(mut self, comm: &[u8]) -> Self {
        if let Some(first) = self.tasks.first_mut() {
            *first = first.clone().comm(comm);
        }
        self
    }

    /// Sets the numbers of objects, and all counts and lengths, to what there is, but for those of
    /// comms.
    pub fn counted(mut self) -> Self {
        for (object, number) in self.objects.iter_mut().zip(1..) {
            match object {
                Object::Pipe(pipe) => pipe.objref = number,
                Object::Shm(shm, name) => {
                    shm.objref = number;
                    shm.name_len = name.len() as u32;
                }
                Object::Inode(inode, path) => {
                    inode.objref = number;
                    inode.path_len = path.len() as u32;
                }
                Object::File(file, path, _) => {
                    file.objref = number;
                    file.path_len = path.len() as u32;
                }
            }
        }
        self.head.nr_tasks = self.tasks.len() as u32;
        for parts in self.tasks.iter_mut().filter_map(|task| task.parts.as_mut()) {
            parts.creds.ngroups = parts.groups.len() as u32;
            parts.seccomp.nr_filters = parts.filters.len() as u32;
            for (filter, insns) in &mut parts.filters {
                filter.nr_insns = insns.len() as u32;
            }
            parts.sched.affinity_len = size_of_val(&*parts.affinity) as u32;
            parts.attrs.label_len = parts.label.len() as u32;
            parts.thread.xstate_len = parts.xstate.len() as u32;
            parts.timers.nr_timers = parts.posix_timers.len() as u32;
            parts.process.nr_actions = parts.actions.len() as u32;
            parts.process.nr_pending = parts.shared.len() as u32;
            parts.signals.nr_pending = parts.pending.len() as u32;
            parts.undo_list.nr_undos = parts.undos.len() as u32;
            for (undo, adjs) in &mut parts.undos {
                undo.nr_adjs = adjs.len() as u32;
            }
            parts.files.count = parts.fds.len() as u32;
            parts.files.nr_locks = parts.locks.len() as u32;
            parts.files.nr_owners = parts.owners.len() as u32;
            parts.files.nr_epoll_items = parts.epoll_items.len() as u32;
            parts.files.nr_watches = parts.watches.len() as u32;
            parts.mm.auxv_len = size_of_val(&*parts.auxv) as u32;
            parts.mm_context.ldt_entries = parts.ldt.len() as u32;
            parts.mm.nr_vmas = parts.vmas.len() as u32;
            parts.mm.nr_policies = parts.policies.len() as u32;
            parts.mm.nr_guards = parts.guards.len() as u32;
            parts.mm.nr_aio = parts.aio.len() as u32;
            for (vma, name) in &mut parts.vmas {
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
        for task in &self.tasks {
            writer.task(task);
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

/// 1: pipe, 2: shared memory, 3: cwd, 4: exe, 5: program, 6: terminal, 7: end of the pipe, 8: memfd,
/// 9: deleted file, 10: that file open, 11: eventfd, 12: timerfd, 13: signalfd, 14: epoll,
/// 15: inotify, 16: pidfd, 17: in /proc, 18: a socket that the restarter has.
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
    let scrap = Inode {
        mode: 0o100_600,
        size: 12_288,
        dev: 8 << 32 | 1,
        ino: 131_100,
        atime: 1_789_999_000_000_000_000,
        mtime: 1_789_999_001_000_000_000,
        uid: 1000,
        gid: 100,
        flags: uapi::CR_INODE_LINKABLE,
        ..Inode::default()
    };
    let (mut deleted, _) = file(uapi::CR_FILE_REG, 0o100_600, b"");
    deleted.flags = 2;
    deleted.pos = 4100;
    deleted.size = scrap.size;
    deleted.target = 9;
    deleted.hint = 2;
    let anon = |kind, detail| {
        let (mut file, _) = file(kind, 0o600, b"");
        file.flags = 2;
        Object::File(file, Vec::new(), detail)
    };
    let eventfd = EventFd {
        count: 3,
        flags: uapi::CR_EVENTFD_SEMAPHORE,
        reserved: 0,
    };
    let timerfd = TimerFd {
        clock: 1,
        flags: uapi::CR_TIMERFD_ARMED,
        expires: 250_000_000,
        interval: 1_000_000_000,
        ticks: 2,
    };
    let inotify = Inotify {
        last_wd: 2,
        nr_events: 1,
    };
    let pidfd = PidFd {
        pid: 412,
        ino: 4_321,
        ..PidFd::default()
    };
    let (status, status_path) = file(uapi::CR_FILE_PROC, 0o100_444, b"/proc/412/status");
    let (mut socket, socket_name) = file(uapi::CR_FILE_EXTERNAL, 0o140_777, b"socket:[4711]");
    socket.flags = 2;
    vec![
        Object::Pipe(pipe),
        Object::Shm(shm, b"scratch".to_vec()),
        plain((cwd, cwd_path)),
        plain((exe, exe_path)),
        plain((program, program_path)),
        Object::File(tty, tty_path, Some(Detail::Tty(settings))),
        plain((end, Vec::new())),
        plain((memfd, Vec::new())),
        Object::Inode(scrap, b"/srv/spool".to_vec()),
        plain((deleted, Vec::new())),
        anon(uapi::CR_FILE_EVENTFD, Some(Detail::EventFd(eventfd))),
        anon(uapi::CR_FILE_TIMERFD, Some(Detail::TimerFd(timerfd))),
        anon(
            uapi::CR_FILE_SIGNALFD,
            Some(Detail::SignalFd(SignalFd { mask: 1 << 9 })),
        ),
        anon(uapi::CR_FILE_EPOLL, None),
        anon(uapi::CR_FILE_INOTIFY, Some(Detail::Inotify(inotify))),
        anon(uapi::CR_FILE_PIDFD, Some(Detail::PidFd(pidfd))),
        plain((status, status_path)),
        plain((socket, socket_name)),
    ]
}

fn sample_parts() -> Parts {
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
    let mut limits = Limits {
        cur: [u64::MAX; 16],
        max: [u64::MAX; 16],
    };
    // RLIMIT_STACK, RLIMIT_CORE and RLIMIT_NOFILE
    limits.cur[3] = 8 << 20;
    limits.cur[4] = 0;
    (limits.cur[7], limits.max[7]) = (1024, 4096);
    let sched = Sched {
        nice: 5,
        util_max: 1024,
        ioprio: 2 << 13 | 4,
        timer_slack: 50_000,
        default_timer_slack: 50_000,
        ..Sched::default()
    };
    let attrs = TaskAttrs {
        oom_score_adj: 200,
        pdeath_signal: 15,
        flags: uapi::CR_ATTR_SUBREAPER | uapi::CR_ATTR_LOGINUID,
        spec_store_bypass: 3,
        loginuid: uid,
        sessionid: 2,
        ..TaskAttrs::default()
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
    let timers = Timers {
        realtime: 1_790_000_000_123_456_789,
        monotonic: 20_000_000_000,
        boottime: 20_000_000_000,
        real_left: 700_000_000,
        real_interval: 1_000_000_000,
        flags: uapi::CR_TIMERS_REAL,
        next_id: 2,
        ..Timers::default()
    };
    let timer = |id, clock, signal| Timer {
        id,
        clock,
        signal,
        value: 0x40_5000,
        flags: uapi::CR_TIMER_ARMED,
        expires: 90_000_000,
        interval: 100_000_000,
        overrun: -1,
        ..Timer::default()
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
    let mut expired = [0; 16];
    // SI_TIMER
    (expired[0], expired[1]) = (64, (-2i32) as u32 as u64);
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
    let item = |target, fd, events, flags| EpollItem {
        objref: 14,
        target,
        fd,
        events,
        data: fd as u64,
        flags,
        reserved: 0,
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
        membarrier: 1 << 4,
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
    let mut huge = vma(
        0x7f00_4000_0000,
        0x7f00_4040_0000,
        r | w | uapi::CR_VMA_HUGETLB,
        uapi::CR_MAPPING_ANON,
        0,
    );
    huge.page_shift = 21;
    let (anon, of_file) = (uapi::CR_MAPPING_ANON, uapi::CR_MAPPING_FILE);
    let policy = |start, end, mode| {
        let mut nodes = [0; 16];
        nodes[0] = 0b11;
        Policy {
            start,
            end,
            mode,
            home_node: -1,
            nodes,
            ..Policy::default()
        }
    };
    let undo = |semid, key, sem_nsems| SemUndo {
        sem_ctime: 1_789_999_000,
        semid,
        key,
        cuid: 1000,
        cgid: 100,
        sem_nsems,
        nr_adjs: 0,
    };
    let adj = |sem_num, semadj| SemAdj { sem_num, semadj };
    let unnamed = |vma| (vma, Vec::new());
    let rw = r | w | uapi::CR_VMA_ACCOUNT;
    Parts {
        creds,
        usage: Usage::default(),
        groups: vec![27, 100, 1000],
        seccomp: Seccomp {
            mode: 2,
            ..Seccomp::default()
        },
        // ld [0]; jeq #110, 0, 1; ret #0x50001; ret #0x7fff0000
        filters: vec![(
            Filter {
                flags: uapi::CR_FILTER_LOG,
                ..Filter::default()
            },
            vec![
                0x20,
                110 << 32 | 1 << 24 | 0x15,
                0x5_0001 << 32 | 0x6,
                0x7fff_0000 << 32 | 0x6,
            ],
        )],
        limits,
        sched,
        affinity: vec![0b11],
        attrs,
        label: b"sample_t".to_vec(),
        thread,
        cpu,
        xstate: vec![0; 832],
        timers,
        posix_timers: vec![timer(0, 1, 64), timer(1, 7, 34)],
        process: Process {
            flags: uapi::CR_PROCESS_STOPPED,
            stop_signal: 20,
            ..Process::default()
        },
        actions: vec![
            signal(2, 0x40_1500, 0x1400_0000),
            signal(13, 1, 0x400_0000),
            signal(64, 0x40_1600, 0x0400_0004),
        ],
        shared: vec![SigInfo::new(0, info)],
        signals: Signals {
            blocked: 1 << 1,
            ..Signals::default()
        },
        pending: vec![SigInfo::new(1, expired)],
        undo_list: SemUndoList::default(),
        undos: vec![
            (undo(3, 0, 1), vec![adj(0, 1)]),
            (
                undo(32_769, 0x5101_0aff, 17),
                vec![adj(2, 32_767), adj(3, -4), adj(16, -32_768)],
            ),
        ],
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
            fd(6, 10, 0),
            fd(7, 11, 0),
            fd(8, 12, 0),
            fd(9, 13, 0),
            fd(10, 14, 0),
            fd(11, 15, 0),
            fd(12, 16, 0),
            fd(13, 17, 0),
            fd(14, 18, 0),
        ],
        locks: vec![
            lock(7, uapi::CR_LOCK_FLOCK, 1, 0, i64::MAX),
            lock(8, uapi::CR_LOCK_POSIX, 0, 0, 99),
            lock(8, uapi::CR_LOCK_POSIX, 1, 100, 100),
            lock(8, uapi::CR_LOCK_OFD, 1, 4096, i64::MAX),
        ],
        owners: vec![Owner {
            objref: 7,
            kind: 1,
            pid: 412,
            signal: 36,
            uid,
            euid: uid,
        }],
        epoll_items: vec![item(7, 3, 1, 0), item(11, 7, 5, uapi::CR_EPOLL_READY)],
        watches: vec![Watch {
            objref: 15,
            target: 3,
            wd: 2,
            mask: 0x300,
        }],
        mm,
        mm_context: MmContext {
            vdso: 0x7ffd_0010_2000,
            vdso_size: 0x2000,
            vdso_crc: 0x1234_5678,
            pkeys: 1,
            // ADDR_NO_RANDOMIZE
            personality: 0x4_0000,
            ..MmContext::default()
        },
        auxv: vec![6, 4096, 33, 0x7ffd_0010_2000, 0, 0],
        // A data segment of all addresses below 4 GiB.
        ldt: vec![0, 0x00cf_f300_0000_ffff],
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
                0x7f00_0020_0000,
                0x7f00_0020_1000,
                r | w,
                uapi::CR_MAPPING_AIO,
                0,
            )),
            unnamed(huge),
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
        policies: vec![
            policy(0, 0, 3),
            policy(0x7f00_0000_0000, 0x7f00_0000_8000, 2),
        ],
        guards: vec![Guard {
            start: 0x7f00_0000_f000,
            end: 0x7f00_0001_0000,
        }],
        aio: vec![Aio {
            id: 0x7f00_0020_0000,
            nr_events: 32,
            head: 1,
            tail: 2,
            reserved: 0,
        }],
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
        BulkData::Data(9, 4096, fill(100)),
        // IN_CREATE of "new" in what is watched by 2.
        BulkData::Data(
            15,
            0,
            [
                &2u32.to_ne_bytes()[..],
                &0x100u32.to_ne_bytes(),
                &0u32.to_ne_bytes(),
                &16u32.to_ne_bytes(),
                b"new\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ]
            .concat(),
        ),
        BulkData::Pages(
            1,
            vec![extent(0x40_3000, 1), extent(0x100_0000, 2)],
            fill(3 * 4096),
        ),
        BulkData::Pages(1, vec![extent(0x7ffd_0000_0000, 1)], fill(4096)),
    ]
}

/// A thread of the group of `leader`, which has the address space of task `mm`.
fn sample_thread(pid: i32, leader: &Task, mm: u32) -> Task {
    Task {
        exit_signal: -1,
        pid,
        pgid: leader.pgid,
        sid: leader.sid,
        tgid: leader.pid,
        mm,
        sighand: mm,
        ..Task::default()
    }
}

/// A child of the task with the pid `ppid`.
fn sample_child(pid: i32, ppid: i32) -> Task {
    Task {
        exit_signal: 17,
        pid,
        pgid: 412,
        sid: 400,
        tgid: pid,
        ppid,
        ..Task::default()
    }
}

/// Tasks 2 to 12, behind the process of [`sample_parts`], which is 1:
///
/// - 2 and 3: threads of 1; 2 has descriptors of its own, 3 paths;
/// - 4: child of 1 with an address space of its own, leader of a session;
/// - 5: child of the thread 2, of whom it has all that a process can have;
/// - 6: child of 1 that has ended;
/// - 7: child of 1 that has ended before its threads;
/// - 8 and 9: those threads; 9 has everything of 8 and 7;
/// - 10: child of 4 with the address space of 7, which has ended before its thread;
/// - 11: that thread;
/// - 12: child of 8 that has ended.
fn sample_tree() -> Vec<TaskRecords> {
    let root = sample_child(412, 0);
    let ended = |task| Task {
        exit_state: uapi::CR_EXIT_ZOMBIE,
        exit_code: 0x100,
        flags: uapi::CR_TASK_USAGE,
        ..task
    };
    let outlived = |task| Task {
        flags: uapi::CR_TASK_OUTLIVED,
        exit_code: 0,
        ..ended(task)
    };
    let leader = outlived(sample_child(420, 412));
    let sharer = Task {
        mm: 7,
        sighand: 7,
        ..outlived(sample_child(430, 415))
    };
    let tasks = [
        Task {
            fs: 1,
            flags: uapi::CR_TASK_SYSVSEM,
            sysvsem: 1,
            ..sample_thread(413, &root, 1)
        },
        Task {
            files: 2,
            ..sample_thread(414, &root, 1)
        },
        Task {
            pgid: 415,
            sid: 415,
            ..sample_child(415, 412)
        },
        Task {
            exit_signal: 0,
            mm: 1,
            files: 2,
            fs: 3,
            sighand: 1,
            ..sample_child(416, 413)
        },
        ended(sample_child(417, 412)),
        leader,
        sample_thread(421, &leader, 7),
        Task {
            files: 8,
            fs: 8,
            ..sample_thread(422, &leader, 7)
        },
        sharer,
        Task {
            files: 1,
            fs: 8,
            ..sample_thread(431, &sharer, 7)
        },
        ended(sample_child(440, 421)),
    ];
    tasks
        .into_iter()
        .map(|task| TaskRecords::new(task).parts(sample_other_parts(&task)))
        .collect()
}

/// What the process of [`sample_parts`] has, as far as others have it.
fn sample_other_parts(task: &Task) -> Parts {
    let of = sample_parts();
    let (pending, expired) = (of.shared, of.pending);
    let own = Parts {
        creds: of.creds,
        groups: of.groups,
        limits: of.limits,
        sched: of.sched,
        attrs: of.attrs,
        cpu: of.cpu,
        xstate: vec![0; 576],
        timers: Timers {
            flags: 0,
            real_left: 0,
            real_interval: 0,
            ..of.timers
        },
        fs: of.fs,
        fds: of.fds.into_iter().take(3).collect(),
        mm: of.mm,
        mm_context: of.mm_context,
        auxv: of.auxv,
        vmas: of.vmas.into_iter().take(3).collect(),
        ..Parts::default()
    };
    match (task.is_leader(), task.sighand) {
        (true, 0) => Parts {
            actions: of.actions,
            shared: pending,
            ..own
        },
        // Signals of a timer of its process.
        (false, 1) => Parts {
            pending: expired,
            ..own
        },
        _ => own,
    }
}

fn sample_tree_bulk() -> Vec<BulkData> {
    let extents = |start| {
        vec![Extent {
            start,
            nr_pages: 1,
            flags: 0,
        }]
    };
    let shared = |start, from_task| {
        vec![SharedExtent {
            start,
            from_start: start,
            nr_pages: 2,
            from_task,
        }]
    };
    vec![
        BulkData::Shared(4, shared(0x100_0000, 1)),
        BulkData::Pages(4, extents(0x40_3000), vec![4; 4096]),
        BulkData::Pages(4, extents(0x102_0000), vec![5; 4096]),
        BulkData::Shared(7, shared(0x100_1000, 4)),
        BulkData::Pages(7, extents(0x100_0000), vec![6; 4096]),
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
            BulkKind::Shared { .. } => continue,
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
            if bulk.len > 0 {
                writer.put(|encoder, sink| encoder.pad(page_size, sink));
            }
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
            Item::Insns(bytes) => writer.bytes(Kind::Insns, bytes),
            Item::Affinity(bytes) => writer.bytes(Kind::Affinity, bytes),
            Item::Ldt(bytes) => writer.bytes(Kind::Ldt, bytes),
            Item::XState(bytes) => writer.bytes(Kind::XState, bytes),
            Item::Auxv(bytes) => writer.bytes(Kind::Auxv, bytes),
            Item::Extents(extents) => writer.bytes(Kind::Extents, extents.bytes()),
            Item::SharedExtents(extents) => writer.bytes(Kind::SharedExtents, extents.bytes()),
            // Where there must be one, the encoder knows.
            Item::Pad(_) => (),
            Item::Pipe(record) => writer.record(&record),
            Item::Shm(record) => writer.record(&record),
            Item::Inode(record) => writer.record(&record),
            Item::File(record) => writer.record(&record),
            Item::Tty(record) => writer.record(&record),
            Item::EventFd(record) => writer.record(&record),
            Item::TimerFd(record) => writer.record(&record),
            Item::SignalFd(record) => writer.record(&record),
            Item::Inotify(record) => writer.record(&record),
            Item::PidFd(record) => writer.record(&record),
            Item::Task(record) => writer.record(&record),
            Item::TaskStats(record) => writer.record(&record),
            Item::Usage(record) => writer.record(&record),
            Item::Creds(record) => writer.record(&record),
            Item::Seccomp(record) => writer.record(&record),
            Item::Filter(record) => writer.record(&record),
            Item::Limits(record) => writer.record(&record),
            Item::Sched(record) => writer.record(&record),
            Item::TaskAttrs(record) => writer.record(&record),
            Item::Thread(record) => writer.record(&record),
            Item::Cpu(record) => writer.record(&record),
            Item::Timers(record) => writer.record(&record),
            Item::Timer(record) => writer.record(&record),
            Item::Process(record) => writer.record(&record),
            Item::Signals(record) => writer.record(&record),
            Item::SigAction(record) => writer.record(&record),
            Item::SigInfo(record) => writer.record(&record),
            Item::SemUndoList(record) => writer.record(&record),
            Item::SemUndo(record) => writer.record(&record),
            Item::SemAdj(record) => writer.record(&record),
            Item::Fs(record) => writer.record(&record),
            Item::Files(record) => writer.record(&record),
            Item::Fd(record) => writer.record(&record),
            Item::Lock(record) => writer.record(&record),
            Item::Owner(record) => writer.record(&record),
            Item::EpollItem(record) => writer.record(&record),
            Item::Watch(record) => writer.record(&record),
            Item::Mm(record) => writer.record(&record),
            Item::MmContext(record) => writer.record(&record),
            Item::Vma(record) => writer.record(&record),
            Item::Policy(record) => writer.record(&record),
            Item::Guard(record) => writer.record(&record),
            Item::Aio(record) => writer.record(&record),
            Item::Pages(record) => writer.record(&record),
            Item::SharedPages(record) => writer.record(&record),
            Item::Data(record) => writer.record(&record),
            Item::Tail(_) => (),
        }
        rest = next;
    }
    Ok(writer.finish())
}
