// SPDX-License-Identifier: GPL-2.0

//! A bool that is 2 is undefined behaviour.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    flag: bool,
    reserved: [u8; 7],
}

fn main() {}
