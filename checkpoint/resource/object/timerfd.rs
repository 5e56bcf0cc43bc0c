// SPDX-License-Identifier: GPL-2.0

//! timerfd_create(2): a timer that is read.
//!
//! As [`timers`](crate::resource::timers): set for a while it goes on with what was left, set to a
//! point in time it stays so. It is started at the commit, when the process has its clocks.

use kernel::{
    fs::{
        state::{
            timerfd,
            Seen, //
        },
        File, //
    },
    prelude::*,
    str::BStr,
    sync::aref::ARef,
    uapi, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        Collect,
        Prepare, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

use super::{
    kind::Kind,
    set_flags,
    Use, //
};

pub(super) struct TimerFd;

/// Makes a record of what the kernel says.
fn record(from: &timerfd::State) -> image::TimerFd {
    image::TimerFd {
        clock: from.clock,
        flags: from.flags,
        expires: from.expires,
        interval: from.interval,
        ticks: from.ticks,
    }
}

/// The other way round.
fn state(from: &image::TimerFd) -> timerfd::State {
    timerfd::State {
        clock: from.clock,
        flags: from.flags,
        expires: from.expires,
        interval: from.interval,
        ticks: from.ticks,
    }
}

impl Kind for TimerFd {
    const KIND: u32 = uapi::CR_FILE_TIMERFD;

    type Found = image::TimerFd;
    type Said = image::TimerFd;

    fn is(file: &File, _seen: &Seen) -> bool {
        timerfd::is(file)
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        _record: &mut image::File,
        _of: Use,
    ) -> Result<Self::Found> {
        Ok(record(&timerfd::state(file, cx.task).ok_or(EINVAL)?))
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::TimerFd(record) = item {
            *said = *record;
        }
        Ok(())
    }

    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>> {
        let file = timerfd::create(&state(said)).map_err(|e| {
            cx.fail(
                e,
                fmt!("object {}: no timerfd can be made: {e:?}", record.objref),
            )
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"timerfd"))?;
        Ok(file)
    }

    fn commit(said: &Self::Said, _record: &image::File, file: &File) {
        timerfd::start(file, &state(said));
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_timerfd)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn restored(said: image::TimerFd) -> Result<image::TimerFd> {
        let file = timerfd::create(&state(&said))?;

        TimerFd::commit(&said, &image::File::default(), &file);
        Ok(record(&timerfd::state(&file, current!()).ok_or(EINVAL)?))
    }

    #[test]
    fn timerfd_comes_back_as_it_was() -> Result {
        // CLOCK_MONOTONIC and CLOCK_REALTIME.
        let idle = image::TimerFd {
            clock: 1,
            interval: 5,
            ticks: 7,
            ..Default::default()
        };
        let point = image::TimerFd {
            clock: 0,
            flags: uapi::CR_TIMERFD_ARMED
                | uapi::CR_TIMERFD_ABSTIME
                | uapi::CR_TIMERFD_CANCEL
                | uapi::CR_TIMERFD_CANCELED,
            expires: i64::MAX / 2,
            interval: HOUR,
            ticks: 1,
        };
        let while_left = image::TimerFd {
            clock: 1,
            flags: uapi::CR_TIMERFD_ARMED,
            expires: HOUR,
            ..Default::default()
        };

        assert!(restored(idle)? == idle);
        assert!(restored(point)? == point);
        let found = restored(while_left)?;
        assert!(found.flags == while_left.flags);
        assert!(found.expires > HOUR / 2 && found.expires <= HOUR);
        Ok(())
    }

    #[test]
    fn clocks_of_no_timerfd_are_refused() {
        let refused = timerfd::create(&timerfd::State {
            clock: 2,
            ..Default::default()
        });

        assert!(matches!(refused, Err(e) if e == EINVAL));
    }
}
