// SPDX-License-Identifier: GPL-2.0

//! No bytes make the checks on an image panic, hang, or take what is not valid.
//!
//! Each input is tried as it is, and with the checksum put right, so that the fuzzer does not have
//! to guess CRCs to get behind it. What is taken must be what the writing side writes.

#![no_main]

use ckpt_image::{
    image::{
        Checker,
        Encoder,
        Expect,
        Header,
        Item,
        Refusal,
        Text, //
    },
    reseal,
    uapi,
    verify,
    ImageBuilder,
    Reader,
    SAMPLE_KERNEL, //
};
use libfuzzer_sys::fuzz_target;
use std::{
    convert::Infallible,
    env,
    fs,
    path::PathBuf, //
};

fuzz_target!(init: seed(), |bytes: &[u8]| {
    let mut sealed = bytes.to_vec();
    reseal(&mut sealed);

    for image in [bytes, &sealed] {
        for kernel in [None, Some(SAMPLE_KERNEL)] {
            let expect = Expect {
                kernel,
                crid: None,
                flags: uapi::CHECKPOINT_FLAGS.into(),
            };
            match verify(image, expect) {
                Ok(summary) => {
                    let taken = &image[..summary.bytes as usize];
                    assert_eq!(written_again(taken, expect).unwrap(), taken);
                }
                // What the log would say.
                Err(error) => drop(error.to_string()),
            }
        }

        // The inspector: no check stands before it.
        for record in Reader::new(image).flatten() {
            for (field, value) in record.fields().into_iter().flatten() {
                drop(format!("{} {value}", field.c_type()));
            }
        }
    }
});

/// Writes images to begin with into the folder that CKPT_SEEDS names.
fn seed() {
    let Some(folder) = env::var_os("CKPT_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (name, comm) in [
        ("sample", &b"sample\0\0\0\0\0\0\0\0\0\0"[..]),
        ("padded", b"13 characters"),
        ("long", &[b'x'; 4096]),
    ] {
        let image = ImageBuilder::new().comm(comm).build();
        fs::write(folder.join(name), image).unwrap();
    }
}

/// Writes what is read from `image`.
fn written_again(image: &[u8], expect: Expect<'_>) -> Result<Vec<u8>, Refusal> {
    let mut written = Vec::new();
    let mut sink = |bytes: &[u8]| -> Result<(), Infallible> {
        written.extend_from_slice(bytes);
        Ok(())
    };

    let mut checker = Checker::new(expect);
    let mut encoder = Encoder::new();
    let mut rest = image;
    while !checker.done() {
        let (header, payload) = rest.split_first_chunk::<{ Header::SIZE }>().unwrap();
        let (payload, next) = payload.split_at(checker.header(header)?.padded_len());
        let result = match checker.payload(payload)? {
            Item::Head(head) => encoder.record(0, &head, &mut sink),
            Item::Task(task) => encoder.record(0, &task, &mut sink),
            Item::Text(text) => encoder.text(0, Text::new(text).unwrap(), &mut sink),
            Item::TaskStats(stats) => encoder.record(0, &stats, &mut sink),
            Item::Tail(_) => Ok(()),
        };
        let Ok(()) = result;
        rest = next;
    }
    let Ok(_) = encoder.tail(&mut sink);
    Ok(written)
}
