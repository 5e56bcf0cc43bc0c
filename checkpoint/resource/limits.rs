// SPDX-License-Identifier: GPL-2.0

//! Resource limits.
//!
//! A restart is bound by the caller's own limits until it commits, and the process by those of the
//! image from then on: what it has may be above them, as after setrlimit(2) of its own. A hard limit
//! that is higher than the caller's takes a capability.
//!
//! The processor time that counts for `RLIMIT_CPU` is that of the caller.

use kernel::{
    prelude::*,
    task::{
        limits::Limits,
        CurrentTask, //
    },
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

pub(crate) struct LimitState;

/// The names of the limits, by number.
const NAMES: [&str; uapi::CR_NR_LIMITS as usize] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_limits) -> image::Limits {
    image::Limits {
        cur: from.cur,
        max: from.max,
    }
}

impl Resource for LimitState {
    const SCOPE: Scope = Scope::Process;

    type Found = image::Limits;
    type Image = Option<image::Limits>;
    type Prepared = Option<Limits>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        Ok(record(&cx.task.limits()))
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let Item::Limits(limits) = item {
            *image = Some(*limits);
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(image) = image else {
            return Ok(None);
        };

        Limits::new(uapi::cr_hdr_limits {
            cur: image.cur,
            max: image.max,
        })
        .map(Some)
        .map_err(|(e, which)| {
            let which = which as usize;
            let name = NAMES.get(which).copied().unwrap_or("limit");
            let (cur, max) = (
                image.cur.get(which).copied().unwrap_or(0),
                image.max.get(which).copied().unwrap_or(0),
            );

            cx.fail(e, format_args!("{name} of {cur}, at most {max}: {e:?}"))
        })
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(limits) = prepared {
            caller.set_limits(&limits);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_limits)]
mod tests {
    use super::*;

    #[test]
    fn a_task_may_have_its_own_limits() {
        let own = current!().limits();

        assert!(own.cur.iter().zip(&own.max).all(|(cur, max)| cur <= max));
        assert!(Limits::new(own).is_ok());
    }

    #[test]
    fn a_soft_limit_is_not_above_the_hard_one() {
        for which in 0..NAMES.len() {
            let mut limits = current!().limits();

            limits.cur[which] = 2;
            limits.max[which] = 1;
            assert!(Limits::new(limits).err() == Some((EINVAL, which as u32)));
        }
    }
}
