// SPDX-License-Identifier: GPL-2.0

//! No bytes make the checks on an image panic, hang or take what is not valid.
//!
//! Each input is tried as it is and with the checksum put right, so that the fuzzer does not have
//! to guess CRCs to get behind it.

#![no_main]

use ckpt_image::{
    image::Expect,
    reseal,
    verify,
    Reader,
    SAMPLE_KERNEL, //
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut sealed = bytes.to_vec();
    reseal(&mut sealed);

    for image in [bytes, &sealed] {
        for kernel in [None, Some(SAMPLE_KERNEL)] {
            let expect = Expect {
                kernel,
                crid: None,
                flags: 1,
            };
            match verify(image, expect) {
                Ok(summary) => assert!(summary.bytes <= image.len() as u64),
                // What the log would say.
                Err(error) => drop(error.to_string()),
            }
        }

        // The inspector: no check stands before it.
        for record in Reader::new(image).flatten() {
            for (_, value) in record.fields().into_iter().flatten() {
                drop(value.to_string());
            }
        }
    }
});
