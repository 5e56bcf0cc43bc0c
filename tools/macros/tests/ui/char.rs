// SPDX-License-Identifier: GPL-2.0

//! A char that is a surrogate is undefined behaviour.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample {
    letter: char,
    reserved: u32,
}

fn main() {}
