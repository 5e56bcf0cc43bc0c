// SPDX-License-Identifier: GPL-2.0

//! epoll(7): the instances. What they wait for is noted and put back when there is a file for each
//! number: see [`crate::resource::files`].

use kernel::{
    fs::{
        state::{
            epoll,
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
    image,
    resource::{
        Collect,
        Prepare, //
    },
};

use super::{
    kind::Kind,
    set_flags,
    Use, //
};

pub(super) struct Epoll;

impl Kind for Epoll {
    const KIND: u32 = uapi::CR_FILE_EPOLL;

    type Found = ();
    type Said = ();

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == Self::KIND
    }

    fn collect(
        _cx: &mut Collect<'_>,
        _file: &File,
        _record: &mut image::File,
        _of: Use,
    ) -> Result<Self::Found> {
        Ok(())
    }

    fn create(
        cx: &mut Prepare<'_>,
        record: &image::File,
        _said: &Self::Said,
    ) -> Result<ARef<File>> {
        let file = epoll::create().map_err(|e| {
            cx.fail(
                e,
                fmt!(
                    "object {}: no epoll instance can be made: {e:?}",
                    record.objref
                ),
            )
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"eventpoll"))?;
        Ok(file)
    }
}
