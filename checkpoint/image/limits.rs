// SPDX-License-Identifier: GPL-2.0

//! Resource limits.

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

const NR_LIMITS: usize = uapi::CR_NR_LIMITS as usize;

/// Resource limits, by `RLIMIT_*`.
///
/// C: `struct cr_hdr_limits`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_LIMITS, abi = cr_hdr_limits)]
pub struct Limits {
    /// Soft limits, the largest number for `RLIM_INFINITY`.
    pub cur: [u64; NR_LIMITS],
    /// Hard limits.
    pub max: [u64; NR_LIMITS],
}

impl Validate for Limits {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        // setrlimit(2) takes no others.
        self.cur
            .iter()
            .zip(&self.max)
            .try_for_each(|(&cur, &max)| Reason::unless_not_below("max", max, cur))
    }
}
