// SPDX-License-Identifier: GPL-2.0

//! signalfd(2): which signals are read. Those that wait are the process's own.

use kernel::{
    fs::{
        state::{
            anon::signalfd,
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

pub(super) struct SignalFd;

impl Kind for SignalFd {
    const KIND: u32 = uapi::CR_FILE_SIGNALFD;

    type Found = image::SignalFd;
    type Said = image::SignalFd;

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == Self::KIND
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        _record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found> {
        let mask = signalfd::mask(file)
            .map_err(|e| cx.fail(e, fmt!("{of}: its mask cannot be read: {e:?}")))?;

        Ok(image::SignalFd { mask })
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::SignalFd(record) = item {
            *said = *record;
        }
        Ok(())
    }

    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>> {
        let file = signalfd::create(said.mask).map_err(|e| {
            cx.fail(
                e,
                fmt!("object {}: no signalfd can be made: {e:?}", record.objref),
            )
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"signalfd"))?;
        Ok(file)
    }
}
