// SPDX-License-Identifier: GPL-2.0

//! Sizes and offsets are the same, the numbers are not.

//~ mismatched types
//~ expected `&u64`, found `&i64`

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

    pub const CR_HDR_SAMPLE: u32 = 7;

    #[repr(C, align(8))]
    pub struct cr_hdr_sample {
        pub a: i64,
    }
}

#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    a: u64,
}

fn main() {}
