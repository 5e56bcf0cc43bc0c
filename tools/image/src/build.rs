// SPDX-License-Identifier: GPL-2.0

//! Making images, for tests.

use std::convert::Infallible;

use crate::{
    image::{
        Encoder,
        Head,
        Header,
        Kernel,
        Kind,
        Task,
        TaskStats,
        Text, //
    },
    uapi,
    Reader, //
};

/// The kernel that a new [`ImageBuilder`] says its image is from.
pub const SAMPLE_KERNEL: Kernel<'static> = Kernel {
    version: (7, 3, 4),
    release: b"7.3.4",
    text: b"#1 SMP PREEMPT_DYNAMIC",
    machine: b"x86_64",
    page_size: 4096,
};

/// Makes the image of one task, as checkpoint(2) does: HEAD, TASK, STRING, TASK_STATS, TAIL.
///
/// Every field can be set to something that is not valid; lengths and the checksum are those of
/// what is there. To get them wrong, change the bytes.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    /// First record.
    pub head: Head,
    /// The task. Its `task_comm_len` is set by [`Self::comm`].
    pub task: Task,
    /// Payload of the STRING, not necessarily `task_comm_len` bytes.
    pub comm: Vec<u8>,
    /// What it has used up.
    pub stats: TaskStats,
}

impl ImageBuilder {
    /// Begins with the valid image of a task named "sample", from [`SAMPLE_KERNEL`].
    pub fn new() -> Self {
        Self::of(&SAMPLE_KERNEL)
    }

    /// Begins with the valid image of a task named "sample", from `kernel`.
    pub fn of(kernel: &Kernel<'_>) -> Self {
        let flags = 0;
        Self {
            head: Head::new(kernel, 1_790_000_000, flags, 1),
            task: Task {
                exit_signal: 17,
                ..Task::default()
            },
            comm: Vec::new(),
            stats: TaskStats {
                utime: 4_000_000,
                stime: 1_000_000,
                utimescaled: 4_000_000,
                stimescaled: 1_000_000,
                nvcsw: 3,
                nivcsw: 1,
                start_time: 12_345_678_901,
                start_boottime: 12_345_678_901,
                min_flt: 97,
                ..TaskStats::default()
            },
        }
        .comm(b"sample\0\0\0\0\0\0\0\0\0\0")
    }

    /// Sets the comm, and the length of it that the task announces.
    pub fn comm(mut self, comm: &[u8]) -> Self {
        self.comm = comm.to_vec();
        self.task.task_comm_len = i32::try_from(comm.len()).unwrap_or(i32::MAX);
        self
    }

    /// Returns the image.
    ///
    /// A comm of more than `CR_LEN_MAX` bytes is cut to that: no record can hold more.
    pub fn build(&self) -> Vec<u8> {
        let mut image = Vec::new();
        let mut sink = |bytes: &[u8]| -> Result<(), Infallible> {
            image.extend_from_slice(bytes);
            Ok(())
        };
        let comm = self
            .comm
            .get(..uapi::CR_LEN_MAX as usize)
            .unwrap_or(&self.comm);

        let mut encoder = Encoder::new();
        let written = (|| {
            encoder.record(0, &self.head, &mut sink)?;
            encoder.record(0, &self.task, &mut sink)?;
            if let Some(text) = Text::new(comm) {
                encoder.text(0, text, &mut sink)?;
            }
            encoder.record(0, &self.stats, &mut sink)?;
            encoder.tail(&mut sink)
        })();
        match written {
            Ok(_) => image,
            Err(never) => match never {},
        }
    }
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives an image that was changed the checksum of what it is now.
///
/// So a test gets behind the checksum, to the check that it is about. Returns whether there was a
/// TAIL to write it into.
pub fn reseal(image: &mut [u8]) -> bool {
    let tail = Reader::new(&*image)
        .flatten()
        .find(|record| record.header.kind == Kind::Tail.number())
        .and_then(|record| usize::try_from(record.offset).ok());
    let Some((records, tail)) = tail.and_then(|offset| image.split_at_mut_checked(offset)) else {
        return false;
    };
    let cksum = u64::from(crate::crc32c(0, records)).to_ne_bytes();
    match tail.get_mut(Header::SIZE + 8..Header::SIZE + 16) {
        Some(field) => field.copy_from_slice(&cksum),
        None => return false,
    }
    true
}
