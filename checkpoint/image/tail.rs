// SPDX-License-Identifier: GPL-2.0

//! The last record of an image: that it is whole, and as it was written.

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

/// Last record of an image.
///
/// C: `struct cr_hdr_tail`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TAIL, abi = cr_hdr_tail)]
pub struct Tail {
    /// `CHECKPOINT_MAGIC_TAIL`
    pub magic: u64,
    /// CRC-32C (in the low 32 bits) of every byte of the image before this record, bulk data left
    /// out.
    pub cksum: u64,
}

impl Tail {
    /// Returns the tail of an image with this CRC-32C.
    pub const fn new(crc: u32) -> Self {
        Self {
            magic: uapi::CHECKPOINT_MAGIC_TAIL,
            cksum: crc as u64,
        }
    }
}

impl Validate for Tail {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_magic(self.magic, uapi::CHECKPOINT_MAGIC_TAIL)?;
        if self.cksum != u64::from(context.crc) {
            return Err(Reason::Checksum {
                found: self.cksum,
                computed: context.crc,
            });
        }
        Ok(())
    }
}
