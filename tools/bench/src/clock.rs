// SPDX-License-Identifier: GPL-2.0

//! What is counted: nanoseconds, or instructions of the guest.
//!
//! Under QEMU's `-icount shift=N` the guest's virtual time is made of its instructions: each takes
//! 2^N ns, and the time stamp counter is that time. So the counter, read in user mode before and
//! after a call, tells how many instructions the call took, in user mode and in the kernel, exactly.
//! Nothing else on the machine counts; time that an idle CPU skips does, so only busy code is
//! measured. As a wrong setting would give plausible figures, the counter is held against code with
//! a known number of instructions first.

use crate::measure::Failure;
use crate::sys;

/// Rounds of the loop that the counter is held against; each has two instructions.
const ROUNDS: u64 = 100_000;

/// Attempts at that: a timer interrupt may come in between, but not always.
const ATTEMPTS: u32 = 20;

/// Instructions around the loop, at most.
const SLACK: u64 = 50;

/// Bytes of the string instruction that is counted.
pub(crate) const STRING_BYTES: usize = 512;

pub(crate) struct Clock {
    kind: Kind,
}

enum Kind {
    Time,
    Instructions { shift: u32, string: u64 },
}

impl Clock {
    pub(crate) fn time() -> Self {
        Clock { kind: Kind::Time }
    }

    /// # Errors
    ///
    /// If the time stamp counter does not count instructions.
    pub(crate) fn instructions(shift: u32) -> Result<Self, Failure> {
        let least = |f: fn() -> u64| (0..ATTEMPTS).map(|_| f() >> shift).min().unwrap_or(0);

        let found = least(|| sys::ticks_of_loop(ROUNDS));
        let expected = 2 * ROUNDS;
        if !(expected..=expected + SLACK).contains(&found) {
            return Err(Failure::Clock {
                shift,
                expected,
                found,
            });
        }
        // QEMU counts each round of a string instruction.
        let string = least(sys::ticks_of_string::<STRING_BYTES>);
        Ok(Clock {
            kind: Kind::Instructions { shift, string },
        })
    }

    pub(crate) fn now(&self) -> u64 {
        match self.kind {
            Kind::Time => sys::nanoseconds(),
            Kind::Instructions { .. } => sys::ticks(),
        }
    }

    /// Turns a difference of two [`Self::now`] into the unit.
    pub(crate) fn units(&self, ticks: u64) -> u64 {
        match self.kind {
            Kind::Time => ticks,
            Kind::Instructions { shift, .. } => ticks >> shift,
        }
    }

    /// Returns how many calls are measured at once. Instructions are exact, so one call is enough,
    /// and the median leaves out the ones that a timer interrupted; time is not.
    pub(crate) fn chunk(&self) -> u32 {
        match self.kind {
            Kind::Time => 64,
            Kind::Instructions { .. } => 1,
        }
    }

    pub(crate) fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Time => "nanoseconds",
            Kind::Instructions { .. } => "instructions",
        }
    }

    /// Returns how many instructions a `rep movsb` of [`STRING_BYTES`] bytes counts as.
    pub(crate) fn string(&self) -> Option<u64> {
        match self.kind {
            Kind::Time => None,
            Kind::Instructions { string, .. } => Some(string),
        }
    }
}
