// SPDX-License-Identifier: GPL-2.0

//! Signals: which are blocked, what each does, and those that wait.

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

/// Largest signal number: `_NSIG` of every architecture but MIPS.
pub(super) const SIGNAL_MAX: u32 = 64;

const SIGKILL: u32 = 9;
const SIGSTOP: u32 = 19;

/// The signals that cannot be blocked, as a mask.
pub(super) const UNBLOCKABLE: u64 = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1);

/// The signals whose action can be set.
const ACTIONS_MAX: u32 = SIGNAL_MAX - UNBLOCKABLE.count_ones();

/// The `SA_*` that sigaction(2) takes, with `SA_RESTORER`, and what call that was. Not the one that
/// the kernel uses itself.
const SA_FLAGS: u64 = 0xdc00_0807 | (uapi::CR_SA_X32 | uapi::CR_SA_IA32) as u64;

/// Signal state that the threads of a process have in common; `nr_actions` `CR_HDR_SIGACTION` and then
/// `nr_pending` `CR_HDR_SIGINFO` follow.
///
/// C: `struct cr_hdr_process`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_PROCESS, abi = cr_hdr_process)]
pub struct Process {
    /// `CR_PROCESS_*`
    pub flags: u32,
    /// The signal that stopped the process, 0 if it is not stopped.
    pub stop_signal: u32,
    /// Signals with an action that is not the default; 0 if another process has the same actions.
    pub nr_actions: u32,
    /// Signals that wait to be delivered to any thread.
    pub nr_pending: u32,
}

impl Process {
    /// Returns the flags that may be, with some of those that are.
    fn possible_flags(&self) -> u32 {
        let has = |flag| self.flags & flag != 0;

        if !has(uapi::CR_PROCESS_STOP_TOLD) || !has(uapi::CR_PROCESS_STOPPED) {
            let tell = match has(uapi::CR_PROCESS_TELL_STOPPED) {
                true => uapi::CR_PROCESS_TELL_STOPPED,
                false => uapi::CR_PROCESS_TELL_CONTINUED,
            };
            return uapi::CR_PROCESS_STOPPED | uapi::CR_PROCESS_CONTINUED | tell;
        }
        // What was before the stop is nobody's concern any more.
        uapi::CR_PROCESS_STOPPED | uapi::CR_PROCESS_STOP_TOLD | uapi::CR_PROCESS_STOP_SEEN
    }
}

impl Validate for Process {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("flags", self.flags, self.possible_flags())?;
        let max = match self.flags & uapi::CR_PROCESS_STOPPED {
            0 => 0,
            _ => SIGNAL_MAX,
        };
        Reason::unless_in("stop_signal", self.stop_signal, 0, max)?;
        Reason::unless_in("nr_actions", self.nr_actions, 0, ACTIONS_MAX)?;
        Reason::unless_in("nr_pending", self.nr_pending, 0, uapi::CR_PENDING_MAX)
    }
}

/// Signal state of a thread; `nr_pending` `CR_HDR_SIGINFO` follow.
///
/// C: `struct cr_hdr_signals`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SIGNALS, abi = cr_hdr_signals)]
pub struct Signals {
    /// Mask of blocked signals, bit 0 is signal 1.
    pub blocked: u64,
    /// Mask to put back when the interrupted call is over.
    pub saved_blocked: u64,
    /// `CR_SIGNALS_*`
    pub flags: u32,
    /// Signals that wait to be delivered to this thread.
    pub nr_pending: u32,
}

impl Validate for Signals {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_bits("blocked", self.blocked, !UNBLOCKABLE)?;
        Reason::unless_bits("saved_blocked", self.saved_blocked, !UNBLOCKABLE)?;
        Reason::unless_bits("flags", self.flags, uapi::CR_SIGNALS_RESTORE_MASK)?;
        Reason::unless_in("nr_pending", self.nr_pending, 0, uapi::CR_PENDING_MAX)
    }
}

/// Action of a signal, ascending by `signal`.
///
/// C: `struct cr_hdr_sigaction`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SIGACTION, abi = cr_hdr_sigaction)]
pub struct SigAction {
    /// Its number.
    pub signal: u32,
    /// 0
    pub reserved: u32,
    /// Address, or `SIG_IGN`.
    pub handler: u64,
    /// `SA_*` and `CR_SA_*`
    pub flags: u64,
    /// Address of the code that returns from the handler.
    pub restorer: u64,
    /// Signals that are blocked in the handler.
    pub mask: u64,
}

impl Validate for SigAction {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("signal", self.signal, 1, SIGNAL_MAX)?;
        if self.signal == SIGKILL || self.signal == SIGSTOP {
            return Err(Reason::unknown("signal", self.signal));
        }
        // A process may name any address: what it gets is a fault in user mode.
        Reason::unless_bits("flags", self.flags, SA_FLAGS)?;
        Reason::unless_bits("mask", self.mask, !UNBLOCKABLE)
    }
}

/// A pending signal, in the order of delivery.
///
/// C: `struct cr_hdr_siginfo`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SIGINFO, abi = cr_hdr_siginfo)]
pub struct SigInfo {
    /// 0
    pub reserved: u32,
    /// Which `CR_HDR_TIMER` sent it, 1 is the first; 0 if none did.
    pub timer: u32,
    /// siginfo_t, of which this kernel writes all that is not padding.
    pub info: [u64; 16],
}

impl SigInfo {
    /// Makes a record of a siginfo_t, which `timer` sent; 0 if none did.
    pub fn new(timer: u32, info: [u64; 16]) -> Self {
        Self {
            reserved: 0,
            timer,
            info,
        }
    }

    /// Returns `si_signo`, with which every siginfo_t begins.
    pub fn signo(&self) -> i32 {
        let [a, b, c, d, ..] = self.info[0].to_ne_bytes();
        i32::from_ne_bytes([a, b, c, d])
    }
}

impl Validate for SigInfo {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("si_signo", self.signo(), 1, SIGNAL_MAX)
    }
}
