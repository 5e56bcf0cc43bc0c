// SPDX-License-Identifier: GPL-2.0

//! What is counted: nanoseconds, or instructions of the guest.
//!
//! Under QEMU's `-icount shift=N` the guest's virtual time is made of its instructions: each takes
//! 2^N ns, and the time stamp counter is that time. So the counter, read in user mode before and
//! after a call, tells how many instructions the machine executed meanwhile, in user mode and in
//! the kernel, exactly. Nothing else on the machine counts; time that an idle CPU skips does, so
//! it has to be busy. As a wrong setting would give plausible figures, the counter is held against
//! code with a known number of instructions first.

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

/// Where the time comes from. All processes of the machine see the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// `CLOCK_MONOTONIC_RAW`.
    Monotonic,
    /// The time stamp counter.
    Stamp,
}

impl Counter {
    /// The name that [`Self::named`] takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Counter::Monotonic => "monotonic",
            Counter::Stamp => "stamp",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Counter::Monotonic, Counter::Stamp]
            .into_iter()
            .find(|counter| counter.name() == name)
    }

    pub(crate) fn now(self) -> u64 {
        match self {
            Counter::Monotonic => sys::nanoseconds(),
            Counter::Stamp => sys::ticks(),
        }
    }
}

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

    pub(crate) fn counter(&self) -> Counter {
        match self.kind {
            Kind::Time => Counter::Monotonic,
            Kind::Instructions { .. } => Counter::Stamp,
        }
    }

    /// Turns a difference of two [`Counter::now`] into the unit.
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    pub(crate) fn units(&self, ticks: u64) -> f64 {
        match self.kind {
            Kind::Time => ticks as f64,
            Kind::Instructions { shift, .. } => (ticks >> shift) as f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_by_name() {
        for counter in [Counter::Monotonic, Counter::Stamp] {
            assert_eq!(Counter::named(counter.name()), Some(counter));
            assert!(counter.now() <= counter.now());
        }
        assert_eq!(Counter::named("sundial"), None);
    }
}
