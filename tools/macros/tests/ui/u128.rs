// SPDX-License-Identifier: GPL-2.0

//! Its alignment depends on the compiler.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    id: u128,
}

fn main() {}
