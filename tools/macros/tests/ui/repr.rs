// SPDX-License-Identifier: GPL-2.0

//! Every other layout than `C` with an alignment of 8.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C)]
struct OnlyC {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(align(8))]
struct OnlyAligned {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, packed)]
struct Packed {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(4))]
struct AlignedTo4 {
    value: u32,
}

fn main() {}
