// SPDX-License-Identifier: GPL-2.0

//! No bytes make the checks on an image panic, hang, or take what is not valid.
//!
//! Each input is tried as it is, and with the checksum put right, so that the fuzzer does not have
//! to guess CRCs to get behind it. What is taken must be what the writing side writes.

#![no_main]

use ckpt_image::{
    image::{
        Expect,
        Extent, //
    },
    reseal,
    rewrite,
    uapi,
    verify,
    BulkData,
    ImageBuilder,
    Reader,
    SAMPLE_KERNEL, //
};
use libfuzzer_sys::fuzz_target;
use std::{
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
                    assert_eq!(rewrite(taken, expect).unwrap(), taken);
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

    // With all that a process has, and parts of it, so that a mutation need not remove them.
    let process = ImageBuilder::process();
    fs::write(folder.join("process"), process.build()).unwrap();
    let mut small = process;
    small.bulk.clear();
    fs::write(folder.join("no-bulk"), small.build()).unwrap();
    // Bulk data that fits into what the fuzzer tries: any power of two is the size of a page.
    small.head.page_size = 64;
    let extent = |start| Extent {
        start,
        nr_pages: 1,
        flags: 0,
    };
    small.bulk = vec![
        BulkData::Data(1, 0, b"in the pipe".to_vec()),
        BulkData::Pages(1, vec![extent(0x40_3000), extent(0x100_0040)], vec![1; 128]),
        BulkData::Pages(1, vec![extent(0x7ffd_0000_0000)], vec![2; 64]),
    ];
    fs::write(folder.join("small-pages"), small.build()).unwrap();

    for (name, numbers, spaces) in [
        ("threads", &[1, 2, 3, 6][..], &[1][..]),
        ("children", &[1, 4, 6], &[1, 2]),
        ("outlived", &[1, 7, 8], &[1, 2]),
    ] {
        fs::write(folder.join(name), small_tree(numbers, spaces)).unwrap();
    }
}

/// Some tasks of the sample, without what is tried in other images, so that the fuzzer takes all of
/// it, and a page of each of `spaces`.
fn small_tree(numbers: &[usize], spaces: &[u32]) -> Vec<u8> {
    let mut tree = ImageBuilder::tree();
    tree.head.page_size = 64;
    tree.objects.truncate(6);
    tree.tasks = numbers
        .iter()
        .map(|number| tree.tasks[number - 1].clone())
        .collect();
    for task in &mut tree.tasks {
        // The one that outlives its leader.
        if task.task.mm == 7 {
            (task.task.mm, task.task.sighand) = (2, 2);
        }
        if let Some(parts) = &mut task.parts {
            parts.groups.clear();
            parts.xstate.truncate(576);
            parts.undos.truncate(1);
            parts.fds.truncate(1);
            parts.locks.clear();
            parts.owners.clear();
            parts.epoll_items.clear();
            parts.watches.clear();
            parts.vmas.truncate(2);
            parts.policies.clear();
            parts.guards.clear();
            parts.aio.clear();
            parts.ldt.clear();
        }
    }
    tree.bulk = spaces
        .iter()
        .map(|&task| {
            let extent = Extent {
                start: 0x40_3000,
                nr_pages: 1,
                flags: 0,
            };
            BulkData::Pages(task, vec![extent], vec![1; 64])
        })
        .collect();
    let image = tree.counted().build();
    let expect = Expect {
        kernel: None,
        crid: None,
        flags: uapi::CHECKPOINT_FLAGS.into(),
    };
    verify(&*image, expect).unwrap();
    image
}
