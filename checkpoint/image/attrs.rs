// SPDX-License-Identifier: GPL-2.0

//! What prctl(2) and files in `/proc/PID` set for a task.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    signals::SIGNAL_MAX,
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// `OOM_SCORE_ADJ_MIN` and `OOM_SCORE_ADJ_MAX`.
const OOM_SCORE_ADJ_MIN: i32 = -1000;
const OOM_SCORE_ADJ_MAX: i32 = 1000;

/// `PR_SPEC_PRCTL` to `PR_SPEC_DISABLE_NOEXEC`.
const SPECULATION: u32 = 0x1f;

const FLAGS: u32 = uapi::CR_ATTR_SUBREAPER
    | uapi::CR_ATTR_IO_FLUSHER
    | uapi::CR_ATTR_MCE_SET
    | uapi::CR_ATTR_MCE_EARLY
    | uapi::CR_ATTR_NO_TSC
    | uapi::CR_ATTR_NO_CPUID
    | uapi::CR_ATTR_CORE_SCHED
    | uapi::CR_ATTR_LOGINUID
    | uapi::CR_ATTR_POLICY;

/// What prctl(2) and `/proc/PID` set; a `CR_HDR_STRING` with the label of the security module
/// follows if `label_len` is not 0, then, with `CR_ATTR_POLICY`, the policy of set_mempolicy(2) of a
/// task that comes without an address space.
///
/// C: `struct cr_hdr_task_attrs`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TASK_ATTRS, abi = cr_hdr_task_attrs)]
pub struct TaskAttrs {
    /// `/proc/PID/oom_score_adj`
    pub oom_score_adj: i32,
    /// The least that it may become without a capability.
    pub oom_score_adj_min: i32,
    /// As prctl(`PR_SET_PDEATHSIG`) has it.
    pub pdeath_signal: u32,
    /// `CR_ATTR_*`
    pub flags: u32,
    /// As prctl(`PR_GET_SPECULATION_CTRL`) reports it.
    pub spec_store_bypass: u32,
    /// Likewise.
    pub spec_indirect_branch: u32,
    /// Likewise.
    pub spec_l1d_flush: u32,
    /// `/proc/PID/loginuid`, in the user namespace of the checkpointer.
    pub loginuid: u32,
    /// `/proc/PID/sessionid`
    pub sessionid: u32,
    /// Bytes of the label.
    pub label_len: u32,
    /// Number of a task, the first that has the same cookie of `PR_SCHED_CORE`; 0 if none has, or
    /// without `CR_ATTR_CORE_SCHED`.
    pub core_cookie: u32,
    /// 0
    pub reserved: u32,
}

impl TaskAttrs {
    /// Returns how many bytes the label has that follows.
    pub fn label_len(&self) -> usize {
        self.label_len as usize
    }
}

impl Validate for TaskAttrs {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        for (field, found) in [
            ("oom_score_adj", self.oom_score_adj),
            ("oom_score_adj_min", self.oom_score_adj_min),
        ] {
            Reason::unless_in(field, found, OOM_SCORE_ADJ_MIN, OOM_SCORE_ADJ_MAX)?;
        }
        Reason::unless_in("pdeath_signal", self.pdeath_signal, 0, SIGNAL_MAX)?;

        let mut flags = FLAGS;
        if self.flags & uapi::CR_ATTR_MCE_SET == 0 {
            flags &= !uapi::CR_ATTR_MCE_EARLY;
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        for (field, found) in [
            ("spec_store_bypass", self.spec_store_bypass),
            ("spec_indirect_branch", self.spec_indirect_branch),
            ("spec_l1d_flush", self.spec_l1d_flush),
        ] {
            Reason::unless_bits(field, found, SPECULATION)?;
        }
        let max = match self.flags & uapi::CR_ATTR_CORE_SCHED {
            0 => 0,
            _ => uapi::CR_TASKS_MAX,
        };
        Reason::unless_in("core_cookie", self.core_cookie, 0, max)?;
        Reason::unless_in("label_len", self.label_len, 0, uapi::CR_LABEL_LEN_MAX)
    }
}
