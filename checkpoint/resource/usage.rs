// SPDX-License-Identifier: GPL-2.0

//! What others have used up than a task: threads of its process that have ended, and children.
//!
//! The first task of an image goes on with the accounts of the caller, so that of it nothing is saved.
//! What counts for all others is set by `restore.rs`, before any of them has timers.

use kernel::{
    prelude::*,
    task::CurrentTask, //
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

pub(crate) struct UsageState;

/// Makes of a record what the kernel takes.
pub(crate) fn usage(record: &image::Usage) -> uapi::cr_hdr_usage {
    uapi::cr_hdr_usage {
        threads: record.threads,
        children: record.children,
    }
}

impl Resource for UsageState {
    const SCOPE: Scope = Scope::Task;

    type Found = Option<KBox<image::Usage>>;
    type Image = ();
    type Prepared = ();

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        if cx.is_root() {
            return Ok(None);
        }
        let found = cx.task.usage_of_others();

        Ok(Some(KBox::new(
            image::Usage {
                threads: found.threads,
                children: found.children,
            },
            GFP_KERNEL_ACCOUNT,
        )?))
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        found.iter().try_for_each(|found| to.record(&**found))
    }

    fn take(_image: &mut Self::Image, _item: &Item<'_>) -> Result {
        Ok(())
    }

    fn prepare(_image: Self::Image, _cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        Ok(())
    }

    fn commit(_prepared: Self::Prepared, _caller: &CurrentTask) {}
}
