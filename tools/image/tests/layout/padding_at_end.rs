// SPDX-License-Identifier: GPL-2.0

//! Four bytes after the last field that nobody has set.

//~ the size of a record is a multiple of 8

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
        pub a: u64,
        pub b: u32,
    }
}

#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    a: u64,
    b: u32,
}

fn main() {}
