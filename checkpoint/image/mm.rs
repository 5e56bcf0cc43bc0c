// SPDX-License-Identifier: GPL-2.0

//! An address space: its layout, its mappings, and what holds of parts of it.

use core::mem::size_of;

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    record::USER_END,
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

const MM_FLAGS: u32 = uapi::CR_MM_DUMPABLE_MASK
    | uapi::CR_MM_DUMP_FILTER_MASK
    | uapi::CR_MM_THP_DISABLE
    | uapi::CR_MM_MERGE_ANY
    | uapi::CR_MM_MDWE
    | uapi::CR_MM_MDWE_NO_INHERIT
    | uapi::CR_MM_LOCK_FUTURE
    | uapi::CR_MM_LOCK_ONFAULT
    | uapi::CR_MM_THP_EXCEPT_ADVISED;

/// The largest of the values that prctl(`PR_SET_DUMPABLE`) knows.
const DUMPABLE_MAX: u64 = 2;

/// Bytes of an entry of the auxiliary vector: a key and a value.
const AUXV_ENTRY: u32 = 16;

/// The largest protection key, and all of them as a mask.
const PKEY_MAX: u32 = 15;
const PKEYS: u32 = 0xffff;

/// `MEMBARRIER_CMD_REGISTER_*`: for global, private, core-synchronizing and rseq barriers.
const MEMBARRIER: u32 = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8;

const VMA_FLAGS: u32 = uapi::CR_VMA_READ
    | uapi::CR_VMA_WRITE
    | uapi::CR_VMA_EXEC
    | uapi::CR_VMA_SHARED
    | uapi::CR_VMA_GROWSDOWN
    | uapi::CR_VMA_LOCKED
    | uapi::CR_VMA_LOCKONFAULT
    | uapi::CR_VMA_DONTFORK
    | uapi::CR_VMA_WIPEONFORK
    | uapi::CR_VMA_DONTDUMP
    | uapi::CR_VMA_HUGEPAGE
    | uapi::CR_VMA_NOHUGEPAGE
    | uapi::CR_VMA_MERGEABLE
    | uapi::CR_VMA_NORESERVE
    | uapi::CR_VMA_SEQ_READ
    | uapi::CR_VMA_RAND_READ
    | uapi::CR_VMA_SEALED
    | uapi::CR_VMA_ACCOUNT
    | uapi::CR_VMA_HUGETLB
    | uapi::CR_VMA_DROPPABLE;

/// An address space; `CR_HDR_MM_CONTEXT`, `CR_HDR_AUXV`, `CR_HDR_LDT`, `CR_HDR_VMA`,
/// `CR_HDR_POLICY`, `CR_HDR_GUARD` and `CR_HDR_AIO` follow.
///
/// C: `struct cr_hdr_mm`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_MM, abi = cr_hdr_mm)]
pub struct Mm {
    /// As in `struct prctl_mm_map`, and so are the next 10.
    pub start_code: u64,
    /// Likewise.
    pub end_code: u64,
    /// Likewise.
    pub start_data: u64,
    /// Likewise.
    pub end_data: u64,
    /// Likewise.
    pub start_brk: u64,
    /// Likewise.
    pub brk: u64,
    /// Likewise.
    pub start_stack: u64,
    /// Likewise.
    pub arg_start: u64,
    /// Likewise.
    pub arg_end: u64,
    /// Likewise.
    pub env_start: u64,
    /// Likewise.
    pub env_end: u64,
    /// `CR_MM_*`
    pub flags: u64,
    /// The objref of the `CR_FILE_PATH` that `/proc/PID/exe` shows.
    pub exe: u32,
    /// Mappings.
    pub nr_vmas: u32,
    /// Bytes of `CR_HDR_AUXV`, a multiple of 16.
    pub auxv_len: u32,
    /// What is registered, as `MEMBARRIER_CMD_GET_REGISTRATIONS` of membarrier(2) reports it.
    pub membarrier: u32,
    /// Memory policies.
    pub nr_policies: u32,
    /// Guard regions.
    pub nr_guards: u32,
    /// Contexts of io_setup(2).
    pub nr_aio: u32,
    /// 0
    pub reserved: u32,
}

impl Mm {
    /// Returns how many bytes `CR_HDR_AUXV` has.
    pub fn auxv_len(&self) -> usize {
        self.auxv_len as usize
    }
}

impl Validate for Mm {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        for (begin, end, start_field, end_field) in [
            (self.start_code, self.end_code, "start_code", "end_code"),
            (self.start_data, self.end_data, "start_data", "end_data"),
            (self.start_brk, self.brk, "start_brk", "brk"),
            (self.arg_start, self.arg_end, "arg_start", "arg_end"),
            (self.env_start, self.env_end, "env_start", "env_end"),
        ] {
            Reason::unless_address(start_field, begin)?;
            Reason::unless_address(end_field, end)?;
            Reason::unless_not_below(end_field, end, begin)?;
        }
        Reason::unless_address("start_stack", self.start_stack)?;

        let mut flags = MM_FLAGS;
        if self.flags & u64::from(uapi::CR_MM_THP_DISABLE) == 0 {
            flags &= !uapi::CR_MM_THP_EXCEPT_ADVISED;
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        let dumpable = self.flags & u64::from(uapi::CR_MM_DUMPABLE_MASK);
        if dumpable > DUMPABLE_MAX {
            return Err(Reason::Flags { unknown: dumpable });
        }
        context.unless_object("exe", self.exe)?;
        Reason::unless_in("nr_vmas", self.nr_vmas, 1, uapi::CR_VMAS_MAX)?;
        Reason::unless_in("auxv_len", self.auxv_len, AUXV_ENTRY, uapi::CR_LEN_MAX)?;
        Reason::unless_multiple("auxv_len", self.auxv_len, AUXV_ENTRY)?;
        Reason::unless_bits("membarrier", self.membarrier, MEMBARRIER)?;
        Reason::unless_in("nr_policies", self.nr_policies, 0, uapi::CR_POLICIES_MAX)?;
        Reason::unless_in("nr_guards", self.nr_guards, 0, uapi::CR_GUARDS_MAX)?;
        Reason::unless_in("nr_aio", self.nr_aio, 0, uapi::CR_AIO_MAX)
    }
}

/// What the architecture knows of an address space.
///
/// C: `struct cr_hdr_mm_context`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_MM_CONTEXT, abi = cr_hdr_mm_context)]
pub struct MmContext {
    /// Address of the vDSO's text, 0 if it is not mapped.
    pub vdso: u64,
    /// Bytes of it.
    pub vdso_size: u32,
    /// CRC-32C of it: code of another kernel is not restored.
    pub vdso_crc: u32,
    /// Protection keys that are allocated, bit 0 is key 0.
    pub pkeys: u32,
    /// Entries of modify_ldt(2): `CR_HDR_LDT` have a `__u64` for each, `CR_WORDS_MAX` in each but
    /// the last.
    pub ldt_entries: u32,
    /// Of the program that it is for, see personality(2).
    pub personality: u32,
    /// `CR_THREAD_IA32` if that is one of 32 bits.
    pub flags: u32,
}

impl MmContext {
    /// Returns how many bytes there are in all `CR_HDR_LDT`.
    pub fn ldt_len(&self) -> usize {
        // A valid record has CR_LDT_MAX at most.
        (self.ldt_entries as usize).saturating_mul(size_of::<u64>())
    }
}

impl Validate for MmContext {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        if self.vdso == 0 {
            Reason::unless_equal("vdso_size", self.vdso_size, 0u32)?;
        }
        context.unless_pages("vdso", self.vdso)?;
        Reason::unless_address("vdso", self.vdso)?;
        Reason::unless_max(
            "vdso_size",
            self.vdso_size,
            USER_END.saturating_sub(self.vdso),
        )?;
        Reason::unless_bits("pkeys", self.pkeys, PKEYS)?;
        Reason::unless_bits("flags", self.flags, uapi::CR_THREAD_IA32)?;
        Reason::unless_in("ldt_entries", self.ldt_entries, 0, uapi::CR_LDT_MAX)
    }
}

/// A mapping, ascending by `start`; a `CR_HDR_STRING` with its name follows if `name_len` is not 0.
///
/// C: `struct cr_hdr_vma`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_VMA, abi = cr_hdr_vma)]
pub struct Vma {
    /// First byte.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
    /// `CR_VMA_*`
    pub flags: u64,
    /// Offset in the file, in pages.
    pub pgoff: u64,
    /// `CR_MAPPING_*`
    pub kind: u32,
    /// Its `CR_HDR_FILE`, 0 if it has none.
    pub objref: u32,
    /// Protection key.
    pub pkey: u32,
    /// Bytes of the name that prctl(`PR_SET_VMA_ANON_NAME`) gave.
    pub name_len: u32,
    /// Of the huge pages; 0 without `CR_VMA_HUGETLB`.
    pub page_shift: u32,
    /// 0
    pub reserved: u32,
}

impl Vma {
    /// Returns how many bytes the name has that follows.
    pub fn name_len(&self) -> usize {
        self.name_len as usize
    }

    /// Returns how many bytes the mapping has.
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Returns whether the mapping has no bytes, which no valid one has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Validate for Vma {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_range("start", self.start, "end", self.end)?;
        Reason::unless_bits("flags", self.flags, VMA_FLAGS)?;
        match self.kind {
            uapi::CR_MAPPING_FILE => context.unless_object("objref", self.objref)?,
            uapi::CR_MAPPING_ANON | uapi::CR_MAPPING_VDSO | uapi::CR_MAPPING_VVAR => {
                Reason::unless_bits("flags", self.flags, VMA_FLAGS & !uapi::CR_VMA_SHARED)?;
                Reason::unless_equal("objref", self.objref, 0u32)?;
            }
            uapi::CR_MAPPING_AIO => Reason::unless_equal("objref", self.objref, 0u32)?,
            found => return Err(Reason::unknown("kind", found)),
        }
        if self.kind != uapi::CR_MAPPING_ANON {
            Reason::unless_bits("flags", self.flags, VMA_FLAGS & !uapi::CR_VMA_DROPPABLE)?;
        }
        let hugetlb = self.flags & u64::from(uapi::CR_VMA_HUGETLB) != 0;
        context.unless_page_shift(self.page_shift, hugetlb)?;
        if hugetlb {
            if !matches!(self.kind, uapi::CR_MAPPING_ANON | uapi::CR_MAPPING_FILE) {
                return Err(Reason::unknown("kind", self.kind));
            }
            let size = 1u64.checked_shl(self.page_shift).unwrap_or(u64::MAX);
            Reason::unless_multiple("start", self.start, size)?;
            Reason::unless_multiple("end", self.end, size)?;
        }
        // The last byte has an offset in a file that fits into 63 bits.
        let offset = self.pgoff.checked_mul(u64::from(context.page_size));
        let last = offset.and_then(|offset| offset.checked_add(self.len()));
        if last.is_none_or(|last| last > i64::MAX as u64) {
            return Err(Reason::Address {
                field: "pgoff",
                found: self.pgoff,
            });
        }
        Reason::unless_in("pkey", self.pkey, 0, PKEY_MAX)?;
        Reason::unless_in("name_len", self.name_len, 0, uapi::CR_NAME_LEN_MAX)
    }
}

/// `MPOL_*`, which tell what memory comes from which nodes.
const MPOL_DEFAULT: u32 = 0;
const MPOL_PREFERRED: u32 = 1;
const MPOL_BIND: u32 = 2;
const MPOL_INTERLEAVE: u32 = 3;
const MPOL_LOCAL: u32 = 4;
const MPOL_PREFERRED_MANY: u32 = 5;
const MPOL_WEIGHTED_INTERLEAVE: u32 = 6;

const MPOL_F_NUMA_BALANCING: u32 = 1 << 13;
const MPOL_F_RELATIVE_NODES: u32 = 1 << 14;
const MPOL_F_STATIC_NODES: u32 = 1 << 15;

/// The largest number of a node that there is room for in a policy.
const NODE_MAX: i32 = 1023;

/// A memory policy, ascending by `start`.
///
/// C: `struct cr_hdr_policy`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_POLICY, abi = cr_hdr_policy)]
pub struct Policy {
    /// First byte that it is for; 0 for that of set_mempolicy(2).
    pub start: u64,
    /// Byte behind the last; 0 for that of set_mempolicy(2).
    pub end: u64,
    /// `MPOL_*`
    pub mode: u32,
    /// `MPOL_F_*_NODES` and `MPOL_F_NUMA_BALANCING`
    pub flags: u32,
    /// As set_mempolicy_home_node(2) has it, -1 if there is none.
    pub home_node: i32,
    /// 0
    pub reserved: u32,
    /// As the program gave them, bit 0 of the first word is node 0.
    pub nodes: [u64; 16],
}

impl Policy {
    /// Returns whether this is the policy of the task, which holds where there is no other.
    pub const fn is_of_task(&self) -> bool {
        self.end == 0
    }
}

impl Validate for Policy {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        let home_max = if self.is_of_task() {
            Reason::unless_max("start", self.start, 0)?;
            -1
        } else {
            context.unless_range("start", self.start, "end", self.end)?;
            NODE_MAX
        };
        Reason::unless_in("home_node", self.home_node, -1, home_max)?;

        match self.mode {
            MPOL_DEFAULT
            | MPOL_PREFERRED
            | MPOL_BIND
            | MPOL_INTERLEAVE
            | MPOL_LOCAL
            | MPOL_PREFERRED_MANY
            | MPOL_WEIGHTED_INTERLEAVE => (),
            found => return Err(Reason::unknown("mode", found)),
        }
        // A set of nodes is either taken as it is, or as places in the set of those allowed.
        let sets = match self.flags & MPOL_F_STATIC_NODES {
            0 => MPOL_F_RELATIVE_NODES,
            _ => MPOL_F_STATIC_NODES,
        };
        Reason::unless_bits("flags", self.flags, MPOL_F_NUMA_BALANCING | sets)
    }
}

/// Pages of madvise(`MADV_GUARD_INSTALL`), ascending by `start`; not beyond one mapping.
///
/// C: `struct cr_hdr_guard`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_GUARD, abi = cr_hdr_guard)]
pub struct Guard {
    /// First byte.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
}

impl Validate for Guard {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_range("start", self.start, "end", self.end)
    }
}

/// A context of io_setup(2), ascending by `id`, without a request under way. What its ring has is in
/// the pages of its mapping.
///
/// C: `struct cr_hdr_aio`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_AIO, abi = cr_hdr_aio)]
pub struct Aio {
    /// The `aio_context_t`: where its ring is mapped.
    pub id: u64,
    /// What io_setup(2) was asked for.
    pub nr_events: u32,
    /// Head of the ring.
    pub head: u32,
    /// Tail of the ring.
    pub tail: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for Aio {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        context.unless_pages("id", self.id)?;
        Reason::unless_address("id", self.id)?;
        Reason::unless_in("nr_events", self.nr_events, 1, u32::MAX)
    }
}
