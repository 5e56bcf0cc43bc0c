// SPDX-License-Identifier: GPL-2.0

//! The restart pipeline: read and check everything, get everything ready, commit.
//!
//! Up to the commit the caller is as it was, and an error leaves it so.

use kernel::{
    fs::rw::{
        Direction,
        StreamFile, //
    },
    prelude::*,
    uts::UtsName, //
};

use crate::{
    image::Expect,
    log::Log,
    resource::Images,
    stream::{
        running_kernel,
        Failure,
        ImageReader,
        Transport, //
    },
    uapi, //
};

/// What restart(2) does once its flags are checked.
pub(crate) fn restart(crid: c_int, fd: c_int, log: &mut Log) -> Result {
    let file =
        StreamFile::from_fd(fd, Direction::Read).map_err(|unfit| log.unfit("fd", fd, unfit))?;
    let caller = current!();

    if crid < 0 {
        log.line(format_args!("crid {crid}: negative"));
        return Err(EINVAL);
    }
    if !caller.is_single_threaded() {
        log.task(caller, format_args!("the caller has more than one thread"));
        return Err(EINVAL);
    }

    let images = read(&file, crid).map_err(|failure| {
        log.line(format_args!("{failure}"));
        failure.error()
    })?;
    let prepared = images.prepare()?;

    prepared.commit(caller);
    Ok(())
}

/// Reads a whole image and checks it against the running kernel. Has no side effects but the file's
/// position.
fn read<T: Transport>(file: &T, crid: c_int) -> Result<Images, Failure> {
    let uts = UtsName::running();
    let mut from = ImageReader::new(
        file,
        Expect {
            kernel: Some(running_kernel(&uts)),
            crid: (crid != 0).then_some(crid),
            flags: u64::from(uapi::CHECKPOINT_FLAGS),
        },
    );
    let mut images = Images::default();

    while let Some(item) = from.next()? {
        images.take(&item)?;
    }
    Ok(images)
}
