// SPDX-License-Identifier: GPL-2.0

//! The type has 16 bits with a sign in a header.

//~ the number of a record type has 15 bits and is not 0

use ckpt_image::{
    image,
    Record, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

mod uapi {
    pub use ckpt_image::uapi::*;

    pub const CR_HDR_SAMPLE: u32 = 40_000;

    #[repr(C, align(8))]
    pub struct cr_hdr_sample {
        pub a: u64,
    }
}

#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    a: u64,
}

fn main() {}
