// SPDX-License-Identifier: GPL-2.0

//! A struct may have padding, whatever its fields are.

//~ `Inner` cannot be the type of a field in a record

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
        pub inner: Inner,
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Inner {
    value: u64,
}

#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    inner: Inner,
}

fn main() {}
