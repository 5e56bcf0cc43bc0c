// SPDX-License-Identifier: GPL-2.0

//! eventfd(2): a counter.

use kernel::{
    fs::{
        state::{
            anon::eventfd,
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

pub(super) struct EventFd;

impl Kind for EventFd {
    const KIND: u32 = uapi::CR_FILE_EVENTFD;

    type Found = image::EventFd;
    type Said = image::EventFd;

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == Self::KIND
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        _record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found> {
        let (count, semaphore) = eventfd::state(file)
            .map_err(|e| cx.fail(e, fmt!("{of}: its count cannot be read: {e:?}")))?;

        Ok(image::EventFd {
            count,
            flags: if semaphore {
                uapi::CR_EVENTFD_SEMAPHORE
            } else {
                0
            },
            reserved: 0,
        })
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::EventFd(record) = item {
            *said = *record;
        }
        Ok(())
    }

    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>> {
        let semaphore = said.flags & uapi::CR_EVENTFD_SEMAPHORE != 0;
        let file = eventfd::create(said.count, semaphore).map_err(|e| {
            cx.fail(
                e,
                fmt!("object {}: no eventfd can be made: {e:?}", record.objref),
            )
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"eventfd"))?;
        Ok(file)
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_eventfd)]
mod tests {
    use super::*;
    use kernel::fs::state::{
        anon::signalfd,
        inotify, //
    };

    #[test]
    fn eventfd_comes_back_as_it_was() -> Result {
        for (count, semaphore) in [(0, false), (7, true), (u64::MAX, false)] {
            let file = eventfd::create(count, semaphore)?;

            assert_eq!(Seen::look(&file)?.kind(), EventFd::KIND);
            assert_eq!(eventfd::state(&file)?, (count, semaphore));
        }
        Ok(())
    }

    #[test]
    fn other_files_are_none() -> Result {
        let file = signalfd::create(!0)?;

        assert!(matches!(eventfd::state(&file), Err(e) if e == EBADF));
        assert!(!inotify::is(&file));
        // SIGKILL and SIGSTOP are not taken.
        assert_eq!(signalfd::mask(&file)?, !(1 << 8 | 1 << 18));
        assert!(signalfd::mask(&*eventfd::create(0, false)?).is_err());
        Ok(())
    }
}
