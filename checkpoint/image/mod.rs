// SPDX-License-Identifier: GPL-2.0

//! What a checkpoint image is: records, limits, and the checks that an image has to pass.
//!
//! This module is compiled twice: into the kernel, which writes and restores images, and into the
//! tools, which print and verify them on the host. So both agree by construction, and a program
//! can fuzz on the host the very code that stands between a hostile image and the kernel. For
//! that, it uses nothing but `core` and zerocopy, and these of its crate root:
//!
//! - `uapi`: what bindgen makes of `checkpoint_hdr.h` and `magic.h`;
//! - `Record`: the derive macro of `rust/macros/record.rs`;
//! - `crc32c(crc, bytes)`: the CRC-32C of some bytes and then `bytes`, where `crc` is that of the
//!   bytes before, 0 if there were none.
//!
//! There is no `unsafe`, no allocation and no way to panic here; the lints below see to the last.
//!
//! | file | what |
//! |---|---|
//! | `record.rs` | header, fields, and the trait of every record |
//! | `head.rs`, `tail.rs` | the records that an image begins and ends with |
//! | `object.rs` | files, pipes, shared memory: what others refer to by its number |
//! | `anon.rs` | state of files that have no path |
//! | `task.rs`, `creds.rs`, `seccomp.rs`, `limits.rs`, `sched.rs`, `attrs.rs` | a task |
//! | `thread.rs`, `timers.rs`, `signals.rs`, `undo.rs`, `files.rs`, `mm.rs` | a process |
//! | `bulk.rs` | pages and contents of objects: what announces them, and where they stand |
//! | `check.rs` | the reading side: which record may follow which, and whether it is valid |
//! | `tree.rs` | likewise: which task may be whose child, thread and sharer |
//! | `refusal.rs` | why an image is not taken |
//! | `encode.rs` | the writing side |
//!
//! To add a record: declare its struct in the C header and in a module here, say in its
//! [`Validate`] what makes its values valid, name it in `records!` below, and say in `check.rs`
//! where it may stand.
//!
//! C header: [`include/uapi/linux/checkpoint_hdr.h`](srctree/include/uapi/linux/checkpoint_hdr.h)

// An image is hostile input, and the kernel must not panic on it.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![deny(unsafe_code)]

mod anon;
mod attrs;
mod bulk;
mod check;
mod creds;
mod encode;
mod files;
mod head;
mod limits;
mod mm;
mod object;
mod record;
mod refusal;
mod sched;
mod seccomp;
mod signals;
mod tail;
mod task;
mod thread;
mod timers;
mod tree;
mod undo;

pub use anon::{
    EventFd,
    Inotify,
    PidFd,
    SignalFd,
    TimerFd, //
};
pub use attrs::TaskAttrs;
pub use bulk::{
    pad_len,
    Bulk,
    BulkKind,
    Data,
    Extent,
    Extents,
    Pages,
    SharedExtent,
    SharedExtents,
    SharedPages, //
};
pub use check::{
    Behind,
    Checker,
    Expect,
    Kernel, //
};
pub use creds::Creds;
pub use encode::{
    bulk_padding,
    Encoder, //
};
pub use files::{
    EpollItem,
    Fd,
    Files,
    Fs,
    Lock,
    Owner,
    Watch, //
};
pub use head::Head;
pub use limits::Limits;
pub use mm::{
    Aio,
    Guard,
    Mm,
    MmContext,
    Policy,
    Vma, //
};
pub use object::{
    File,
    Inode,
    Pipe,
    Shm,
    Tty, //
};
pub use record::{
    u32s,
    u64s,
    Context,
    Description,
    Field,
    FieldKind,
    FieldType,
    Header,
    Payload,
    Record,
    Text,
    UtsText,
    Validate,
    Value,
    Values, //
};
pub use refusal::{
    Errno,
    Reason,
    Refusal, //
};
pub use sched::Sched;
pub use seccomp::{
    Filter,
    Seccomp, //
};
pub use signals::{
    Process,
    SigAction,
    SigInfo,
    Signals, //
};
pub use tail::Tail;
pub use task::{
    Task,
    TaskStats,
    Usage, //
};
pub use thread::{
    Cpu,
    Thread, //
};
pub use timers::{
    Timer,
    Timers, //
};
pub use tree::{
    Shared,
    Tree, //
};
pub use undo::{
    SemAdj,
    SemUndo,
    SemUndoList, //
};

/// The list of all records.
///
/// Makes [`Kind`] and [`Item`] of it. The records in the first list have a payload of any length,
/// with one field that takes up all of it, and their item is made of the bytes by an expression.
macro_rules! records {
    (
        @any_length
        $(
            $(#[$any_doc:meta])* $any:ident = $number:ident, $any_name:literal {
                $field:literal: $field_kind:expr
            } => $variant:ident($value:ty) = $make:expr;
        )+
        @fixed
        $($(#[$doc:meta])* $name:ident,)+
    ) => {
        /// The kinds of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$any_doc])* $any,)+
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$any,)+ $(Kind::$name,)+];

            /// Returns the number of this kind in [`Header::kind`].
            pub const fn number(self) -> i16 {
                match self {
                    $(Kind::$any => crate::uapi::$number as i16,)+
                    $(Kind::$name => <$name as Record>::TYPE,)+
                }
            }

            /// Returns the kind with `number`, [`None`] if there is none.
            pub const fn from_number(number: i16) -> Option<Kind> {
                match number {
                    $(numbers::$any => Some(Kind::$any),)+
                    $(numbers::$name => Some(Kind::$name),)+
                    _ => None,
                }
            }

            /// Returns the name of this kind, as in the C header without `CR_HDR_`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$any => $any_name,)+
                    $(Kind::$name => <$name as Record>::NAME,)+
                }
            }

            /// Returns the fields of the payload of this kind.
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    $(Kind::$any => &[Field {
                        name: $field,
                        offset: 0,
                        size: 0,
                        kind: $field_kind,
                    }],)+
                    $(Kind::$name => <$name as Record>::FIELDS,)+
                }
            }

            /// Returns the number of bytes of the payload, [`None`] if it varies.
            pub const fn payload_len(self) -> Option<u16> {
                match self {
                    $(Kind::$any => None,)+
                    $(Kind::$name => Some(<$name as Record>::LEN),)+
                }
            }
        }

        /// The numbers, by the names of their kinds.
        #[allow(non_upper_case_globals)]
        mod numbers {
            $(pub(super) const $any: i16 = super::Kind::$any.number();)+
            $(pub(super) const $name: i16 = super::Kind::$name.number();)+
        }

        /// A record that has been read, and is valid.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Item<'p> {
            $($(#[$any_doc])* $variant($value),)+
            $($(#[$doc])* $name($name),)+
        }

        impl<'p> Item<'p> {
            /// Makes a value of the payload of a record, and validates it as far as that is
            /// possible without knowing the records before.
            fn decode(
                kind: Kind,
                payload: &'p [u8],
                context: &Context<'_>,
            ) -> Result<Self, Reason> {
                match kind {
                    $(Kind::$any => {
                        let make: fn(&'p [u8]) -> $value = $make;
                        Ok(Item::$variant(make(payload)))
                    })+
                    $(Kind::$name => record::decode(payload, context).map(Item::$name),)+
                }
            }
        }
    };
}

records! {
    @any_length
    /// Text, which belongs to the record before it: the comm of a task, the path of a file, a name
    /// or a label. Only a comm has NULs in it.
    String = CR_HDR_STRING, "STRING" { "text": FieldKind::Rest }
        => Text(&'p [u8]) = |bytes| bytes;
    /// Supplementary groups: [`u32s`].
    Groups = CR_HDR_GROUPS, "GROUPS" { "groups": FieldKind::RestNumbers { width: 4 } }
        => Groups(&'p [u8]) = |bytes| bytes;
    /// Instructions of a seccomp filter, each a `struct sock_filter`: [`u64s`].
    Insns = CR_HDR_INSNS, "INSNS" { "insns": FieldKind::RestNumbers { width: 8 } }
        => Insns(&'p [u8]) = |bytes| bytes;
    /// The processors that a task may run on, bit 0 of the first word is processor 0: [`u64s`].
    Affinity = CR_HDR_AFFINITY, "AFFINITY" { "cpus": FieldKind::RestNumbers { width: 8 } }
        => Affinity(&'p [u8]) = |bytes| bytes;
    /// Floating point and vector registers, in the standard format of XSAVE.
    XState = CR_HDR_XSTATE, "XSTATE" { "xstate": FieldKind::RestBytes }
        => XState(&'p [u8]) = |bytes| bytes;
    /// The auxiliary vector, keys and values: [`u64s`].
    Auxv = CR_HDR_AUXV, "AUXV" { "auxv": FieldKind::RestNumbers { width: 8 } }
        => Auxv(&'p [u8]) = |bytes| bytes;
    /// Entries of modify_ldt(2): [`u64s`].
    Ldt = CR_HDR_LDT, "LDT" { "entries": FieldKind::RestNumbers { width: 8 } }
        => Ldt(&'p [u8]) = |bytes| bytes;
    /// Where the pages belong that come next.
    Extents = CR_HDR_EXTENTS, "EXTENTS" { "extents": FieldKind::RestExtents }
        => Extents(Extents<'p>) = Extents::new;
    /// Where the pages belong that are in the image already.
    SharedExtents = CR_HDR_SHARED_EXTENTS, "SHARED_EXTENTS" {
        "extents": FieldKind::RestSharedExtents
    } => SharedExtents(SharedExtents<'p>) = SharedExtents::new;
    /// So many zeros, so that a page can begin behind them.
    Pad = CR_HDR_PAD, "PAD" { "zeros": FieldKind::RestBytes }
        => Pad(usize) = <[u8]>::len;

    @fixed
    /// First record of an image.
    Head,
    /// A pipe.
    Pipe,
    /// Shared memory; a [`Kind::String`] with its name follows, if it has one.
    Shm,
    /// A file or directory that was deleted; a [`Kind::String`] with a path follows.
    Inode,
    /// An open file description; a [`Kind::String`] with its path follows, if it has one, and then
    /// what its kind says.
    File,
    /// Settings of the terminal that the file before is.
    Tty,
    /// State of the eventfd that the file before is.
    EventFd,
    /// State of the timerfd that the file before is.
    TimerFd,
    /// State of the signalfd that the file before is.
    SignalFd,
    /// State of the inotify instance that the file before is.
    Inotify,
    /// The process of the pidfd that the file before is.
    PidFd,
    /// A task; a [`Kind::String`] with its comm follows.
    Task,
    /// What a task has used up.
    TaskStats,
    /// What others have used up.
    Usage,
    /// Credentials; [`Kind::Groups`] follows, if there are any.
    Creds,
    /// What system calls are allowed; [`Kind::Filter`] follow, if there are any.
    Seccomp,
    /// A seccomp filter; [`Kind::Insns`] follow.
    Filter,
    /// Resource limits.
    Limits,
    /// Scheduling; [`Kind::Affinity`] follows, if it was set.
    Sched,
    /// What prctl(2) and `/proc/PID` set; a [`Kind::String`] with a label follows, if there is one.
    TaskAttrs,
    /// What the kernel knows of a thread of execution.
    Thread,
    /// General registers; [`Kind::XState`] follows.
    Cpu,
    /// Clocks and timers; [`Kind::Timer`] follow.
    Timers,
    /// A timer of timer_create(2).
    Timer,
    /// Signal state of a process; [`Kind::SigAction`] and [`Kind::SigInfo`] follow.
    Process,
    /// Signal state of a thread; [`Kind::SigInfo`] follow.
    Signals,
    /// Action of a signal.
    SigAction,
    /// A pending signal.
    SigInfo,
    /// What there is to undo of semaphores; [`Kind::SemUndo`] follow.
    SemUndoList,
    /// A set of semaphores of which there is; [`Kind::SemAdj`] follow.
    SemUndo,
    /// What there is to undo of a semaphore.
    SemAdj,
    /// Where paths begin.
    Fs,
    /// Descriptor table; [`Kind::Fd`], [`Kind::Lock`], [`Kind::Owner`], [`Kind::EpollItem`] and
    /// [`Kind::Watch`] follow.
    Files,
    /// A descriptor.
    Fd,
    /// A lock on some bytes of a file.
    Lock,
    /// Who gets a signal when a file is ready.
    Owner,
    /// What an epoll instance waits for.
    EpollItem,
    /// What an inotify instance watches.
    Watch,
    /// An address space; [`Kind::MmContext`], [`Kind::Auxv`], [`Kind::Ldt`], [`Kind::Vma`],
    /// [`Kind::Policy`], [`Kind::Guard`] and [`Kind::Aio`] follow.
    Mm,
    /// What the architecture knows of an address space.
    MmContext,
    /// A mapping; a [`Kind::String`] with its name follows, if it has one.
    Vma,
    /// A memory policy.
    Policy,
    /// Guard pages.
    Guard,
    /// A context of io_setup(2).
    Aio,
    /// Announces pages; [`Kind::Extents`] follows.
    Pages,
    /// Announces pages that are in the image already; [`Kind::SharedExtents`] follows.
    SharedPages,
    /// Announces contents of an object.
    Data,
    /// Last record of an image.
    Tail,
}

// A record is known by its number alone.
const _: () = {
    let mut kinds = Kind::ALL;
    while let [kind, others @ ..] = kinds {
        let mut rest = others;
        while let [other, more @ ..] = rest {
            assert!(
                kind.number() != other.number(),
                "two records have one number"
            );
            rest = more;
        }
        kinds = others;
    }
};

/// Returns the name of a record type, as in the C header without `CR_HDR_`.
///
/// [`None`] if the number stands for nothing.
pub fn name_of(number: i16) -> Option<&'static str> {
    Kind::from_number(number).map(Kind::name)
}

/// Takes the payload of a record apart, without judging it.
///
/// Ends at the first field for which `payload` is too short.
pub fn describe(kind: Kind, payload: &[u8]) -> Description<'_> {
    Description::new(kind.fields(), payload)
}
