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
    /// Nanoseconds.
    Duration,
    /// Nanoseconds, or that there is no limit.
    Timeout,
    /// The last byte of a lock, which may be the last that there can be.
    LastByte,
    TaskState,
    ExitSignal,
}

const CHECKPOINT: Bits = &[
    (uapi::CHECKPOINT_LOG as u64, "CHECKPOINT_LOG"),
    (uapi::CHECKPOINT_KILL as u64, "CHECKPOINT_KILL"),
    (uapi::CHECKPOINT_STOP as u64, "CHECKPOINT_STOP"),
];

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
    (0x0400_0000, "RESTORER"),
    (0x0800_0000, "ONSTACK"),
    (0x1000_0000, "RESTART"),
    (0x4000_0000, "NODEFER"),
    (0x8000_0000, "RESETHAND"),
];

const ALTSTACK: Bits = &[(1, "ONSTACK"), (2, "DISABLE"), (1 << 31, "AUTODISARM")];

const SIGNALS: Bits = &[
    (uapi::CR_SIGNALS_RESTORE_MASK as u64, "RESTORE_MASK"),
    (uapi::CR_SIGNALS_STOPPED as u64, "STOPPED"),
];

const PIPE: Bits = &[(uapi::CR_PIPE_PACKETS as u64, "PACKETS")];

const SHM: Bits = &[
    (uapi::CR_SHM_MEMFD as u64, "MEMFD"),
    (uapi::CR_SHM_NORESERVE as u64, "NORESERVE"),
];

const FD: Bits = &[(uapi::CR_FD_CLOEXEC as u64, "CLOEXEC")];

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
    (
        uapi::CR_MM_THP_EXCEPT_ADVISED as u64,
        "THP_EXCEPT_ADVISED",
    ),
];

const VMA: Bits = &[
    (uapi::CR_VMA_READ as u64, "READ"),
    (uapi::CR_VMA_WRITE as u64, "WRITE"),
    (uapi::CR_VMA_EXEC as u64, "EXEC"),
    (uapi::CR_VMA_SHARED as u64, "SHARED"),
    (uapi::CR_VMA_GROWSDOWN as u64, "GROWSDOWN"),
    (uapi::CR_VMA_LOCKED as u64, "LOCKED"),
    (uapi::CR_VMA_LOCKONFAULT as u64, "LOCKONFAULT"),
    (uapi::CR_VMA_DONTFORK as u64, "DONTFORK"),
    (uapi::CR_VMA_WIPEONFORK as u64, "WIPEONFORK"),
    (uapi::CR_VMA_DONTDUMP as u64, "DONTDUMP"),
    (uapi::CR_VMA_HUGEPAGE as u64, "HUGEPAGE"),
    (uapi::CR_VMA_NOHUGEPAGE as u64, "NOHUGEPAGE"),
    (uapi::CR_VMA_MERGEABLE as u64, "MERGEABLE"),
    (uapi::CR_VMA_NORESERVE as u64, "NORESERVE"),
    (uapi::CR_VMA_SEQ_READ as u64, "SEQ_READ"),
    (uapi::CR_VMA_RAND_READ as u64, "RAND_READ"),
    (uapi::CR_VMA_SEALED as u64, "SEALED"),
    (uapi::CR_VMA_ACCOUNT as u64, "ACCOUNT"),
];

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
];

const LOCK_KIND: Names = &[
    (uapi::CR_LOCK_POSIX as u64, "of the process"),
    (uapi::CR_LOCK_FLOCK as u64, "flock"),
    (uapi::CR_LOCK_OFD as u64, "of the open file"),
];

const LOCK_TYPE: Names = &[(0, "shared"), (1, "exclusive")];

const MAPPING_KIND: Names = &[
    (uapi::CR_MAPPING_ANON as u64, "anonymous"),
    (uapi::CR_MAPPING_FILE as u64, "file"),
    (uapi::CR_MAPPING_VDSO as u64, "vDSO"),
    (uapi::CR_MAPPING_VVAR as u64, "vvar"),
];

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

fn meaning(record: Option<&str>, field: &str) -> Meaning {
    match (record, field) {
        (_, "magic") => Meaning::Magic,
        (Some("TAIL"), "cksum") | (Some("PAGES" | "DATA"), "crc") | (_, "vdso_crc") => {
            Meaning::Checksum
        }
        (Some("HEAD"), "flags") => Meaning::Flags(CHECKPOINT),
        (Some("FILE"), "flags") => Meaning::Flags(OPEN),
        (Some("PIPE"), "flags") => Meaning::Flags(PIPE),
        (Some("SHM"), "flags") => Meaning::Flags(SHM),
        (Some("SHM"), "seals") => Meaning::Flags(SEALS),
        (Some("FD"), "flags") => Meaning::Flags(FD),
        (Some("MM"), "flags") => Meaning::Flags(MM),
        (Some("VMA"), "flags") => Meaning::Flags(VMA),
        (Some("SIGNALS"), "flags") => Meaning::Flags(SIGNALS),
        (Some("SIGACTION"), "flags") => Meaning::Flags(SIGACTION),
        (Some("THREAD"), "altstack_flags") => Meaning::Flags(ALTSTACK),
        (Some("FILE"), "kind") => Meaning::Kind(FILE_KIND),
        (Some("LOCK"), "kind") => Meaning::Kind(LOCK_KIND),
        (Some("LOCK"), "lock_type") => Meaning::Kind(LOCK_TYPE),
        (Some("LOCK"), "end") => Meaning::LastByte,
        (Some("VMA"), "kind") => Meaning::Kind(MAPPING_KIND),
        (Some("THREAD"), "restart_kind") => Meaning::Kind(RESTART_KIND),
        (Some("FILE" | "SHM"), "mode") | (Some("FS"), "umask") => Meaning::Mode,
        (Some("FILE"), "dev") => Meaning::Device,
        (Some("SIGACTION"), "signal") | (Some("SIGNALS"), "stop_signal") => Meaning::Signal,
        (Some("SIGINFO"), "info") => Meaning::SigInfo,
        (Some("CPU"), _)
        | (Some("AUXV"), "auxv")
        | (
            Some("CREDS"),
            "securebits" | "cap_inheritable" | "cap_permitted" | "cap_effective" | "cap_bset"
            | "cap_ambient",
        )
        | (
            Some("THREAD"),
            "clear_child_tid" | "robust_list" | "rseq" | "rseq_sig" | "altstack_sp"
            | "restart_args" | "personality",
        )
        | (Some("SIGNALS"), "blocked" | "saved_blocked")
        | (Some("SIGACTION"), "handler" | "restorer" | "mask")
        | (Some("TTY"), "iflag" | "oflag" | "cflag" | "lflag" | "cc")
        | (
            Some("MM"),
            "start_code" | "end_code" | "start_data" | "end_data" | "start_brk" | "brk"
            | "start_stack" | "arg_start" | "arg_end" | "env_start" | "env_end",
        )
        | (Some("MM_CONTEXT"), "vdso" | "pkeys")
        | (Some("VMA"), "start" | "end" | "pgoff") => Meaning::Hex,
        (Some("HEAD"), "time") => Meaning::Time,
        (Some("TASK"), "state") => Meaning::TaskState,
        (Some("TASK"), "exit_signal") => Meaning::ExitSignal,
        (Some("THREAD"), "restart_left") => Meaning::Timeout,
        (
            Some("TASK_STATS"),
            "utime" | "stime" | "utimescaled" | "stimescaled" | "gtime" | "prev_utime"
            | "prev_stime" | "start_time" | "start_boottime",
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
            Value::Extents(_) | Value::Bytes(_) => false,
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
            (Meaning::Mode, Value::Unsigned(mode)) => format!("{mode:#o}"),
            (Meaning::Device, Value::Unsigned(device)) => {
                format!("{}:{}", device >> 32, device & 0xffff_ffff)
            }
            (Meaning::Signal, &Value::Unsigned(number)) => {
                format!("{number} ({})", signal(number))
            }
            (Meaning::SigInfo, info) => siginfo(info).unwrap_or_else(|| info.to_string()),
            (Meaning::Hex, Value::Array(values)) => {
                let numbers: Vec<_> = values.clone().map(|value| hex(&value)).collect();
                format!("[{}]", numbers.join(", "))
            }
            (Meaning::Timeout, Value::Signed(-1)) => "-1 (no limit)".into(),
            (Meaning::LastByte, &Value::Signed(i64::MAX)) => format!("{} (no end)", i64::MAX),
            (Meaning::Timeout, &Value::Signed(nanos)) if nanos >= 0 => {
                text::duration(nanos.unsigned_abs())
            }
            (Meaning::Time, &Value::Unsigned(time)) => format!("{time} ({})", text::date(time)),
            (Meaning::Duration, &Value::Unsigned(nanos)) => text::duration(nanos),
            (Meaning::TaskState, Value::Unsigned(0)) => "0 (running)".into(),
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
                Value::Bytes(bytes) => serializer.serialize_str(&text::hex(bytes)),
            }
        }

        #[derive(Serialize)]
        struct Extent {
            start: String,
            nr_pages: u32,
            flags: String,
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
