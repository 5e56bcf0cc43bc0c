// SPDX-License-Identifier: GPL-2.0

//! The names by which the kernel goes.
//!
//! C headers: [`include/linux/utsname.h`](srctree/include/linux/utsname.h),
//! [`include/linux/version.h`](srctree/include/linux/version.h)

use crate::bindings;

/// Longest utsname field, in bytes, without the `NUL` behind it.
pub const UTS_LEN: usize = bindings::__NEW_UTS_LEN as usize;

/// The kernel's release, version and machine, as uname(2) reports them, padded with `NUL`.
///
/// The other fields of utsname can be changed at run time and differ by namespace; these cannot.
pub struct UtsName {
    /// Release, for instance "7.3.4".
    pub release: [u8; UTS_LEN],
    /// Number and time of the build.
    pub version: [u8; UTS_LEN],
    /// Hardware, for instance "x86_64".
    pub machine: [u8; UTS_LEN],
}

/// Copies a field, which C declares with one byte more for the `NUL`.
fn field(from: &[u8; UTS_LEN + 1]) -> [u8; UTS_LEN] {
    let mut to = [0; UTS_LEN];

    for (to, from) in to.iter_mut().zip(from).take_while(|(_, from)| **from != 0) {
        *to = *from;
    }
    to
}

impl UtsName {
    /// Returns the names of the running kernel.
    pub fn running() -> Self {
        // SAFETY: `init_utsname()` returns a pointer to a static structure. The three fields that
        // are read from it below never change.
        let uts = unsafe { bindings::init_utsname() };

        // SAFETY: As above; no reference to the whole structure is made, whose other fields change.
        let (release, version, machine) =
            unsafe { (&(*uts).release, &(*uts).version, &(*uts).machine) };

        Self {
            release: field(release),
            version: field(version),
            machine: field(machine),
        }
    }
}

/// Returns the version of the running kernel: `(7, 3, 4)` for 7.3.4.
///
/// A sublevel above 255 reads as 255, as it does in `LINUX_VERSION_CODE`.
pub const fn linux_version() -> (u16, u16, u16) {
    const CODE: u32 = bindings::LINUX_VERSION_CODE;

    (
        (CODE >> 16) as u16,
        ((CODE >> 8) & 0xff) as u16,
        (CODE & 0xff) as u16,
    )
}
