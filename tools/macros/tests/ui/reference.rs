// SPDX-License-Identifier: GPL-2.0

//! A reference is an address, too.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    name: &'static [u8; 8],
}

fn main() {}
