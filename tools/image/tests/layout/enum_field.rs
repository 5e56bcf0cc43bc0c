// SPDX-License-Identifier: GPL-2.0

//! The macro cannot tell that a name is an enum; the compiler can.

//~ `Colour` cannot be the type of a field in a record
//~ `Colour`

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
        pub kind: u32,
        pub reserved: u32,
    }
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(u32)]
enum Colour {
    Red,
    Green,
}

#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    kind: Colour,
    reserved: u32,
}

fn main() {}
