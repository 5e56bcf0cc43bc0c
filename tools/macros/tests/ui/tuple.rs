// SPDX-License-Identifier: GPL-2.0

//! Its layout is the compiler's business.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    pair: (u32, u32),
}

fn main() {}
