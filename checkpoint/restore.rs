// SPDX-License-Identifier: GPL-2.0

//! The restart pipeline: read and check all records, get everything ready, let bulk data stream into
//! place, commit.
//!
//! Up to the commit the caller is as it was, and an error leaves it so: what was made ready is given
//! back by dropping it. The commit cannot fail.

use kernel::{
    fs::{
        rw::{
            Direction,
            StreamFile, //
        },
        File, //
    },
    prelude::*,
    task::CurrentTask,
    uts::UtsName, //
};

use crate::{
    image::Expect,
    log::Log,
    resource::{
        Images,
        Prepare, //
    },
    stream::{
        running_kernel,
        Failure,
        ImageReader,
        Transport, //
    },
    uapi, //
};

/// What restart(2) does once its flags are checked. Returns what the caller finds in its return
/// value register: that of the process in the image, if there is one, else 0.
pub(crate) fn restart(crid: c_int, fd: c_int, flags: c_ulong, log: &mut Log) -> Result<c_long> {
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

    rebuild(&file, file.file(), crid, flags, caller, log).map_err(|failure| {
        if !matches!(failure, Failure::Logged(_)) {
            log.line(format_args!("{failure}"));
        }
        failure.error()
    })
}

/// Reads a whole image and makes the caller what it says.
fn rebuild<T: Transport>(
    file: &T,
    image: &File,
    crid: c_int,
    flags: c_ulong,
    caller: &CurrentTask,
    log: &mut Log,
) -> Result<c_long, Failure> {
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

    // No side effects but the position of the file, up to the first bulk data.
    while !from.at_bulk() {
        match from.next()? {
            Some(item) => images.take(&item)?,
            None => break,
        }
    }

    let whole = images.is_process();
    let mut cx = Prepare::new(caller, flags as u32, image, log);
    let mut prepared = images.prepare(&mut cx).map_err(|e| cx.ended(e))?;
    loop {
        if let Some(bulk) = from.bulk() {
            prepared.fill(bulk)?;
        }
        if from.next()?.is_none() {
            break;
        }
    }
    prepared.complete(&mut cx).map_err(|e| cx.ended(e))?;

    prepared.commit(caller);
    Ok(if whole { caller.return_value() } else { 0 })
}
