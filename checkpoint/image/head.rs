// SPDX-License-Identifier: GPL-2.0

//! The first record of an image: what wrote it, and where and when.
//!
//! An image holds the state of a kernel's objects, not only what user space sees of them. So it
//! is taken only by the same kernel, on the same kind of machine.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    record::until_nul,
    Context,
    Kernel,
    Reason,
    UtsText,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

const UTS_LEN: usize = uapi::CR_UTS_LEN as usize;

/// First record of an image.
///
/// C: `struct cr_hdr_head`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_HEAD, abi = cr_hdr_head)]
pub struct Head {
    /// `CHECKPOINT_MAGIC_HEAD`
    pub magic: u64,

    /// Kernel version: 7 of 7.3.4.
    pub major: u16,
    /// Kernel version: 3 of 7.3.4.
    pub minor: u16,
    /// Kernel version: 4 of 7.3.4.
    pub patch: u16,
    /// `CR_VERSION`
    pub rev: u16,

    /// When the checkpoint was taken, in seconds of `CLOCK_REALTIME`.
    pub time: u64,
    /// `CHECKPOINT_*` flags of the call.
    pub flags: u64,

    /// utsname release of the kernel, padded with NULs.
    #[record(text)]
    pub release: [u8; UTS_LEN],
    /// utsname version of the kernel, padded with NULs.
    #[record(text)]
    pub version: [u8; UTS_LEN],
    /// utsname machine of the kernel, padded with NULs.
    #[record(text)]
    pub machine: [u8; UTS_LEN],

    /// What checkpoint(2) returned, greater than 0.
    pub crid: i32,
    /// Bytes per page of the kernel.
    pub page_size: u32,

    /// Pid of the first task, in its own pid namespace.
    pub pid: i32,
    /// How many tasks the image has.
    pub nr_tasks: u32,
}

impl Head {
    /// Returns the head of an image that `kernel` writes.
    ///
    /// `time` is in seconds of `CLOCK_REALTIME`; `flags` are those of checkpoint(2), and `crid` is
    /// what it is going to return; `pid` is that of the first of `nr_tasks` tasks.
    pub fn new(
        kernel: &Kernel<'_>,
        time: u64,
        flags: u64,
        crid: i32,
        pid: i32,
        nr_tasks: u32,
    ) -> Self {
        let (major, minor, patch) = kernel.version;
        Self {
            magic: uapi::CHECKPOINT_MAGIC_HEAD,
            major,
            minor,
            patch,
            rev: uapi::CR_VERSION as u16,
            time,
            flags,
            release: UtsText::new(kernel.release).0,
            version: UtsText::new(kernel.text).0,
            machine: UtsText::new(kernel.machine).0,
            crid,
            page_size: kernel.page_size,
            pid,
            nr_tasks,
        }
    }

    /// Refuses the image of another kernel.
    fn check_kernel(&self, kernel: &Kernel<'_>) -> Result<(), Reason> {
        let (major, minor, patch) = kernel.version;
        Reason::unless_equal("major", self.major, major)?;
        Reason::unless_equal("minor", self.minor, minor)?;
        Reason::unless_equal("patch", self.patch, patch)?;
        Reason::unless_equal("page_size", self.page_size, kernel.page_size)?;

        for (field, found, expected) in [
            ("release", self.release, kernel.release),
            ("version", self.version, kernel.text),
            ("machine", self.machine, kernel.machine),
        ] {
            if found != UtsText::new(expected).0 {
                return Err(Reason::OtherKernel {
                    field,
                    found: UtsText(found),
                });
            }
        }
        Ok(())
    }
}

impl Validate for Head {
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason> {
        let expect = context.expect;

        Reason::unless_magic(self.magic, uapi::CHECKPOINT_MAGIC_HEAD)?;
        Reason::unless_equal("rev", self.rev, uapi::CR_VERSION)?;

        // A call with that flag writes no image.
        let unknown = self.flags & (!expect.flags | u64::from(uapi::CHECKPOINT_CHECK));
        if unknown != 0 {
            return Err(Reason::Flags { unknown });
        }
        Reason::unless_in("crid", self.crid, 1, i32::MAX)?;
        if let Some(crid) = expect.crid {
            Reason::unless_equal("crid", self.crid, crid)?;
        }
        if !self.page_size.is_power_of_two() {
            return Err(Reason::PageSize {
                found: self.page_size,
            });
        }
        Reason::unless_in("pid", self.pid, 1, i32::MAX)?;
        Reason::unless_in("nr_tasks", self.nr_tasks, 1, uapi::CR_TASKS_MAX)?;
        for (field, text) in [
            ("release", &self.release),
            ("version", &self.version),
            ("machine", &self.machine),
        ] {
            if UtsText::new(until_nul(text)).0 != *text {
                return Err(Reason::TextPadding { field });
            }
        }
        match &expect.kernel {
            Some(kernel) => self.check_kernel(kernel),
            None => Ok(()),
        }
    }
}
