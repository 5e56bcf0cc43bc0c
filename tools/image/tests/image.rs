// SPDX-License-Identifier: GPL-2.0

//! The image of one task: it is taken, and nothing else is.

use ckpt_image::{
    image::Expect,
    verify,
    ImageBuilder, //
};

const ANY: Expect<'static> = Expect {
    kernel: None,
    crid: None,
    flags: 0,
};

#[test]
fn valid_image() {
    let image = ImageBuilder::new().build();
    let summary = verify(&*image, ANY).unwrap();
    assert_eq!(summary.bytes, image.len() as u64);
    assert_eq!(summary.records, 5);
    assert_eq!(summary.tasks[0].comm, b"sample");
}
