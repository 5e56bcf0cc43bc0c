// SPDX-License-Identifier: GPL-2.0

//! Terminals: the restarter's, with the settings that the one of the checkpoint had.

use kernel::{
    fs::{
        state::{
            self,
            tty,
            Seen, //
        },
        File, //
    },
    prelude::*,
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
    inherit,
    kind::Kind,
    Use,
    STATUS_FLAGS, //
};

pub(super) struct Terminal;

impl Kind for Terminal {
    const KIND: u32 = uapi::CR_FILE_TTY;

    type Found = image::Tty;
    type Said = Option<image::Tty>;

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == uapi::CR_FILE_TTY
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found> {
        let Use::Fd(fd) = of else {
            return Err(cx.refuse(fmt!("{of}: a terminal")));
        };
        let bytes = tty::settings(file)
            .map_err(|e| cx.fail(e, fmt!("{of}: its settings cannot be read: {e:?}")))?;

        record.target = fd;
        image::Tty::read_from_bytes(&bytes.0).map_err(|_| EINVAL)
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::Tty(settings) = item {
            *said = Some(*settings);
        }
        Ok(())
    }

    /// Finds a terminal for what was one: the caller's of the same number, or else the first of its
    /// standard streams that is one.
    fn create(
        cx: &mut Prepare<'_>,
        record: &image::File,
        _said: &Self::Said,
    ) -> Result<ARef<File>> {
        let fd = record.target;
        let is_terminal =
            |file: &ARef<File>| Seen::look(file).is_ok_and(|seen| seen.kind() == Self::KIND);

        [fd, 0, 1, 2]
            .into_iter()
            .find_map(|fd| inherit::descriptor(fd, record).filter(is_terminal))
            .ok_or_else(|| {
                cx.fail(
                    ENOTTY,
                    fmt!("fd {fd} was a terminal, and the caller has none on it or on 0, 1 and 2"),
                )
            })
    }

    fn commit(said: &Self::Said, record: &image::File, file: &File) {
        let Some(settings) = said else {
            return;
        };
        let mut bytes = tty::Settings([0; tty::LEN]);

        for (to, from) in bytes.0.iter_mut().zip(settings.as_bytes()) {
            *to = *from;
        }
        tty::set(file, &bytes);
        if (file.flags() ^ record.flags) & STATUS_FLAGS != 0 {
            // The terminal is the caller's, and stays as it is if it does not take them.
            let _ = state::set_flags(file, record.flags & STATUS_FLAGS);
        }
    }
}
