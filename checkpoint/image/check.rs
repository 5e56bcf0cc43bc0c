// SPDX-License-Identifier: GPL-2.0

//! The reading side: whether a sequence of records is an image that can be restored.
//!
//! The sequence is a grammar, in [`Place`] and [`Part`]:
//!
//! ```text
//! image   = HEAD object* task{nr_tasks} bulk* TAIL
//! object  = PIPE | SHM [STRING] | INODE STRING | FILE [STRING] [detail]
//! detail  = TTY | EVENTFD | TIMERFD | SIGNALFD | INOTIFY | PIDFD
//! task    = TASK STRING TASK_STATS [CREDS [GROUPS] [USAGE] seccomp [limits] sched
//!           cpu [timers] signals [actions] [undos] [paths] [files] [mm]]
//! seccomp = SECCOMP (FILTER INSNS+){nr_filters}
//! limits  = LIMITS
//! sched   = SCHED [AFFINITY] TASK_ATTRS [STRING]
//! cpu     = THREAD CPU XSTATE
//! timers  = TIMERS TIMER{nr_timers}
//! signals = SIGNALS SIGINFO{nr_pending}
//! actions = PROCESS SIGACTION{nr_actions} SIGINFO{nr_pending}
//! undos   = SEM_UNDO_LIST (SEM_UNDO SEMADJ{nr_adjs}){nr_undos}
//! paths   = FS
//! files   = FILES FD{count} LOCK{nr_locks} OWNER{nr_owners}
//!           EPOLL_ITEM{nr_epoll_items} WATCH{nr_watches}
//! mm      = MM MM_CONTEXT AUXV LDT* (VMA [STRING]){nr_vmas}
//!           POLICY{nr_policies} GUARD{nr_guards} AIO{nr_aio}
//! bulk    = PAGES EXTENTS [PAD] pages | SHARED SHARED_EXTENTS | DATA [PAD] bytes zeros
//! ```
//!
//! An image of one task may end behind TASK_STATS: then there are no objects and no bulk data.
//! Otherwise a task that lives has seccomp, sched, cpu and signals; the leader of a thread group of
//! which any thread lives has limits, timers and actions. It has paths, files and mm if it does not
//! have those of a task before it, and undos if it has a list for them that no task before it has.
//! Nothing but CREDS and USAGE is there of a task that
//! has ended. USAGE is there if TASK says so.
//!
//! The records of all of it are
//! checked before anything is restored, one after the other as they come. A header is judged before
//! its payload is read, so that a reader needs a buffer for one record only.
//!
//! What is left to the reader, because it takes memory of all that was before: whether a reference
//! is to the right kind of object, whether data is within the object, whether pages are of an
//! address space of their task, whether extents are within its mappings, whether pages that are
//! said to be there already are, and what `tree.rs` checks
//! when the reader has all tasks.

use core::slice;

use zerocopy::IntoBytes;

use super::{
    bulk::pad_len,
    creds::NO_ID,
    thread::XCOMP,
    u32s,
    Bulk,
    Context,
    File,
    Header,
    Item,
    Kind,
    Lock,
    Pages,
    Reason,
    Refusal,
    SharedPages,
    Task, //
};
use crate::{
    crc32c,
    uapi, //
};

/// The kernel that an image has to be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel<'a> {
    /// Major, minor and patch: (7, 3, 4) of 7.3.4.
    pub version: (u16, u16, u16),
    /// utsname release. This and the next two are taken up to their first NUL.
    pub release: &'a [u8],
    /// utsname version.
    pub text: &'a [u8],
    /// utsname machine.
    pub machine: &'a [u8],
    /// Bytes per page.
    pub page_size: u32,
}

/// What a reader demands of an image, besides that it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect<'a> {
    /// The kernel that wrote it, [`None`] if any will do.
    pub kernel: Option<Kernel<'a>>,
    /// The id that checkpoint(2) returned, [`None`] if any will do.
    pub crid: Option<i32>,
    /// The flags of checkpoint(2) that the reader takes.
    pub flags: u64,
}

/// Makes [`Part`] of its names, and of which kind the records are that each stands for.
macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident = $kind:ident,)+) => {
        /// What a task is made of, from CREDS on.
        ///
        /// The parts are in the order of their records, but for those that follow each of several
        /// records alike: they are before these, because they come before the next of these. So
        /// what comes next is the first part of which anything is to come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Part {
            $($(#[$doc])* $part,)+
        }

        impl Part {
            /// Every part.
            const ALL: &'static [Part] = &[$(Part::$part,)+];

            /// Returns which record this is.
            const fn kind(self) -> &'static Kind {
                match self {
                    $(Part::$part => &Kind::$kind,)+
                }
            }
        }
    };
}

parts! {
    Groups = Groups,
    Usage = Usage,
    Seccomp = Seccomp,
    /// Of each filter.
    Insns = Insns,
    Filter = Filter,
    Limits = Limits,
    Sched = Sched,
    Affinity = Affinity,
    Attrs = TaskAttrs,
    Label = String,
    /// Of a task without an address space of its own.
    TaskPolicy = Policy,
    Thread = Thread,
    Cpu = Cpu,
    XState = XState,
    Timers = Timers,
    Timer = Timer,
    Signals = Signals,
    /// Those of the thread.
    Pending = SigInfo,
    Process = Process,
    Action = SigAction,
    /// Those of the process.
    Shared = SigInfo,
    SemUndoList = SemUndoList,
    /// Of each set of semaphores.
    SemAdj = SemAdj,
    SemUndo = SemUndo,
    Fs = Fs,
    Files = Files,
    Fd = Fd,
    Lock = Lock,
    Owner = Owner,
    EpollItem = EpollItem,
    Watch = Watch,
    Mm = Mm,
    MmContext = MmContext,
    Auxv = Auxv,
    Ldt = Ldt,
    /// Of each mapping that has one.
    VmaName = String,
    Vma = Vma,
    Policy = Policy,
    Guard = Guard,
    Aio = Aio,
}

impl Part {
    /// Returns how many bytes the payload of a record has at most, if its length varies.
    const fn record_max(self) -> usize {
        match self {
            Part::Insns | Part::Ldt => (uapi::CR_WORDS_MAX as usize).saturating_mul(8),
            _ => uapi::CR_LEN_MAX as usize,
        }
    }
}

/// What is to come of each part of a process: records, or bytes if the length of a record varies.
#[derive(Clone, Copy, Debug)]
struct ToCome {
    left: [usize; Part::ALL.len()],
    /// The parts of which anything is left, a bit for each in their order.
    parts: u64,
}

const _: () = assert!(Part::ALL.len() <= u64::BITS as usize);

impl ToCome {
    /// The parts of which every task that lives has one record.
    const ALIVE: [Part; 6] = [
        Part::Seccomp,
        Part::Sched,
        Part::Attrs,
        Part::Thread,
        Part::Cpu,
        Part::Signals,
    ];
    /// Likewise those of a process.
    const PROCESS: [Part; 3] = [Part::Limits, Part::Timers, Part::Process];
    /// Likewise those of an address space.
    const MM: [Part; 2] = [Part::Mm, Part::MmContext];

    /// Returns what is to come before a task is.
    const fn nothing() -> Self {
        Self {
            left: [0; Part::ALL.len()],
            parts: 0,
        }
    }

    /// Notes that so much is to come.
    fn announce(&mut self, part: Part, count: usize) {
        let bit = 1u64 << part as u32;

        if let Some(left) = self.left.get_mut(part as usize) {
            *left = count;
        }
        match count {
            0 => self.parts &= !bit,
            _ => self.parts |= bit,
        }
    }

    /// Notes that one record of each part is to come, if `present`.
    fn announce_all(&mut self, parts: &[Part], present: bool) {
        for &part in parts.iter().filter(|_| present) {
            self.announce(part, 1);
        }
    }

    /// Notes that a record has come, which is of `len` bytes if its length varies.
    fn came(&mut self, part: Part, len: usize) {
        let came = match part.kind().payload_len() {
            Some(_) => 1,
            None => len,
        };
        let left = self.left.get(part as usize).copied().unwrap_or(0);

        self.announce(part, left.saturating_sub(came));
    }

    /// Returns the place before the next record of a task, [`None`] behind the last.
    fn next(&self) -> Option<Place> {
        let first = self.parts.trailing_zeros() as usize;
        let part = *Part::ALL.get(first)?;
        let left = self.left.get(first).copied().unwrap_or(0);

        Some(Place::Part {
            part,
            len: left.min(part.record_max()),
        })
    }
}

/// Between which records of the grammar a reader is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the first record.
    Begin,
    /// After HEAD, or after an object.
    Object,
    /// After a FILE whose path has so many bytes, and before what else its kind says.
    File {
        path_len: usize,
        absolute: bool,
        detail: &'static [Kind],
    },
    /// After a FILE and its path, before the record that its kind says.
    Detail(&'static [Kind]),
    /// After an INODE whose path has so many bytes.
    Inode { path_len: usize },
    /// After a SHM whose name has so many bytes.
    Shm { name_len: usize },
    /// After a TASK, whose comm has so many bytes.
    Task { comm_len: usize },
    /// After the STRING of a TASK.
    Comm,
    /// After the TASK_STATS of a TASK, which may be all that there is.
    TaskStats { alone: bool },
    /// Before a record of a task, of so many bytes if its length varies.
    Part { part: Part, len: usize },
    /// After a task, before another.
    Tasks,
    /// After the last task, or after bulk data.
    Bulks,
    /// After PAGES.
    Pages(Pages),
    /// After SHARED.
    Shared(SharedPages),
    /// Before bulk data, but not where it can begin.
    Gap { bulk: Bulk, pad_len: usize },
    /// Before bulk data.
    Bulk(Bulk),
    /// After TAIL.
    End,
}

impl Place {
    /// Returns which records may follow.
    const fn expected(self) -> &'static [Kind] {
        match self {
            Place::Begin => &[Kind::Head],
            Place::Object => &[Kind::Task, Kind::Pipe, Kind::Shm, Kind::Inode, Kind::File],
            Place::File { .. } | Place::Inode { .. } | Place::Shm { .. } | Place::Task { .. } => {
                &[Kind::String]
            }
            Place::Detail(detail) => detail,
            Place::Comm => &[Kind::TaskStats],
            Place::TaskStats { alone: true } => &[Kind::Creds, Kind::Tail],
            Place::TaskStats { alone: false } => &[Kind::Creds],
            Place::Tasks => &[Kind::Task],
            Place::Part { part, .. } => slice::from_ref(part.kind()),
            Place::Bulks => &[Kind::Pages, Kind::SharedPages, Kind::Data, Kind::Tail],
            Place::Pages(_) => &[Kind::Extents],
            Place::Shared(_) => &[Kind::SharedExtents],
            Place::Gap { .. } => &[Kind::Pad],
            Place::Bulk(_) | Place::End => &[],
        }
    }

    /// Returns the length that the payload of a record which follows must have.
    fn payload_len(self, kind: Kind) -> Option<usize> {
        if let Some(len) = kind.payload_len() {
            return Some(len.into());
        }
        match self {
            Place::File { path_len: len, .. }
            | Place::Inode { path_len: len }
            | Place::Shm { name_len: len }
            | Place::Task { comm_len: len }
            | Place::Part { len, .. }
            | Place::Gap { pad_len: len, .. } => Some(len),
            Place::Pages(pages) => Some(pages.extents_len()),
            Place::Shared(shared) => Some(shared.extents_len()),
            _ => None,
        }
    }

    /// Returns the place after a FILE.
    fn file(file: &File) -> Self {
        match file.path_len() {
            0 => Place::detail(file.detail()),
            path_len => Place::File {
                path_len,
                // What is said of an external file is no path.
                absolute: file.kind != uapi::CR_FILE_EXTERNAL,
                detail: file.detail(),
            },
        }
    }

    /// Returns the place after a FILE and its path.
    const fn detail(detail: &'static [Kind]) -> Self {
        match detail {
            [] => Place::Object,
            detail => Place::Detail(detail),
        }
    }
}

/// What a reader has to remember of the records before.
#[derive(Clone, Copy, Debug)]
struct Before {
    /// Bytes per page, as HEAD has it.
    page_size: u32,
    /// Pid of the first task, as HEAD has it.
    pid: i32,
    /// How many objects there are.
    objects: u32,
    /// How many tasks there are to be, as HEAD has it, and how many there are.
    nr_tasks: u32,
    tasks: u32,
    /// The last task.
    task: OfTask,
    /// The address space that the last pages are of, and where the last extent ends.
    extent_end: (u32, u64),
    /// Likewise of the last shared pages.
    shared_end: (u32, u64),
    /// The object that the last data is of, and where in it that ends.
    data_end: (u32, u64),
}

/// What a reader has to remember of the records of a task.
#[derive(Clone, Copy, Debug)]
struct OfTask {
    /// What is to come.
    to_come: ToCome,
    /// The parts that it is going to have, if there is more than its statistics.
    parts: ToCome,
    /// It has actions of its own.
    has_actions: bool,
    /// `CR_THREAD_IA32` of its thread, [`None`] before that or without one.
    ia32: Option<u32>,
    /// What its process has permission for, [`None`] before the first thread of it.
    xcomp: Option<u32>,
    /// It comes with an address space.
    has_mm: bool,
    /// The last timer, and how many there are in all.
    timer: i64,
    nr_timers: u32,
    /// The last signal with an action.
    signal: u32,
    /// The last set of semaphores, how many of them it has, and which was the last.
    semid: i32,
    sem_nsems: u32,
    sem_num: i64,
    /// The last descriptor.
    fd: i32,
    /// What has the last lock, of which kind that is, and its last byte.
    lock: (u32, u32, i64),
    /// The last file with an owner.
    owner: u32,
    /// The epoll instance of the last item.
    epoll: u32,
    /// The inotify instance of the last watch, and its number.
    watch: (u32, i32),
    /// Where the last mapping ends.
    vma_end: u64,
    /// Where the last policy ends, [`None`] before the first.
    policy_end: Option<u64>,
    /// Where the last guard region ends.
    guard_end: u64,
    /// Behind the id of the last context of io_setup(2).
    aio_end: u64,
}

impl OfTask {
    /// Nothing is before the first record.
    const NOTHING: Self = Self {
        to_come: ToCome::nothing(),
        parts: ToCome::nothing(),
        has_actions: false,
        ia32: None,
        xcomp: None,
        has_mm: false,
        timer: -1,
        nr_timers: 0,
        signal: 0,
        semid: -1,
        sem_nsems: 0,
        sem_num: -1,
        fd: -1,
        lock: (0, 0, -1),
        owner: 0,
        epoll: 0,
        watch: (0, 0),
        vma_end: 0,
        policy_end: None,
        guard_end: 0,
        aio_end: 0,
    };

    /// Begins with a task.
    fn new(task: &Task) -> Self {
        let mut parts = ToCome::nothing();

        parts.announce_all(&[Part::Usage], task.flags & uapi::CR_TASK_USAGE != 0);
        parts.announce_all(&ToCome::ALIVE, task.is_alive());
        parts.announce_all(&ToCome::PROCESS, task.is_process());
        parts.announce_all(&[Part::SemUndoList], task.has_undo_list());
        parts.announce_all(&[Part::Fs], task.has_fs());
        parts.announce_all(&[Part::Files], task.has_files());
        parts.announce_all(&ToCome::MM, task.has_mm());
        Self {
            parts,
            has_actions: task.sighand == 0,
            has_mm: task.has_mm(),
            ..Self::NOTHING
        }
    }

    /// Holds a record of the task against what was before it, remembers of it what is of importance
    /// for those that come, and notes what it says of them.
    fn part(&mut self, item: &Item<'_>) -> Result<(), Reason> {
        let to_come = &mut self.to_come;

        match *item {
            Item::Groups(groups) if u32s(groups).any(|group| group == NO_ID) => {
                return Err(Reason::NoId { field: "group" });
            }
            Item::Seccomp(seccomp) => to_come.announce(Part::Filter, seccomp.nr_filters as usize),
            Item::Filter(filter) => to_come.announce(Part::Insns, filter.insns_len()),
            Item::Sched(sched) => to_come.announce(Part::Affinity, sched.affinity_len()),
            Item::TaskAttrs(attrs) => {
                to_come.announce(Part::Label, attrs.label_len());
                let known = match self.has_mm {
                    // It is among those of the address space.
                    true => !uapi::CR_ATTR_POLICY,
                    false => u32::MAX,
                };
                Reason::unless_bits("flags", attrs.flags, known)?;
                let has_policy = attrs.flags & uapi::CR_ATTR_POLICY != 0;
                to_come.announce(Part::TaskPolicy, usize::from(has_policy));
            }
            Item::Thread(thread) => {
                to_come.announce(Part::XState, thread.xstate_len());
                self.ia32 = Some(thread.flags & uapi::CR_THREAD_IA32);
                let xcomp = thread.flags & XCOMP;
                Reason::unless_equal("flags", xcomp, self.xcomp.unwrap_or(xcomp))?;
                self.xcomp = Some(xcomp);
            }

            Item::Timers(timers) => {
                to_come.announce(Part::Timer, timers.nr_timers as usize);
                self.nr_timers = timers.nr_timers;
            }
            Item::Timer(timer) => {
                let next = self.timer.saturating_add(1);
                Reason::unless_in("id", timer.id, next, i64::MAX)?;
                self.timer = timer.id.into();
            }

            Item::Process(process) => {
                let max = match self.has_actions {
                    true => u32::MAX,
                    false => 0,
                };
                Reason::unless_in("nr_actions", process.nr_actions, 0, max)?;
                to_come.announce(Part::Action, process.nr_actions as usize);
                to_come.announce(Part::Shared, process.nr_pending as usize);
            }
            Item::Signals(signals) => {
                to_come.announce(Part::Pending, signals.nr_pending as usize);
            }
            Item::SigAction(action) => {
                let next = self.signal.saturating_add(1);
                Reason::unless_in("signal", action.signal, next, i64::MAX)?;
                self.signal = action.signal;
            }
            Item::SigInfo(pending) => {
                Reason::unless_in("timer", pending.timer, 0, self.nr_timers)?;
            }

            Item::SemUndoList(list) => to_come.announce(Part::SemUndo, list.nr_undos as usize),
            Item::SemUndo(undo) => {
                to_come.announce(Part::SemAdj, undo.nr_adjs as usize);
                let next = i64::from(self.semid).saturating_add(1);
                Reason::unless_in("semid", undo.semid, next, i64::MAX)?;
                self.semid = undo.semid;
                self.sem_nsems = undo.sem_nsems;
                self.sem_num = -1;
            }
            Item::SemAdj(adj) => {
                let next = self.sem_num.saturating_add(1);
                let last = self.sem_nsems.saturating_sub(1);
                Reason::unless_in("sem_num", adj.sem_num, next, last)?;
                self.sem_num = adj.sem_num.into();
            }

            Item::Files(files) => {
                to_come.announce(Part::Fd, files.count as usize);
                to_come.announce(Part::Lock, files.nr_locks as usize);
                to_come.announce(Part::Owner, files.nr_owners as usize);
                to_come.announce(Part::EpollItem, files.nr_epoll_items as usize);
                to_come.announce(Part::Watch, files.nr_watches as usize);
            }
            Item::Fd(fd) => {
                let next = i64::from(self.fd).saturating_add(1);
                Reason::unless_in("fd", fd.fd, next, i64::MAX)?;
                self.fd = fd.fd;
            }
            Item::Lock(lock) => self.lock(&lock)?,
            Item::Owner(owner) => {
                let next = self.owner.saturating_add(1);
                Reason::unless_in("objref", owner.objref, next, i64::MAX)?;
                self.owner = owner.objref;
            }
            Item::EpollItem(item) => {
                Reason::unless_in("objref", item.objref, self.epoll, i64::MAX)?;
                self.epoll = item.objref;
            }
            Item::Watch(watch) => {
                let (objref, wd) = self.watch;
                Reason::unless_in("objref", watch.objref, objref, i64::MAX)?;
                if watch.objref == objref {
                    Reason::unless_in("wd", watch.wd, i64::from(wd).saturating_add(1), i64::MAX)?;
                }
                self.watch = (watch.objref, watch.wd);
            }

            Item::Mm(mm) => {
                to_come.announce(Part::Auxv, mm.auxv_len());
                to_come.announce(Part::Vma, mm.nr_vmas as usize);
                to_come.announce(Part::Policy, mm.nr_policies as usize);
                to_come.announce(Part::Guard, mm.nr_guards as usize);
                to_come.announce(Part::Aio, mm.nr_aio as usize);
            }
            Item::MmContext(context) => {
                to_come.announce(Part::Ldt, context.ldt_len());
                if let Some(ia32) = self.ia32 {
                    Reason::unless_equal("flags", context.flags, ia32)?;
                }
            }
            Item::Vma(vma) => {
                to_come.announce(Part::VmaName, vma.name_len());
                Reason::unless_not_below("start", vma.start, self.vma_end)?;
                self.vma_end = vma.end;
            }
            Item::Policy(policy) if !self.has_mm => {
                Reason::unless_max("end", policy.end, 0)?;
            }
            Item::Policy(policy) => {
                if let Some(end) = self.policy_end {
                    Reason::unless_not_below("start", policy.start, end)?;
                    // Only the first may be that of the task.
                    Reason::unless_not_below("end", policy.end, policy.start.saturating_add(1))?;
                }
                self.policy_end = Some(policy.end);
            }
            Item::Guard(guard) => {
                Reason::unless_not_below("start", guard.start, self.guard_end)?;
                self.guard_end = guard.end;
            }
            Item::Aio(aio) => {
                Reason::unless_not_below("id", aio.id, self.aio_end)?;
                self.aio_end = aio.id.saturating_add(1);
            }

            // What is of a label or name.
            Item::Text(text) if text.contains(&0) => return Err(Reason::NulInText),
            _ => (),
        }
        Ok(())
    }

    /// Holds a lock against the one before it, and remembers it.
    fn lock(&mut self, lock: &Lock) -> Result<(), Reason> {
        let (objref, kind, end) = self.lock;

        Reason::unless_in("objref", lock.objref, objref, i64::MAX)?;
        if lock.objref == objref {
            Reason::unless_in("kind", lock.kind, kind, i64::MAX)?;
            if lock.kind == kind {
                // Nothing is behind the last byte that there can be.
                let next = end.checked_add(1).ok_or(Reason::OverLimit {
                    field: "start",
                    found: lock.start,
                    limit: -1,
                })?;
                Reason::unless_in("start", lock.start, next, i64::MAX)?;
            }
        }
        self.lock = (lock.objref, lock.kind, lock.end);
        Ok(())
    }
}

impl Before {
    /// Nothing is before the first record.
    const NOTHING: Self = Self {
        page_size: 1,
        pid: 0,
        objects: 0,
        nr_tasks: 0,
        tasks: 0,
        task: OfTask::NOTHING,
        extent_end: (0, 0),
        shared_end: (0, 0),
        data_end: (0, 0),
    };

    /// Holds a task against those before it, and begins with it.
    fn task(&mut self, task: &Task) -> Result<(), Reason> {
        if self.tasks == 0 {
            Reason::unless_equal("pid", task.pid, self.pid)?;
            Reason::unless_equal("tgid", task.tgid, self.pid)?;
            Reason::unless_equal("ppid", task.ppid, 0)?;
            Reason::unless_in("mm", task.mm, 0, 0)?;
            // It is made of the caller of restart(2), so there is a process.
            if !task.is_process() {
                return Err(Reason::unknown("exit_state", task.exit_state));
            }
        } else if task.is_leader() {
            Reason::unless_in("ppid", task.ppid, 1, i32::MAX)?;
        }
        for (field, found) in [
            ("mm", task.mm),
            ("files", task.files),
            ("fs", task.fs),
            ("sighand", task.sighand),
            ("sysvsem", task.sysvsem),
        ] {
            Reason::unless_in(field, found, 0, self.tasks)?;
        }
        // A thread has those of its leader.
        if !task.is_leader() {
            Reason::unless_in("mm", task.mm, 1, self.tasks)?;
            Reason::unless_in("sighand", task.sighand, 1, self.tasks)?;
        }
        // A thread may have signals of timers, which are those of its process.
        let (nr_timers, xcomp) = match task.is_leader() {
            true => (0, None),
            false => (self.task.nr_timers, self.task.xcomp),
        };
        self.tasks = self.tasks.saturating_add(1);
        self.task = OfTask {
            nr_timers,
            xcomp,
            ..OfTask::new(task)
        };
        Ok(())
    }

    /// Returns the place where the next record of the task is, or that behind the task.
    fn next(&self) -> Place {
        match self.task.to_come.next() {
            Some(place) => place,
            None if self.tasks < self.nr_tasks => Place::Tasks,
            None => Place::Bulks,
        }
    }

    /// Holds `item`, which may stand at `place`, against what was before it, and remembers of it
    /// what is of importance for those that come. `end` is where the record ends.
    ///
    /// Returns the place after it.
    fn follow(
        &mut self,
        place: Place,
        item: &Item<'_>,
        context: &Context<'_>,
        end: u64,
    ) -> Result<Place, Reason> {
        if let Place::Part { part, len } = place {
            self.task.to_come.came(part, len);
            self.task.part(item)?;
            return Ok(self.next());
        }

        Ok(match *item {
            Item::Head(head) => {
                self.page_size = head.page_size;
                self.pid = head.pid;
                self.nr_tasks = head.nr_tasks;
                Place::Object
            }
            Item::Pipe(pipe) => {
                self.objects = pipe.objref;
                Place::Object
            }
            Item::Shm(shm) => {
                self.objects = shm.objref;
                match shm.name_len() {
                    0 => Place::Object,
                    name_len => Place::Shm { name_len },
                }
            }
            Item::Inode(inode) => {
                self.objects = inode.objref;
                Place::Inode {
                    path_len: inode.path_len(),
                }
            }
            Item::File(file) => {
                self.objects = file.objref;
                Place::file(&file)
            }
            Item::Tty(_)
            | Item::EventFd(_)
            | Item::TimerFd(_)
            | Item::SignalFd(_)
            | Item::Inotify(_)
            | Item::PidFd(_) => Place::Object,
            Item::Text(text) => after_text(place, text)?,
            Item::Task(task) => {
                self.task(&task)?;
                Place::Task {
                    comm_len: task.comm_len(),
                }
            }
            Item::TaskStats(_) => Place::TaskStats {
                alone: self.objects == 0 && self.nr_tasks == 1,
            },
            Item::Creds(creds) => {
                self.task.to_come = self.task.parts;
                self.task.to_come.announce(Part::Groups, creds.groups_len());
                self.next()
            }

            Item::Pages(pages) => {
                // Address spaces in their order.
                let first = self.extent_end.0.max(self.shared_end.0);
                Reason::unless_in("task", pages.task, first, self.tasks)?;
                Place::Pages(pages)
            }
            Item::SharedPages(shared) => {
                // So that mappings are related before they have pages of their own.
                let first = self.extent_end.0.saturating_add(1).max(self.shared_end.0);
                Reason::unless_in("task", shared.task, first, self.tasks)?;
                Place::Shared(shared)
            }
            Item::SharedExtents(extents) => {
                let Place::Shared(shared) = place else {
                    return Err(Reason::Protocol);
                };
                let begin = match self.shared_end {
                    (task, end) if task == shared.task => end,
                    _ => 0,
                };
                self.shared_end = (shared.task, extents.check(&shared, begin, context)?);
                Place::Bulk(Bulk::of_shared(&shared))
            }
            Item::Extents(extents) => {
                let Place::Pages(pages) = place else {
                    return Err(Reason::Protocol);
                };
                // And in each from front to back.
                let begin = match self.extent_end {
                    (task, end) if task == pages.task => end,
                    _ => 0,
                };
                self.extent_end = (pages.task, extents.check(&pages, begin, context)?);
                self.announced(Bulk::of_pages(&pages, self.page_size), end)
            }
            Item::Data(data) => {
                // Objects in their order, and in each from front to back.
                let (objref, data_end) = self.data_end;
                Reason::unless_in("objref", data.objref, objref, i64::MAX)?;
                if data.objref == objref {
                    Reason::unless_not_below("offset", data.offset, data_end)?;
                }
                self.data_end = (data.objref, data.offset.saturating_add(data.len));
                self.announced(Bulk::of_data(&data), end)
            }
            Item::Pad(_) => match place {
                Place::Gap { bulk, .. } => self.announced(bulk, end),
                _ => return Err(Reason::Protocol),
            },

            Item::Tail(_) => Place::End,
            _ => return Err(Reason::Protocol),
        })
    }

    /// Returns the place at `offset` after what announces `bulk`.
    fn announced(&self, bulk: Bulk, offset: u64) -> Place {
        match pad_len(offset, self.page_size) {
            Some(pad_len) => Place::Gap { bulk, pad_len },
            None => Place::Bulk(bulk),
        }
    }
}

/// Checks the text of a STRING that belongs to an object or task, and returns the place after it.
fn after_text(place: Place, text: &[u8]) -> Result<Place, Reason> {
    let (absolute, after) = match place {
        // The comm of a task is as long as its buffer.
        Place::Task { .. } => return Ok(Place::Comm),
        Place::File {
            absolute, detail, ..
        } => (absolute, Place::detail(detail)),
        Place::Inode { .. } => (true, Place::Object),
        Place::Shm { .. } => (false, Place::Object),
        _ => return Err(Reason::Protocol),
    };
    if absolute && !text.starts_with(b"/") {
        return Err(Reason::RelativePath);
    }
    if text.contains(&0) {
        return Err(Reason::NulInText);
    }
    Ok(after)
}

/// What a [`Checker`] waits for.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A header, at this place. Bulk data, if the place is before that.
    Header(Place),
    /// The payload behind a header that is as it should be.
    Payload(Place, Kind, Header),
    /// Nothing: the image has been refused.
    Refused(Refusal),
}

/// What is known of that which comes behind the header or payload that is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// At least so many bytes of records; bulk data, or the end, may come then.
    Bytes(usize),
    /// Records, of which there are many.
    Records,
}

/// Checks an image, record by record.
///
/// For each record, a reader reads [`Header::SIZE`] bytes, hands them to [`Self::header`], reads
/// [`Header::padded_len`] bytes more, and hands them to [`Self::payload`], until [`Self::done`].
/// Where [`Self::bulk`] tells that bulk data comes next, a reader reads that, in pieces of any size,
/// and tells its checksum in [`Self::bulk_done`].
///
/// An image that has been refused stays so: every call after that returns the same.
///
/// # Examples
///
/// ```ignore
/// let mut checker = Checker::new(expect);
/// while !checker.done() {
///     if let Some(bulk) = checker.bulk() {
///         let crc = crc32c(0, read(bulk.len)?);
///         checker.bulk_done(crc, read(bulk.padding_len())?)?;
///         continue;
///     }
///     let header = checker.header(&read_header()?)?;
///     match checker.payload(read(header.padded_len())?)? {
///         Item::Task(task) => ...,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Checker<'a> {
    expect: Expect<'a>,
    step: Step,
    before: Before,
    /// CRC-32C of everything up to here, bulk data left out.
    crc: u32,
    /// Where the record begins that is being read, or was read last, and what its type is.
    record: u64,
    kind: i16,
    /// Where the last record begins that announces bulk data, and what it is.
    announcement: (u64, Kind),
    /// Where the next bytes to be handed in are.
    offset: u64,
}

impl<'a> Checker<'a> {
    /// Begins to check an image.
    pub const fn new(expect: Expect<'a>) -> Self {
        Self {
            expect,
            step: Step::Header(Place::Begin),
            before: Before::NOTHING,
            crc: 0,
            record: 0,
            kind: 0,
            announcement: (0, Kind::Data),
            offset: 0,
        }
    }

    /// Returns whether the image is complete. Nothing more must be read then.
    pub const fn done(&self) -> bool {
        matches!(self.step, Step::Header(Place::End))
    }

    /// Returns how many bytes have been handed in. Bulk data counts as a whole, when it is done.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns where the record begins whose header was handed in last.
    pub const fn record_offset(&self) -> u64 {
        self.record
    }

    /// Returns what comes behind the bytes that are to be handed in next: a reader may read some of
    /// it with them.
    pub const fn behind(&self) -> Behind {
        match self.step {
            Step::Payload(
                _,
                Kind::Extents | Kind::SharedExtents | Kind::Pad | Kind::Data | Kind::Tail,
                _,
            ) => Behind::Bytes(0),
            Step::Payload(Place::Bulks, ..) => Behind::Bytes(Header::SIZE),
            Step::Header(Place::Gap { pad_len, .. }) => Behind::Bytes(pad_len),
            Step::Header(
                Place::Bulks | Place::Pages(_) | Place::Shared(_) | Place::Bulk(_) | Place::End,
            )
            | Step::Refused(_) => Behind::Bytes(0),
            Step::Payload(..) | Step::Header(_) => Behind::Records,
        }
    }

    /// Returns the bulk data that comes next, [`None`] if a record does.
    pub const fn bulk(&self) -> Option<Bulk> {
        match self.step {
            Step::Header(Place::Bulk(bulk)) => Some(bulk),
            _ => None,
        }
    }

    /// Checks the header of the next record.
    pub fn header(&mut self, bytes: &[u8; Header::SIZE]) -> Result<Header, Refusal> {
        let place = match self.step {
            Step::Header(Place::Bulk(_)) => return Err(self.refuse_bulk(Reason::Protocol)),
            Step::Header(place) => place,
            Step::Payload(_, _, header) => {
                return Err(self.refuse(header.kind, Reason::Protocol));
            }
            Step::Refused(refusal) => return Err(refusal),
        };

        self.record = self.offset;
        self.advance(bytes.len());
        let header = Header::parse(bytes);
        self.kind = header.kind;
        match check_header(place, &header) {
            Ok(kind) => {
                self.step = Step::Payload(place, kind, header);
                Ok(header)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Checks the payload behind the last header, and the padding behind that.
    ///
    /// `padded` has [`Header::padded_len`] bytes.
    pub fn payload<'p>(&mut self, padded: &'p [u8]) -> Result<Item<'p>, Refusal> {
        let (place, kind, header) = match self.step {
            Step::Payload(place, kind, header) => (place, kind, header),
            Step::Header(Place::Bulk(_)) => return Err(self.refuse_bulk(Reason::Protocol)),
            Step::Header(_) => return Err(self.refuse(0, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        self.advance(padded.len());
        match self.check_payload(place, kind, &header, padded) {
            Ok((item, place)) => {
                if matches!(kind, Kind::Pages | Kind::SharedPages | Kind::Data) {
                    self.announcement = (self.record, kind);
                }
                self.crc = crc32c(crc32c(self.crc, header.as_bytes()), padded);
                self.step = Step::Header(place);
                Ok(item)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Checks the bulk data that [`Self::bulk`] has told of, after all of it has been read.
    ///
    /// `crc` is the CRC-32C of the first [`Bulk::len`] bytes; `padding` are the
    /// [`Bulk::padding_len`] bytes behind them.
    pub fn bulk_done(&mut self, crc: u32, padding: &[u8]) -> Result<(), Refusal> {
        let bulk = match self.step {
            Step::Header(Place::Bulk(bulk)) => bulk,
            Step::Payload(_, _, header) => {
                return Err(self.refuse(header.kind, Reason::Protocol));
            }
            Step::Header(_) => return Err(self.refuse(0, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        if padding.len() != bulk.padding_len() {
            return Err(self.refuse_bulk(Reason::Protocol));
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.refuse_bulk(Reason::Padding));
        }
        if crc != bulk.crc {
            return Err(self.refuse_bulk(Reason::BulkChecksum {
                found: bulk.crc,
                computed: crc,
            }));
        }
        self.offset = self.offset.saturating_add(bulk.padded);
        self.step = Step::Header(Place::Bulks);
        Ok(())
    }

    /// Refuses the image because it ends after `found` of the bytes that were to be read next: a
    /// header, a payload, or bulk data from its begin on.
    pub fn truncated(&mut self, found: usize) -> Refusal {
        let (record, expected) = match self.step {
            Step::Header(Place::Bulk(bulk)) => {
                let expected = usize::try_from(bulk.padded).unwrap_or(usize::MAX);
                return self.refuse_bulk(Reason::Truncated { found, expected });
            }
            Step::Header(_) => {
                self.record = self.offset;
                (0, Header::SIZE)
            }
            Step::Payload(_, _, header) => (header.kind, header.padded_len()),
            Step::Refused(refusal) => return refusal,
        };
        self.refuse(record, Reason::Truncated { found, expected })
    }

    /// Refuses the record that [`Self::payload`] returned last, for a reason that only the reader
    /// can find: see the head of this file.
    pub fn refuse_last(&mut self, reason: Reason) -> Refusal {
        match self.step {
            Step::Refused(refusal) => refusal,
            // What announced the data, not the padding before it.
            Step::Header(Place::Bulk(_)) => self.refuse_bulk(reason),
            _ => self.refuse(self.kind, reason),
        }
    }

    /// Likewise refuses a record before that: the one of this kind at `offset`.
    pub fn refuse_at(&mut self, offset: u64, kind: Kind, reason: Reason) -> Refusal {
        match self.step {
            Step::Refused(refusal) => refusal,
            _ => {
                self.record = offset;
                self.refuse(kind.number(), reason)
            }
        }
    }

    /// Refuses the record that announces the bulk data which comes next.
    fn refuse_bulk(&mut self, reason: Reason) -> Refusal {
        let (record, kind) = self.announcement;
        self.record = record;
        self.refuse(kind.number(), reason)
    }

    fn check_payload<'p>(
        &mut self,
        place: Place,
        kind: Kind,
        header: &Header,
        padded: &'p [u8],
    ) -> Result<(Item<'p>, Place), Reason> {
        if padded.len() != header.padded_len() {
            return Err(Reason::Protocol);
        }
        let (payload, padding) = header
            .payload_len()
            .and_then(|len| padded.split_at_checked(len))
            .ok_or(Reason::Protocol)?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Reason::Padding);
        }
        if kind == Kind::Pad && payload.iter().any(|&byte| byte != 0) {
            return Err(Reason::Padding);
        }
        let context = Context {
            expect: &self.expect,
            crc: self.crc,
            page_size: self.before.page_size,
            objects: self.before.objects,
        };
        let item = Item::decode(kind, payload, &context)?;
        let place = self.before.follow(place, &item, &context, self.offset)?;
        Ok((item, place))
    }

    fn advance(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    fn refuse(&mut self, record: i16, reason: Reason) -> Refusal {
        let refusal = Refusal {
            offset: self.record,
            record,
            reason,
        };
        self.step = Step::Refused(refusal);
        refusal
    }
}

/// Returns which record begins with `header`, if it may stand at `place`.
fn check_header(place: Place, header: &Header) -> Result<Kind, Reason> {
    let Some(kind) = Kind::from_number(header.kind) else {
        let swapped = Kind::from_number(header.kind.swap_bytes());
        return Err(match (place, swapped) {
            (Place::Begin, Some(Kind::Head)) => Reason::ByteOrder,
            _ => Reason::UnknownType,
        });
    };

    let expected = place.expected();
    if !expected.contains(&kind) {
        return Err(Reason::Order { expected });
    }
    // What a record belongs to is told by its place.
    if header.parent != 0 {
        return Err(Reason::Parent {
            found: header.parent,
        });
    }
    let found = header
        .payload_len()
        .ok_or(Reason::NegativeLength { found: header.len })?;
    match place.payload_len(kind) {
        Some(expected) if expected != found => Err(Reason::Length { found, expected }),
        _ => Ok(kind),
    }
}
