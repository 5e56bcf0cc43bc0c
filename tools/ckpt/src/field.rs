// SPDX-License-Identifier: GPL-2.0

//! How the fields of records are shown.
//!
//! Which fields a record has, and where, comes from the records themselves; what is here only
//! makes some of them easier to read, and needs no change when a record gets more fields.

use ckpt_image::image::{name_of, Value};
use ckpt_image::{uapi, RawRecord};
use serde::{Serialize, Serializer};

use crate::text;

/// Bits and their names.
type Bits = &'static [(u64, &'static str)];

/// Numbers and their names.
type Names = &'static [(u64, &'static str)];

/// What a field is, where its type does not say it.
#[derive(Clone, Copy)]
enum Meaning {
    Plain,
    /// A magic number: hexadecimal.
    Magic,
    Checksum,
    Flags(Bits),
    /// One of some numbers.
    Kind(Names),
    /// An address, a register, or a set: hexadecimal.
    Hex,
    /// A file's type and permissions.
    Mode,
    /// major << 32 | minor
    Device,
    Signal,
    /// A `siginfo_t`.
    SigInfo,
    /// Seconds since 1970.
    Time,
    /// Nanoseconds since 1970.
    TimeInNanos,
    /// Nanoseconds.
    Duration,
    /// Resource limits.
    Limits,
    /// Nanoseconds, or that there is no limit.
    Timeout,
    /// The last byte of a lock, which may be the last that there can be.
    LastByte,
    ExitSignal,
}

/// `name` without the `prefix` that it begins with.
const fn without(prefix: &str, name: &'static str) -> &'static str {
    let (_, rest) = name.as_bytes().split_at(prefix.len());
    match core::str::from_utf8(rest) {
        Ok(rest) => rest,
        Err(_) => name,
    }
}

/// Constants of the ABI, which are shown by their names without the prefix.
macro_rules! bits {
    ($prefix:literal, $($name:ident),+ $(,)?) => {
        &[$((uapi::$name as u64, without($prefix, stringify!($name)))),+]
    };
}

const CHECKPOINT: Bits = bits!(
    "",
    CHECKPOINT_LOG,
    CHECKPOINT_KILL,
    CHECKPOINT_STOP,
    CHECKPOINT_INHERIT,
    CHECKPOINT_CONTAINER,
);

/// `O_*` of x86, without `O_RDONLY` and so on.
const OPEN: Bits = &[
    (0o1, "WRONLY"),
    (0o2, "RDWR"),
    (0o2_000, "APPEND"),
    (0o4_000, "NONBLOCK"),
    // O_SYNC has the bit of O_DSYNC, too.
    (0o4_010_000, "SYNC"),
    (0o10_000, "DSYNC"),
    (0o20_000, "ASYNC"),
    (0o40_000, "DIRECT"),
    (0o100_000, "LARGEFILE"),
    (0o200_000, "DIRECTORY"),
    (0o400_000, "NOFOLLOW"),
    (0o1_000_000, "NOATIME"),
    (0o2_000_000, "CLOEXEC"),
    (0o10_000_000, "PATH"),
];

const SEALS: Bits = &[
    (0x1, "SEAL"),
    (0x2, "SHRINK"),
    (0x4, "GROW"),
    (0x8, "WRITE"),
    (0x10, "FUTURE_WRITE"),
    (0x20, "EXEC"),
];

const SIGACTION: Bits = &[
    (0x1, "NOCLDSTOP"),
    (0x2, "NOCLDWAIT"),
    (0x4, "SIGINFO"),
    (0x800, "EXPOSE_TAGBITS"),
    (uapi::CR_SA_X32 as u64, "X32"),
    (uapi::CR_SA_IA32 as u64, "IA32"),
    (0x0400_0000, "RESTORER"),
    (0x0800_0000, "ONSTACK"),
    (0x1000_0000, "RESTART"),
    (0x4000_0000, "NODEFER"),
    (0x8000_0000, "RESETHAND"),
];

const ALTSTACK: Bits = &[(1, "ONSTACK"), (2, "DISABLE"), (1 << 31, "AUTODISARM")];

const TASK: Bits = bits!(
    "CR_TASK_",
    CR_TASK_OUTLIVED,
    CR_TASK_AUTOREAP,
    CR_TASK_TTY,
    CR_TASK_FOREGROUND,
    CR_TASK_STRANGER,
    CR_TASK_USAGE,
    CR_TASK_SYSVSEM,
);

const PROCESS: Bits = bits!(
    "CR_PROCESS_",
    CR_PROCESS_STOPPED,
    CR_PROCESS_STOP_TOLD,
    CR_PROCESS_STOP_SEEN,
    CR_PROCESS_CONTINUED,
    CR_PROCESS_TELL_STOPPED,
    CR_PROCESS_TELL_CONTINUED,
);

const SIGNALS: Bits = bits!("CR_SIGNALS_", CR_SIGNALS_RESTORE_MASK);

const PIPE: Bits = bits!("CR_PIPE_", CR_PIPE_PACKETS);

const SHM: Bits = bits!("CR_SHM_", CR_SHM_MEMFD, CR_SHM_NORESERVE, CR_SHM_HUGETLB);

const INODE: Bits = bits!("CR_INODE_", CR_INODE_LINKABLE);

const EVENTFD: Bits = bits!("CR_EVENTFD_", CR_EVENTFD_SEMAPHORE);

const TIMERFD: Bits = bits!(
    "CR_TIMERFD_",
    CR_TIMERFD_ARMED,
    CR_TIMERFD_ABSTIME,
    CR_TIMERFD_CANCEL,
    CR_TIMERFD_CANCELED,
);

const FILTER: Bits = bits!("CR_FILTER_", CR_FILTER_LOG);

const SCHED: Bits = bits!(
    "CR_SCHED_",
    CR_SCHED_RESET_ON_FORK,
    CR_SCHED_RECLAIM,
    CR_SCHED_DL_OVERRUN,
    CR_SCHED_UTIL_MIN,
    CR_SCHED_UTIL_MAX,
    CR_SCHED_SLICE,
);

const ATTR: Bits = bits!(
    "CR_ATTR_",
    CR_ATTR_SUBREAPER,
    CR_ATTR_IO_FLUSHER,
    CR_ATTR_MCE_SET,
    CR_ATTR_MCE_EARLY,
    CR_ATTR_NO_TSC,
    CR_ATTR_NO_CPUID,
    CR_ATTR_CORE_SCHED,
    CR_ATTR_LOGINUID,
    CR_ATTR_POLICY,
);

/// `PR_SPEC_*`
const SPECULATION: Bits = &[
    (0x1, "PRCTL"),
    (0x2, "ENABLE"),
    (0x4, "DISABLE"),
    (0x8, "FORCE_DISABLE"),
    (0x10, "DISABLE_NOEXEC"),
];

const THREAD: Bits = bits!(
    "CR_THREAD_",
    CR_THREAD_IA32,
    CR_THREAD_RESTART_COMPAT,
    CR_THREAD_DISPATCH,
    CR_THREAD_XCOMP_PERM,
    CR_THREAD_XCOMP_GUEST_PERM,
    CR_THREAD_XCOMP_GUEST_LOCKED,
    CR_THREAD_XTILE_DATA,
);

const MM_CONTEXT: Bits = bits!("CR_THREAD_", CR_THREAD_IA32);

const TIMERS: Bits = bits!(
    "CR_TIMERS_",
    CR_TIMERS_VIRTUAL,
    CR_TIMERS_PROF,
    CR_TIMERS_REAL,
    CR_TIMERS_RESTORE_IDS,
);

const TIMER: Bits = bits!(
    "CR_TIMER_",
    CR_TIMER_ARMED,
    CR_TIMER_ABSTIME,
    CR_TIMER_THREAD_ENDED,
    CR_TIMER_CLOCK_ENDED,
);

/// `EPOLL*`
const EPOLL_EVENTS: Bits = &[
    (0x1, "IN"),
    (0x2, "PRI"),
    (0x4, "OUT"),
    (0x8, "ERR"),
    (0x10, "HUP"),
    (0x20, "NVAL"),
    (0x40, "RDNORM"),
    (0x80, "RDBAND"),
    (0x100, "WRNORM"),
    (0x200, "WRBAND"),
    (0x400, "MSG"),
    (0x2000, "RDHUP"),
    (1 << 28, "EXCLUSIVE"),
    (1 << 29, "WAKEUP"),
    (1 << 30, "ONESHOT"),
    (1 << 31, "ET"),
];

const EPOLL_ITEM: Bits = bits!("CR_EPOLL_", CR_EPOLL_READY);

/// `IN_*`
const WATCH: Bits = &[
    (0x1, "ACCESS"),
    (0x2, "MODIFY"),
    (0x4, "ATTRIB"),
    (0x8, "CLOSE_WRITE"),
    (0x10, "CLOSE_NOWRITE"),
    (0x20, "OPEN"),
    (0x40, "MOVED_FROM"),
    (0x80, "MOVED_TO"),
    (0x100, "CREATE"),
    (0x200, "DELETE"),
    (0x400, "DELETE_SELF"),
    (0x800, "MOVE_SELF"),
    (1 << 26, "EXCL_UNLINK"),
    (1 << 31, "ONESHOT"),
];

/// `MEMBARRIER_CMD_REGISTER_*`
const MEMBARRIER: Bits = &[
    (1 << 2, "GLOBAL_EXPEDITED"),
    (1 << 4, "PRIVATE_EXPEDITED"),
    (1 << 6, "PRIVATE_EXPEDITED_SYNC_CORE"),
    (1 << 8, "PRIVATE_EXPEDITED_RSEQ"),
];

/// `MPOL_F_*`
const POLICY: Bits = &[
    (1 << 13, "NUMA_BALANCING"),
    (1 << 14, "RELATIVE_NODES"),
    (1 << 15, "STATIC_NODES"),
];

const FD: Bits = bits!("CR_FD_", CR_FD_CLOEXEC);

const MM: Bits = &[
    (1, "DUMPABLE"),
    (2, "DUMPABLE_BY_ROOT"),
    (4, "DUMP_ANON_PRIVATE"),
    (8, "DUMP_ANON_SHARED"),
    (0x10, "DUMP_FILE_PRIVATE"),
    (0x20, "DUMP_FILE_SHARED"),
    (0x40, "DUMP_ELF_HEADERS"),
    (0x80, "DUMP_HUGETLB_PRIVATE"),
    (0x100, "DUMP_HUGETLB_SHARED"),
    (0x200, "DUMP_DAX_PRIVATE"),
    (0x400, "DUMP_DAX_SHARED"),
    (uapi::CR_MM_THP_DISABLE as u64, "THP_DISABLE"),
    (uapi::CR_MM_MERGE_ANY as u64, "MERGE_ANY"),
    (uapi::CR_MM_MDWE as u64, "MDWE"),
    (uapi::CR_MM_MDWE_NO_INHERIT as u64, "MDWE_NO_INHERIT"),
    (uapi::CR_MM_LOCK_FUTURE as u64, "LOCK_FUTURE"),
    (uapi::CR_MM_LOCK_ONFAULT as u64, "LOCK_ONFAULT"),
    (uapi::CR_MM_THP_EXCEPT_ADVISED as u64, "THP_EXCEPT_ADVISED"),
];

const VMA: Bits = bits!(
    "CR_VMA_",
    CR_VMA_READ,
    CR_VMA_WRITE,
    CR_VMA_EXEC,
    CR_VMA_SHARED,
    CR_VMA_GROWSDOWN,
    CR_VMA_LOCKED,
    CR_VMA_LOCKONFAULT,
    CR_VMA_DONTFORK,
    CR_VMA_WIPEONFORK,
    CR_VMA_DONTDUMP,
    CR_VMA_HUGEPAGE,
    CR_VMA_NOHUGEPAGE,
    CR_VMA_MERGEABLE,
    CR_VMA_NORESERVE,
    CR_VMA_SEQ_READ,
    CR_VMA_RAND_READ,
    CR_VMA_SEALED,
    CR_VMA_ACCOUNT,
    CR_VMA_HUGETLB,
    CR_VMA_DROPPABLE,
);

const FILE_KIND: Names = &[
    (uapi::CR_FILE_REG as u64, "regular file"),
    (uapi::CR_FILE_DIR as u64, "directory"),
    (uapi::CR_FILE_CHR as u64, "character device"),
    (uapi::CR_FILE_FIFO as u64, "FIFO"),
    (uapi::CR_FILE_PIPE as u64, "pipe"),
    (uapi::CR_FILE_SHM as u64, "shared memory"),
    (uapi::CR_FILE_PATH as u64, "path"),
    (uapi::CR_FILE_TTY as u64, "terminal"),
    (uapi::CR_FILE_INHERIT as u64, "the restarter's"),
    (uapi::CR_FILE_IMAGE as u64, "the image"),
    (uapi::CR_FILE_EVENTFD as u64, "eventfd"),
    (uapi::CR_FILE_TIMERFD as u64, "timerfd"),
    (uapi::CR_FILE_SIGNALFD as u64, "signalfd"),
    (uapi::CR_FILE_EPOLL as u64, "epoll"),
    (uapi::CR_FILE_INOTIFY as u64, "inotify"),
    (uapi::CR_FILE_PIDFD as u64, "pidfd"),
    (uapi::CR_FILE_PROC as u64, "in /proc"),
    (uapi::CR_FILE_EXTERNAL as u64, "external"),
];

/// `RWH_*`
const HINT: Names = &[
    (0, "not set"),
    (1, "none"),
    (2, "short"),
    (3, "medium"),
    (4, "long"),
    (5, "extreme"),
];

const SECCOMP_MODE: Names = &[(0, "none"), (1, "strict"), (2, "filter")];

/// `SCHED_*`
const SCHED_POLICY: Names = &[
    (0, "other"),
    (1, "FIFO"),
    (2, "RR"),
    (3, "batch"),
    (5, "idle"),
    (6, "deadline"),
    (7, "ext"),
];

/// `CLOCK_*`, and in two's complement those that `timer_create(2)` takes besides.
const CLOCK: Names = &[
    (0, "realtime"),
    (1, "monotonic"),
    (2, "process CPU time"),
    (3, "thread CPU time"),
    (7, "boottime"),
    (8, "realtime alarm"),
    (9, "boottime alarm"),
    (11, "TAI"),
    (!7, "process prof time"),
    (!6, "process virtual time"),
    (!3, "thread prof time"),
    (!2, "thread virtual time"),
];

/// `SIGEV_*`
const NOTIFY: Names = &[(0, "signal"), (1, "none"), (2, "thread"), (4, "thread id")];

/// `F_OWNER_*`
const OWNER_KIND: Names = &[(0, "thread"), (1, "process"), (2, "process group")];

/// `MPOL_*`
const POLICY_MODE: Names = &[
    (0, "default"),
    (1, "preferred"),
    (2, "bind"),
    (3, "interleave"),
    (4, "local"),
    (5, "preferred many"),
    (6, "weighted interleave"),
];

const LOCK_KIND: Names = &[
    (uapi::CR_LOCK_POSIX as u64, "of the process"),
    (uapi::CR_LOCK_FLOCK as u64, "flock"),
    (uapi::CR_LOCK_OFD as u64, "of the open file"),
    (uapi::CR_LOCK_LEASE as u64, "lease"),
];

const LOCK_TYPE: Names = &[(0, "shared"), (1, "exclusive")];

const MAPPING_KIND: Names = &[
    (uapi::CR_MAPPING_ANON as u64, "anonymous"),
    (uapi::CR_MAPPING_FILE as u64, "file"),
    (uapi::CR_MAPPING_VDSO as u64, "vDSO"),
    (uapi::CR_MAPPING_VVAR as u64, "vvar"),
    (uapi::CR_MAPPING_AIO as u64, "aio ring"),
];

const EXIT_STATE: Names = &[(0, "alive"), (uapi::CR_EXIT_ZOMBIE as u64, "zombie")];

const RESTART_KIND: Names = &[
    (uapi::CR_RESTART_NONE as u64, "none"),
    (uapi::CR_RESTART_NANOSLEEP as u64, "nanosleep"),
    (uapi::CR_RESTART_FUTEX as u64, "futex"),
    (uapi::CR_RESTART_POLL as u64, "poll"),
    (uapi::CR_RESTART_EPOLL as u64, "epoll"),
];

/// The signals of x86 with a name, from 1 on.
const SIGNAL: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The flags that a field has.
fn bits_of(record: Option<&str>, field: &str) -> Option<Bits> {
    Some(match (record, field) {
        (Some("HEAD"), "flags") => CHECKPOINT,
        (Some("FILE"), "flags") => OPEN,
        (Some("PIPE"), "flags") => PIPE,
        (Some("SHM"), "flags") => SHM,
        (Some("SHM"), "seals") => SEALS,
        (Some("INODE"), "flags") => INODE,
        (Some("EVENTFD"), "flags") => EVENTFD,
        (Some("TIMERFD"), "flags") => TIMERFD,
        (Some("FD"), "flags") => FD,
        (Some("EPOLL_ITEM"), "events") => EPOLL_EVENTS,
        (Some("EPOLL_ITEM"), "flags") => EPOLL_ITEM,
        (Some("WATCH"), "mask") => WATCH,
        (Some("FILTER"), "flags") => FILTER,
        (Some("SCHED"), "flags") => SCHED,
        (Some("TASK_ATTRS"), "flags") => ATTR,
        (Some("TASK_ATTRS"), "spec_store_bypass" | "spec_indirect_branch" | "spec_l1d_flush") => {
            SPECULATION
        }
        (Some("THREAD"), "flags") => THREAD,
        (Some("TIMERS"), "flags") => TIMERS,
        (Some("TIMER"), "flags") => TIMER,
        (Some("MM"), "membarrier") => MEMBARRIER,
        (Some("POLICY"), "flags") => POLICY,
        (Some("MM"), "flags") => MM,
        (Some("VMA"), "flags") => VMA,
        (Some("TASK"), "flags") => TASK,
        (Some("PROCESS"), "flags") => PROCESS,
        (Some("MM_CONTEXT"), "flags") => MM_CONTEXT,
        (Some("SIGNALS"), "flags") => SIGNALS,
        (Some("SIGACTION"), "flags") => SIGACTION,
        (Some("THREAD"), "altstack_flags") => ALTSTACK,
        _ => return None,
    })
}

/// What the numbers of a field stand for.
fn names_of(record: Option<&str>, field: &str) -> Option<Names> {
    Some(match (record, field) {
        (Some("FILE"), "kind") => FILE_KIND,
        (Some("FILE"), "hint") => HINT,
        (Some("SECCOMP"), "mode") => SECCOMP_MODE,
        (Some("SCHED"), "policy") => SCHED_POLICY,
        (Some("TIMER" | "TIMERFD"), "clock") => CLOCK,
        (Some("TIMER"), "notify") => NOTIFY,
        (Some("OWNER"), "kind") => OWNER_KIND,
        (Some("POLICY"), "mode") => POLICY_MODE,
        (Some("LOCK"), "kind") => LOCK_KIND,
        (Some("LOCK"), "lock_type") => LOCK_TYPE,
        (Some("VMA"), "kind") => MAPPING_KIND,
        (Some("TASK"), "exit_state") => EXIT_STATE,
        (Some("THREAD"), "restart_kind") => RESTART_KIND,
        _ => return None,
    })
}

fn meaning(record: Option<&str>, field: &str) -> Meaning {
    if let Some(bits) = bits_of(record, field) {
        return Meaning::Flags(bits);
    }
    if let Some(names) = names_of(record, field) {
        return Meaning::Kind(names);
    }
    match (record, field) {
        (_, "magic") => Meaning::Magic,
        (Some("TAIL"), "cksum") | (Some("PAGES" | "DATA"), "crc") | (_, "vdso_crc") => {
            Meaning::Checksum
        }
        (Some("LOCK"), "end") => Meaning::LastByte,
        (Some("FILE" | "SHM" | "INODE"), "mode") | (Some("FS"), "umask") => Meaning::Mode,
        (Some("FILE" | "INODE"), "dev") => Meaning::Device,
        (Some("SIGACTION" | "TIMER" | "OWNER"), "signal")
        | (Some("PROCESS"), "stop_signal")
        | (Some("TASK_ATTRS"), "pdeath_signal") => Meaning::Signal,
        (Some("LIMITS"), _) => Meaning::Limits,
        (Some("INODE"), "atime" | "mtime") | (Some("TIMERS"), "realtime") => Meaning::TimeInNanos,
        (Some("SIGINFO"), "info") => Meaning::SigInfo,
        (Some("CPU" | "INSNS" | "AFFINITY" | "LDT" | "GUARD"), _)
        | (Some("AUXV"), "auxv")
        | (Some("SCHED"), "ioprio")
        | (Some("SIGNALFD"), "mask")
        | (Some("TIMER"), "value")
        | (Some("EPOLL_ITEM"), "data")
        | (Some("POLICY"), "start" | "end" | "nodes")
        | (Some("AIO"), "id")
        | (Some("SEM_UNDO"), "key")
        | (
            Some("CREDS"),
            "securebits" | "cap_inheritable" | "cap_permitted" | "cap_effective" | "cap_bset"
            | "cap_ambient",
        )
        | (
            Some("THREAD"),
            "clear_child_tid" | "robust_list" | "rseq" | "rseq_sig" | "altstack_sp"
            | "restart_args" | "personality" | "compat_robust_list" | "dispatch_selector"
            | "dispatch_offset" | "dispatch_len",
        )
        | (Some("SIGNALS"), "blocked" | "saved_blocked")
        | (Some("SIGACTION"), "handler" | "restorer" | "mask")
        | (Some("TTY"), "iflag" | "oflag" | "cflag" | "lflag" | "cc")
        | (
            Some("MM"),
            "start_code" | "end_code" | "start_data" | "end_data" | "start_brk" | "brk"
            | "start_stack" | "arg_start" | "arg_end" | "env_start" | "env_end",
        )
        | (Some("MM_CONTEXT"), "vdso" | "pkeys" | "personality")
        | (Some("VMA"), "start" | "end" | "pgoff") => Meaning::Hex,
        (Some("HEAD"), "time") | (Some("SEM_UNDO"), "sem_ctime") => Meaning::Time,
        (Some("TASK"), "exit_signal") => Meaning::ExitSignal,
        (Some("THREAD"), "restart_left") => Meaning::Timeout,
        (
            Some("TASK_STATS"),
            "utime" | "stime" | "utimescaled" | "stimescaled" | "gtime" | "prev_utime"
            | "prev_stime" | "start_time" | "start_boottime",
        )
        | (
            Some("TIMERS"),
            "monotonic" | "boottime" | "real_left" | "real_interval" | "virtual_left"
            | "virtual_interval" | "prof_left" | "prof_interval",
        )
        | (Some("TIMER" | "TIMERFD"), "expires" | "interval")
        | (Some("PIDFD"), "start_boottime")
        | (
            Some("SCHED"),
            "runtime" | "deadline" | "period" | "timer_slack" | "default_timer_slack",
        ) => Meaning::Duration,
        _ => Meaning::Plain,
    }
}

/// Flags by their names; what has no name as a number.
fn flags(mut left: u64, bits: Bits) -> String {
    if left == 0 {
        return "none".into();
    }
    let mut words = Vec::new();
    for &(bit, name) in bits {
        if left & bit == bit {
            left &= !bit;
            words.push(name.to_owned());
        }
    }
    if left != 0 {
        words.push(format!("{left:#x}"));
    }
    words.join("|")
}

/// The name of a signal.
fn signal(number: u64) -> String {
    let name = usize::try_from(number)
        .ok()
        .and_then(|number| SIGNAL.get(number.checked_sub(1)?));
    match (number, name) {
        (0, _) => "none".into(),
        (_, Some(name)) => format!("SIG{name}"),
        (32..=64, None) => "real time".into(),
        _ => "unknown".into(),
    }
}

/// What a `siginfo_t` begins with, on every architecture of 64 bits but MIPS.
fn siginfo(info: &Value<'_>) -> Option<String> {
    let Value::Array(words) = info else {
        return None;
    };
    let mut words = words.clone().map_while(|word| match word {
        Value::Unsigned(number) => Some(number.to_ne_bytes()),
        _ => None,
    });
    let half = |word: [u8; 8], at: usize| {
        let bytes = word.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_ne_bytes(bytes))
    };
    let (first, second) = (words.next()?, words.next()?);
    let (signo, errno, code) = (half(first, 0)?, half(first, 4)?, half(second, 0)?);
    let name = signal(u64::try_from(signo).unwrap_or(0));
    Some(format!(
        "signo {signo} ({name}), errno {errno}, code {code}"
    ))
}

/// A value with what it means.
pub(crate) struct Shown<'p> {
    value: Value<'p>,
    meaning: Meaning,
}

impl<'p> Shown<'p> {
    pub(crate) fn new(record: Option<&str>, field: &str, value: Value<'p>) -> Self {
        Shown {
            value,
            meaning: meaning(record, field),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        match &self.value {
            Value::Unsigned(number) => *number == 0,
            Value::Signed(number) => *number == 0,
            Value::Text(bytes) => bytes.iter().all(|&byte| byte == 0),
            Value::Array(values) => values
                .clone()
                .all(|value| matches!(value, Value::Unsigned(0) | Value::Signed(0))),
            Value::Extents(_) | Value::SharedExtents(_) | Value::Bytes(_) => false,
        }
    }

    /// Numbers in words and units.
    pub(crate) fn for_people(&self) -> String {
        match (self.meaning, &self.value) {
            (Meaning::Flags(bits), &Value::Unsigned(number)) => {
                format!("{number:#x} ({})", flags(number, bits))
            }
            (Meaning::Kind(names), &Value::Unsigned(number)) => {
                let name = names.iter().find(|&&(kind, _)| kind == number);
                format!("{number} ({})", name.map_or("unknown", |&(_, name)| name))
            }
            // Of a clock.
            (Meaning::Kind(names), &Value::Signed(number)) => {
                let name = names
                    .iter()
                    .find(|&&(kind, _)| kind.to_ne_bytes() == number.to_ne_bytes());
                format!("{number} ({})", name.map_or("unknown", |&(_, name)| name))
            }
            (Meaning::Mode, Value::Unsigned(mode)) => format!("{mode:#o}"),
            (Meaning::Device, Value::Unsigned(device)) => {
                format!("{}:{}", device >> 32, device & 0xffff_ffff)
            }
            (Meaning::Signal, &Value::Unsigned(number)) => {
                format!("{number} ({})", signal(number))
            }
            (Meaning::Signal, &Value::Signed(number)) if number >= 0 => {
                format!("{number} ({})", signal(number.unsigned_abs()))
            }
            (Meaning::SigInfo, info) => siginfo(info).unwrap_or_else(|| info.to_string()),
            (Meaning::Hex, Value::Array(values)) => {
                let numbers: Vec<_> = values.clone().map(|value| hex(&value)).collect();
                format!("[{}]", numbers.join(", "))
            }
            (Meaning::Timeout, Value::Signed(-1)) => "-1 (no limit)".into(),
            (Meaning::LastByte, &Value::Signed(i64::MAX)) => format!("{} (no end)", i64::MAX),
            (Meaning::Time, &Value::Unsigned(time)) => format!("{time} ({})", text::date(time)),
            (Meaning::TimeInNanos, &Value::Signed(nanos)) if nanos >= 0 => {
                let seconds = nanos.unsigned_abs() / 1_000_000_000;
                format!("{nanos} ({})", text::date(seconds))
            }
            (Meaning::Duration, &Value::Unsigned(nanos)) => text::duration(nanos),
            (Meaning::Duration | Meaning::Timeout, &Value::Signed(nanos)) if nanos >= 0 => {
                text::duration(nanos.unsigned_abs())
            }
            (Meaning::Limits, Value::Array(values)) => {
                let limits: Vec<_> = values
                    .clone()
                    .map(|value| match value {
                        Value::Unsigned(u64::MAX) => "unlimited".into(),
                        value => value.to_string(),
                    })
                    .collect();
                format!("[{}]", limits.join(", "))
            }
            (Meaning::ExitSignal, Value::Signed(-1)) => "-1 (a thread)".into(),
            (Meaning::ExitSignal, Value::Signed(0)) => "0 (none)".into(),
            (Meaning::ExitSignal, &Value::Signed(number)) if number > 0 => {
                format!("{number} ({})", signal(number.unsigned_abs()))
            }
            (_, Value::Text(bytes)) => format!("\"{}\"", text::escape(text::until_nul(bytes))),
            (_, value) => self.hex().unwrap_or_else(|| value.to_string()),
        }
    }

    /// Numbers whose bits count, which are hexadecimal in JSON, too: a JSON number of more than 53
    /// bits is not safe with every program.
    fn hex(&self) -> Option<String> {
        match (self.meaning, &self.value) {
            (Meaning::Magic, Value::Unsigned(number)) => Some(format!("{number:#018x}")),
            (Meaning::Checksum, Value::Unsigned(number)) => Some(format!("{number:#010x}")),
            (Meaning::Flags(_) | Meaning::Hex, Value::Unsigned(number)) => {
                Some(format!("{number:#x}"))
            }
            _ => None,
        }
    }
}

/// A number whose bits count.
fn hex(value: &Value<'_>) -> String {
    match value {
        Value::Unsigned(number) => format!("{number:#x}"),
        value => value.to_string(),
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn plain<S: Serializer>(value: &Value<'_>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Value::Unsigned(number) => serializer.serialize_u64(*number),
                Value::Signed(number) => serializer.serialize_i64(*number),
                Value::Text(bytes) => {
                    serializer.serialize_str(&text::escape(text::until_nul(bytes)))
                }
                Value::Array(values) => serializer.collect_seq(values.clone().map(Plain)),
                Value::Extents(extents) => {
                    serializer.collect_seq(extents.iter().map(|extent| Extent {
                        start: format!("{:#x}", extent.start),
                        nr_pages: extent.nr_pages,
                        flags: format!("{:#x}", extent.flags),
                    }))
                }
                Value::SharedExtents(extents) => {
                    serializer.collect_seq(extents.iter().map(|extent| SharedExtent {
                        start: format!("{:#x}", extent.start),
                        from_start: format!("{:#x}", extent.from_start),
                        nr_pages: extent.nr_pages,
                        from_task: extent.from_task,
                    }))
                }
                Value::Bytes(bytes) => serializer.serialize_str(&text::hex(bytes)),
            }
        }

        #[derive(Serialize)]
        struct Extent {
            start: String,
            nr_pages: u32,
            flags: String,
        }

        #[derive(Serialize)]
        struct SharedExtent {
            start: String,
            from_start: String,
            nr_pages: u32,
            from_task: u32,
        }

        struct Plain<'p>(Value<'p>);

        impl Serialize for Plain<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                plain(&self.0, serializer)
            }
        }

        match (self.meaning, &self.value) {
            (Meaning::Hex | Meaning::SigInfo, Value::Array(values)) => {
                serializer.collect_seq(values.clone().map(|value| hex(&value)))
            }
            (_, value) => match self.hex() {
                Some(hex) => serializer.serialize_str(&hex),
                None => plain(value, serializer),
            },
        }
    }
}

/// The fields of a record: an object in JSON, in the order of the record.
pub(crate) struct Fields {
    record: Option<&'static str>,
    raw: RawRecord,
}

impl Fields {
    pub(crate) fn new(raw: RawRecord) -> Self {
        Fields {
            record: name_of(raw.header.kind),
            raw,
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.raw.fields().into_iter().flatten();
        serializer.collect_map(
            fields.map(|(field, value)| (field.name, Shown::new(self.record, field.name, value))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names() {
        assert_eq!(flags(0, FD), "none");
        assert_eq!(flags(1, FD), "CLOEXEC");
        assert_eq!(flags(7, VMA), "READ|WRITE|EXEC");
        assert_eq!(flags(0o4_012_001, OPEN), "WRONLY|APPEND|SYNC");
        assert_eq!(flags(0o10_000, OPEN), "DSYNC");
        assert_eq!(flags(1 << 63 | 8, CHECKPOINT), "0x8000000000000008");
        assert_eq!(flags(0x2000_0019, EPOLL_EVENTS), "IN|ERR|HUP|WAKEUP");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal(0), "none");
        assert_eq!(signal(1), "SIGHUP");
        assert_eq!(signal(17), "SIGCHLD");
        assert_eq!(signal(31), "SIGSYS");
        assert_eq!(signal(32), "real time");
        assert_eq!(signal(65), "unknown");
    }
}
