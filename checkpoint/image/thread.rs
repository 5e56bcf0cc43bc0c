// SPDX-License-Identifier: GPL-2.0

//! A thread of execution: its registers, and what the kernel keeps for it.
//!
//! Whether registers can be loaded is for the kernel to decide: it takes them through the same setters
//! as from a debugger. Addresses that only system calls use are not judged either, because a process
//! may set them to anything.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// `SS_ONSTACK`, `SS_DISABLE` and `SS_AUTODISARM`.
const ALTSTACK_FLAGS: u32 = 1 | 2 | 1 << 31;

const FLAGS: u32 = uapi::CR_THREAD_IA32
    | uapi::CR_THREAD_RESTART_COMPAT
    | uapi::CR_THREAD_DISPATCH
    | XCOMP
    | uapi::CR_THREAD_XTILE_DATA;

/// What a process has permission for, so that all of its threads say the same.
pub(super) const XCOMP: u32 = uapi::CR_THREAD_XCOMP_PERM
    | uapi::CR_THREAD_XCOMP_GUEST_PERM
    | uapi::CR_THREAD_XCOMP_GUEST_LOCKED;

/// Bytes of the legacy region of XSAVE and the header behind it: no state is shorter.
const XSTATE_MIN: u32 = 512 + 64;

/// What the kernel knows of a thread of execution.
///
/// C: `struct cr_hdr_thread`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_THREAD, abi = cr_hdr_thread)]
pub struct Thread {
    /// As set_tid_address(2) has it.
    pub clear_child_tid: u64,
    /// Head of the list of robust futexes, 0 if there is none.
    pub robust_list: u64,
    /// Address of the rseq(2) area, 0 if none is registered.
    pub rseq: u64,
    /// Bytes of it.
    pub rseq_len: u32,
    /// Signature before each abort handler.
    pub rseq_sig: u32,
    /// Alternate stack, as sigaltstack(2) has it.
    pub altstack_sp: u64,
    /// Its bytes.
    pub altstack_size: u64,
    /// `SS_*` of it.
    pub altstack_flags: u32,
    /// `CR_RESTART_*`
    pub restart_kind: u32,
    /// Arguments of that call, in the order given there.
    pub restart_args: [u64; 4],
    /// Nanoseconds that the call has left to wait, `CR_NO_TIMEOUT` if there is no limit.
    pub restart_left: i64,
    /// As personality(2) has it.
    pub personality: u32,
    /// Bytes of the `CR_HDR_XSTATE` behind `CR_HDR_CPU`.
    pub xstate_len: u32,
    /// Head of the list of a 32-bit program.
    pub compat_robust_list: u64,
    /// `CR_THREAD_*`
    pub flags: u32,
    /// 0
    pub reserved: u32,
    /// Address of what selects the dispatch of system calls, or 0; 0 without `CR_THREAD_DISPATCH`, like
    /// the next two.
    pub dispatch_selector: u64,
    /// Where the code begins whose system calls are not dispatched.
    pub dispatch_offset: u64,
    /// Its bytes; it may go round the end of all addresses.
    pub dispatch_len: u64,
}

impl Thread {
    /// Returns how many bytes `CR_HDR_XSTATE` has.
    pub fn xstate_len(&self) -> usize {
        self.xstate_len as usize
    }
}

impl Validate for Thread {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        if self.rseq == 0 {
            Reason::unless_equal("rseq_len", self.rseq_len, 0u32)?;
        } else {
            Reason::unless_address("rseq", self.rseq)?;
        }
        Reason::unless_bits("altstack_flags", self.altstack_flags, ALTSTACK_FLAGS)?;
        match self.restart_kind {
            uapi::CR_RESTART_NONE
            | uapi::CR_RESTART_NANOSLEEP
            | uapi::CR_RESTART_FUTEX
            | uapi::CR_RESTART_POLL
            | uapi::CR_RESTART_EPOLL => (),
            found => return Err(Reason::unknown("restart_kind", found)),
        }
        Reason::unless_in(
            "restart_left",
            self.restart_left,
            uapi::CR_NO_TIMEOUT,
            i64::MAX,
        )?;
        Reason::unless_in("xstate_len", self.xstate_len, XSTATE_MIN, uapi::CR_LEN_MAX)?;
        Reason::unless_multiple("xstate_len", self.xstate_len, uapi::CR_ALIGN)?;
        // A 32-bit program has no other addresses.
        Reason::unless_max(
            "compat_robust_list",
            self.compat_robust_list,
            u32::MAX.into(),
        )?;
        Reason::unless_bits("flags", self.flags, FLAGS)?;
        // There are no tiles without permission.
        if self.flags & uapi::CR_THREAD_XCOMP_PERM == 0 {
            Reason::unless_bits("flags", self.flags, !uapi::CR_THREAD_XTILE_DATA)?;
        }
        let max = match self.flags & uapi::CR_THREAD_DISPATCH {
            0 => 0,
            _ => u64::MAX,
        };
        for (field, found) in [
            ("dispatch_selector", self.dispatch_selector),
            ("dispatch_offset", self.dispatch_offset),
            ("dispatch_len", self.dispatch_len),
        ] {
            Reason::unless_max(field, found, max)?;
        }
        Ok(())
    }
}

/// General registers, as ptrace(`PTRACE_GETREGSET`) has them, and in `tls` the descriptors of
/// set_thread_area(2); `CR_HDR_XSTATE` follows.
///
/// C: `struct cr_hdr_cpu`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_CPU, abi = cr_hdr_cpu)]
pub struct Cpu {
    /// Register `r15`.
    pub r15: u64,
    /// Register `r14`.
    pub r14: u64,
    /// Register `r13`.
    pub r13: u64,
    /// Register `r12`.
    pub r12: u64,
    /// Register `bp`.
    pub bp: u64,
    /// Register `bx`.
    pub bx: u64,
    /// Register `r11`.
    pub r11: u64,
    /// Register `r10`.
    pub r10: u64,
    /// Register `r9`.
    pub r9: u64,
    /// Register `r8`.
    pub r8: u64,
    /// Register `ax`.
    pub ax: u64,
    /// Register `cx`.
    pub cx: u64,
    /// Register `dx`.
    pub dx: u64,
    /// Register `si`.
    pub si: u64,
    /// Register `di`.
    pub di: u64,
    /// Register `orig_ax`.
    pub orig_ax: u64,
    /// Register `ip`.
    pub ip: u64,
    /// Register `cs`.
    pub cs: u64,
    /// Register `flags`.
    pub flags: u64,
    /// Register `sp`.
    pub sp: u64,
    /// Register `ss`.
    pub ss: u64,
    /// Register `fs_base`.
    pub fs_base: u64,
    /// Register `gs_base`.
    pub gs_base: u64,
    /// Register `ds`.
    pub ds: u64,
    /// Register `es`.
    pub es: u64,
    /// Register `fs`.
    pub fs: u64,
    /// Register `gs`.
    pub gs: u64,
    /// Descriptors of set_thread_area(2).
    pub tls: [u64; 3],
}

impl Validate for Cpu {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // The kernel returns to user mode there. It takes no other bases from a debugger either.
        Reason::unless_address("ip", self.ip)?;
        Reason::unless_address("fs_base", self.fs_base)?;
        Reason::unless_address("gs_base", self.gs_base)
    }
}
