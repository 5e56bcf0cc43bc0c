// SPDX-License-Identifier: GPL-2.0

//! A record has one layout.

use ckpt_macros::Record;

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Sample<T> {
    value: T,
}

#[derive(Record)]
#[record(type = CR_HDR_SAMPLE, abi = cr_hdr_sample)]
#[repr(C, align(8))]
struct Array<const N: usize> {
    value: [u64; N],
}

fn main() {}
