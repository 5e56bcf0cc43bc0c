// SPDX-License-Identifier: GPL-2.0

//! Text is made of bytes.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    #[record(text)]
    words: [u16; 4],
    #[record(text)]
    number: u64,
    #[record(string)]
    name: [u8; 8],
}

fn main() {}
