// SPDX-License-Identifier: GPL-2.0

//! The clocks: after a reboot they go on from where they were.
//!
//! A program that keeps points in time of `CLOCK_MONOTONIC` or `CLOCK_BOOTTIME` in its memory relies
//! on these clocks not going back. Where they are behind those of the image, the process gets a time
//! namespace in which they are not. It enters that before anything is set by what a clock says.
//!
//! The record is that of [`timers`](super::timers).

use kernel::{
    prelude::*,
    task::{
        timers::TimeNamespace,
        CurrentTask, //
    },
    time::NSEC_PER_SEC, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
    uapi, //
};

pub(crate) struct ClockState;

/// Finds the first clock that is behind, and by how many nanoseconds, of pairs of now and then.
fn behind([monotonic, boottime]: [(i64, i64); 2], //
) -> Option<(&'static str, i64)> {
    [("CLOCK_MONOTONIC", monotonic), ("CLOCK_BOOTTIME", boottime)]
        .into_iter()
        .find(|(_, (now, then))| now < then)
        .map(|(clock, (now, then))| (clock, then.saturating_sub(now)))
}

impl Resource for ClockState {
    const SCOPE: Scope = Scope::Task;

    type Found = ();
    type Image = Option<image::Timers>;
    type Prepared = Option<TimeNamespace>;

    fn collect(_cx: &mut Collect<'_>) -> Result {
        Ok(())
    }

    fn save<T: Transport>(
        _found: &(),
        _cx: &Saving<'_>,
        _to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let Item::Timers(timers) = item {
            *image = Some(*timers);
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(then) = image else {
            return Ok(None);
        };
        let now = cx.caller.clocks();
        let relaxed = cx.flags & uapi::RESTART_RELAXED_CLOCKS != 0;

        match behind([
            (now.monotonic, then.monotonic),
            (now.boottime, then.boottime),
        ]) {
            Some((clock, by)) if !relaxed => {
                TimeNamespace::new(cx.caller, then.monotonic, then.boottime)
                    .map(Some)
                    .map_err(|e| {
                        let (secs, millis) = (by / NSEC_PER_SEC, by % NSEC_PER_SEC / 1_000_000);

                        cx.fail(
                            e,
                            format_args!(
                                "clocks: {clock} is {secs}.{millis:03} s behind that of the image, \
                                 and no time namespace can be made: {e:?}"
                            ),
                        )
                    })
            }
            _ => Ok(None),
        }
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(namespace) = prepared {
            namespace.enter(caller);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_clocks)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_is_behind_is_named() {
        assert!(behind([(5, 5), (7, 6)]).is_none());
        assert!(behind([(5, 8), (7, 9)]) == Some(("CLOCK_MONOTONIC", 3)));
        assert!(behind([(5, 5), (7, 9)]) == Some(("CLOCK_BOOTTIME", 2)));
        assert!(behind([(0, i64::MAX), (0, 0)]) == Some(("CLOCK_MONOTONIC", i64::MAX)));
    }

    #[test]
    fn clocks_do_not_go_back() {
        let before = current!().clocks();
        let after = current!().clocks();

        assert!(behind([
            (after.monotonic, before.monotonic),
            (after.boottime, before.boottime),
        ])
        .is_none());
    }
}
