// SPDX-License-Identifier: GPL-2.0

//! What the attribute needs, and what it does not know.

use ckpt_macros::Record;

#[derive(Record)]
#[repr(C, align(8))]
struct None {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE)]
#[repr(C, align(8))]
struct NoAbi {
    value: u64,
}

#[derive(Record)]
#[record(type = SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct OtherPrefix {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample, size = 8)]
#[repr(C, align(8))]
struct Unknown {
    value: u64,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[record(abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Twice {
    value: u64,
}

fn main() {}
