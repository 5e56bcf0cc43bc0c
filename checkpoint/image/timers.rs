// SPDX-License-Identifier: GPL-2.0

//! Clocks and timers of a process.

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

/// The clocks that timer_create(2) takes.
const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
const CLOCK_BOOTTIME: i32 = 7;
const CLOCK_REALTIME_ALARM: i32 = 8;
const CLOCK_BOOTTIME_ALARM: i32 = 9;
const CLOCK_TAI: i32 = 11;

/// Clocks of processor time that count as `ITIMER_PROF` and `ITIMER_VIRTUAL` do, of the process and
/// of the thread that leads it: `~0 << 3 | which`, and 4 for the thread.
const PROCESS_PROF: i32 = -8;
const PROCESS_VIRTUAL: i32 = -7;
const THREAD_PROF: i32 = -4;
const THREAD_VIRTUAL: i32 = -3;

/// Which of them a clock is, and that of another thread: `~tid << 3 | which | 4`.
const WHICH: i32 = 3;
const PER_THREAD: i32 = 4;
const WHICH_MAX: i32 = 2;

/// `SIGEV_*`, which tell what happens when a timer expires.
const SIGEV_SIGNAL: u32 = 0;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD: u32 = 2;
const SIGEV_THREAD_ID: u32 = 4;

/// Clocks and timers of a process; `nr_timers` `CR_HDR_TIMER` follow.
///
/// C: `struct cr_hdr_timers`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TIMERS, abi = cr_hdr_timers)]
pub struct Timers {
    /// Nanoseconds of `CLOCK_REALTIME` at the checkpoint.
    pub realtime: i64,
    /// Nanoseconds of `CLOCK_MONOTONIC` then, as the process sees it.
    pub monotonic: i64,
    /// Nanoseconds of `CLOCK_BOOTTIME` then, likewise.
    pub boottime: i64,
    /// Nanoseconds until `ITIMER_REAL` expires; if it is not armed but has an interval, until it would
    /// expire next.
    pub real_left: i64,
    /// Its interval.
    pub real_interval: i64,
    /// Nanoseconds of processor time until `ITIMER_VIRTUAL` expires.
    pub virtual_left: i64,
    /// Its interval.
    pub virtual_interval: i64,
    /// Nanoseconds of processor time until `ITIMER_PROF` expires.
    pub prof_left: i64,
    /// Its interval.
    pub prof_interval: i64,
    /// `CR_TIMERS_*`
    pub flags: u32,
    /// Timers of timer_create(2).
    pub nr_timers: u32,
    /// The id that the next of them gets.
    pub next_id: i32,
    /// 0
    pub reserved: u32,
}

impl Validate for Timers {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        for (field, found) in [
            ("realtime", self.realtime),
            ("monotonic", self.monotonic),
            ("boottime", self.boottime),
            ("real_interval", self.real_interval),
            ("virtual_interval", self.virtual_interval),
            ("prof_interval", self.prof_interval),
        ] {
            Reason::unless_in(field, found, 0, i64::MAX)?;
        }
        let armed = |flag| self.flags & flag != 0;
        // That of real time has an interval only if it is going to expire again.
        let real = armed(uapi::CR_TIMERS_REAL) || self.real_interval != 0;
        for (runs, field, left) in [
            (real, "real_left", self.real_left),
            (
                armed(uapi::CR_TIMERS_VIRTUAL),
                "virtual_left",
                self.virtual_left,
            ),
            (armed(uapi::CR_TIMERS_PROF), "prof_left", self.prof_left),
        ] {
            // Nothing that runs has nothing left: to set it to 0 would stop it.
            let (min, max) = if runs { (1, i64::MAX) } else { (0, 0) };
            Reason::unless_in(field, left, min, max)?;
        }
        Reason::unless_bits(
            "flags",
            self.flags,
            uapi::CR_TIMERS_REAL
                | uapi::CR_TIMERS_VIRTUAL
                | uapi::CR_TIMERS_PROF
                | uapi::CR_TIMERS_RESTORE_IDS,
        )?;
        Reason::unless_in("nr_timers", self.nr_timers, 0, uapi::CR_TIMERS_MAX)?;
        Reason::unless_in("next_id", self.next_id, 0, i32::MAX)
    }
}

/// A timer of timer_create(2), ascending by `id`.
///
/// C: `struct cr_hdr_timer`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_TIMER, abi = cr_hdr_timer)]
pub struct Timer {
    /// Its id.
    pub id: i32,
    /// `CLOCK_*`; those of processor time are of the process, or of the leader of its threads, and less
    /// than 0 if they count as `ITIMER_PROF` or `ITIMER_VIRTUAL` does. That of another thread is what
    /// pthread_getcpuclockid(3) returns.
    pub clock: i32,
    /// `SIGEV_*`
    pub notify: u32,
    /// `sigev_signo`
    pub signal: i32,
    /// `sigev_value`
    pub value: u64,
    /// The thread that gets the signal, one of the process, by its pid; 0 unless `notify` has
    /// `SIGEV_THREAD_ID`.
    pub tid: i32,
    /// `CR_TIMER_*`
    pub flags: u32,
    /// Nanoseconds until it expires, or when it does.
    pub expires: i64,
    /// Nanoseconds.
    pub interval: i64,
    /// Expirations that were missed since the signal was sent, less 1.
    pub overrun: i64,
    /// What timer_getoverrun(2) returns.
    pub overrun_last: i64,
}

impl Timer {
    /// Returns the thread whose processor time counts, by its pid; [`None`] if it is the leader, or none.
    pub const fn clock_tid(&self) -> Option<i32> {
        let is_thread = self.clock < 0 && self.clock & PER_THREAD != 0;

        match !(self.clock >> 3) {
            tid if is_thread && tid > 0 => Some(tid),
            _ => None,
        }
    }

    /// Tells whether the clock is that of a thread, and not said of which.
    const fn is_clock_of_leader(&self) -> bool {
        matches!(
            self.clock,
            CLOCK_THREAD_CPUTIME_ID | THREAD_PROF | THREAD_VIRTUAL
        )
    }
}

impl Validate for Timer {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("id", self.id, 0, i32::MAX)?;
        match self.clock {
            CLOCK_REALTIME
            | CLOCK_MONOTONIC
            | CLOCK_PROCESS_CPUTIME_ID
            | CLOCK_THREAD_CPUTIME_ID
            | CLOCK_BOOTTIME
            | CLOCK_REALTIME_ALARM
            | CLOCK_BOOTTIME_ALARM
            | CLOCK_TAI
            | PROCESS_PROF
            | PROCESS_VIRTUAL
            | THREAD_PROF
            | THREAD_VIRTUAL => (),
            found if self.clock_tid().is_some() && found & WHICH <= WHICH_MAX => (),
            found => return Err(Reason::unknown("clock", found as u32)),
        }
        match self.notify {
            SIGEV_SIGNAL | SIGEV_THREAD | SIGEV_THREAD_ID => {
                Reason::unless_in("signal", self.signal, 1, SIGNAL_MAX)?;
            }
            // Whatever the program gave.
            SIGEV_NONE => (),
            found => return Err(Reason::unknown("notify", found)),
        }
        let mut flags = uapi::CR_TIMER_ARMED | uapi::CR_TIMER_ABSTIME;
        if self.notify == SIGEV_THREAD_ID {
            flags |= uapi::CR_TIMER_THREAD_ENDED;
        }
        if self.is_clock_of_leader() {
            flags |= uapi::CR_TIMER_CLOCK_ENDED;
        }
        Reason::unless_bits("flags", self.flags, flags)?;
        let ended = self.flags & uapi::CR_TIMER_THREAD_ENDED != 0;
        let (min, max) = match self.notify {
            SIGEV_THREAD_ID if !ended => (1, i32::MAX),
            _ => (0, 0),
        };
        Reason::unless_in("tid", self.tid, min, max)?;
        Reason::unless_in("expires", self.expires, 0, i64::MAX)?;
        Reason::unless_in("interval", self.interval, 0, i64::MAX)?;
        // Of a timer whose signal has not been sent yet, it is one less than none.
        Reason::unless_in("overrun", self.overrun, -1, i64::MAX)?;
        Reason::unless_in("overrun_last", self.overrun_last, -1, i64::MAX)
    }
}
