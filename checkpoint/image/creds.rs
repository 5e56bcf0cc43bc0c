// SPDX-License-Identifier: GPL-2.0

//! Credentials: who a task is, and what it may do.
//!
//! That the caller of restart(2) may be so is for the kernel to decide; here is only what holds of
//! every task.

use core::mem::size_of;

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// What no user or group has: -1 in an argument stands for "as it is".
pub(super) const NO_ID: u32 = u32::MAX;

/// `SECBIT_*`: six bits, and a lock for each.
const SECUREBITS: u32 = 0xfff;

/// Every capability, from `CAP_CHOWN` to `CAP_CHECKPOINT_RESTORE`.
const CAPABILITIES: u64 = (1 << 41) - 1;

/// Credentials; `CR_HDR_GROUPS` follows if `ngroups` is not 0.
///
/// C: `struct cr_hdr_creds`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_CREDS, abi = cr_hdr_creds)]
pub struct Creds {
    /// Real user id, like all ids in the user namespace of the checkpointer.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Saved user id.
    pub suid: u32,
    /// User id for file access.
    pub fsuid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved group id.
    pub sgid: u32,
    /// Group id for file access.
    pub fsgid: u32,
    /// `SECBIT_*` as prctl(2) reports them.
    pub securebits: u32,
    /// Supplementary groups: `CR_HDR_GROUPS` has a `__u32` for each.
    pub ngroups: u32,
    /// Capability set.
    pub cap_inheritable: u64,
    /// Capability set.
    pub cap_permitted: u64,
    /// Capability set.
    pub cap_effective: u64,
    /// Capability bounding set.
    pub cap_bset: u64,
    /// Capability set.
    pub cap_ambient: u64,
    /// 1 if execve(2) grants nothing.
    pub no_new_privs: u32,
    /// 0
    pub reserved: u32,
}

impl Creds {
    /// Returns how many bytes of `CR_HDR_GROUPS` follow.
    pub fn groups_len(&self) -> usize {
        // A valid record has CR_GROUPS_MAX at most.
        (self.ngroups as usize).saturating_mul(size_of::<u32>())
    }
}

impl Validate for Creds {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        for (field, id) in [
            ("uid", self.uid),
            ("euid", self.euid),
            ("suid", self.suid),
            ("fsuid", self.fsuid),
            ("gid", self.gid),
            ("egid", self.egid),
            ("sgid", self.sgid),
            ("fsgid", self.fsgid),
        ] {
            if id == NO_ID {
                return Err(Reason::NoId { field });
            }
        }
        Reason::unless_bits("securebits", self.securebits, SECUREBITS)?;
        Reason::unless_in("ngroups", self.ngroups, 0, uapi::CR_GROUPS_MAX)?;

        // A task may use no more than it is permitted, and pass on to programs by themselves no
        // more than it may both use and pass on.
        Reason::unless_bits("cap_inheritable", self.cap_inheritable, CAPABILITIES)?;
        Reason::unless_bits("cap_permitted", self.cap_permitted, CAPABILITIES)?;
        Reason::unless_bits("cap_effective", self.cap_effective, self.cap_permitted)?;
        Reason::unless_bits("cap_bset", self.cap_bset, CAPABILITIES)?;
        Reason::unless_bits(
            "cap_ambient",
            self.cap_ambient,
            self.cap_permitted & self.cap_inheritable,
        )?;
        Reason::unless_in("no_new_privs", self.no_new_privs, 0, 1)
    }
}
