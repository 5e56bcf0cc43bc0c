// SPDX-License-Identifier: GPL-2.0

//! What system calls a task may make: seccomp(2).
//!
//! Whether a program is one that the kernel runs is for the kernel to decide: it takes it through the
//! same checks as from seccomp(2).

use core::mem::size_of;

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

/// `SECCOMP_MODE_FILTER`: the largest mode, and the only one with filters.
const MODE_FILTER: u32 = 2;

/// seccomp(2); `nr_filters` `CR_HDR_FILTER` follow, the first that was installed first.
///
/// C: `struct cr_hdr_seccomp`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SECCOMP, abi = cr_hdr_seccomp)]
pub struct Seccomp {
    /// `SECCOMP_MODE_*`
    pub mode: u32,
    /// Filters; 0 unless `mode` is `SECCOMP_MODE_FILTER`.
    pub nr_filters: u32,
}

impl Validate for Seccomp {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        if self.mode > MODE_FILTER {
            return Err(Reason::unknown("mode", self.mode));
        }
        // The mode comes with the first filter.
        let (min, max) = match self.mode {
            MODE_FILTER => (1, uapi::CR_FILTERS_MAX),
            _ => (0, 0),
        };
        Reason::unless_in("nr_filters", self.nr_filters, min, max)
    }
}

/// A seccomp filter; `CR_HDR_INSNS` with its program follow, as `struct sock_filter`:
/// `CR_WORDS_MAX` instructions in each but the last.
///
/// C: `struct cr_hdr_filter`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_FILTER, abi = cr_hdr_filter)]
pub struct Filter {
    /// `CR_FILTER_*`
    pub flags: u32,
    /// Instructions.
    pub nr_insns: u32,
}

impl Filter {
    /// Returns how many bytes there are in all `CR_HDR_INSNS` of this filter.
    pub fn insns_len(&self) -> usize {
        // A valid record has CR_INSNS_MAX at most.
        (self.nr_insns as usize).saturating_mul(size_of::<u64>())
    }
}

impl Validate for Filter {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("flags", self.flags, uapi::CR_FILTER_LOG)?;
        Reason::unless_in("nr_insns", self.nr_insns, 1, uapi::CR_INSNS_MAX)
    }
}
