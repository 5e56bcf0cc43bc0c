// SPDX-License-Identifier: GPL-2.0

//! inotify(7): the instances, and the events that wait in them. What they watch is noted and put back
//! with the descriptor table: see [`crate::resource::files`].

use kernel::{
    fs::{
        state::{
            inotify,
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
        BulkKind,
        Item, //
    },
    resource::{
        Collect,
        Prepare, //
    },
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
};

use super::{
    kind::Kind,
    save_data,
    set_flags,
    Use, //
};

/// Most bytes of events that are saved. The longest queue that there is without a change of
/// /proc/sys/fs/inotify/max_queued_events has less than a third of it.
const EVENTS_MAX: usize = 16 * 1024 * 1024;

/// Bytes of `struct inotify_event`, and where in it the number of bytes behind it is.
const HEAD: usize = 16;
const LEN: usize = 12;

/// What was found of an instance.
pub(super) struct Found {
    record: image::Inotify,
    /// As read(2) returns them.
    events: KVVec<u8>,
}

/// What an image says of an instance.
#[derive(Default)]
pub(super) struct Said {
    record: image::Inotify,
    /// Events that were put into it, and their bytes.
    nr_events: u32,
    filled: u64,
}

/// Returns how many bytes the first of some events has, [`None`] if they do not have as many.
fn event_len(events: &[u8]) -> Option<usize> {
    let len = events.get(LEN..HEAD)?.try_into().ok()?;
    let len = HEAD.checked_add(u32::from_ne_bytes(len) as usize)?;

    (len <= events.len()).then_some(len)
}

/// Returns how many bytes there are of the events that fit into `max` bytes, the first one in any
/// case.
fn run_len(events: &[u8], max: usize) -> usize {
    let mut run = 0;

    while let Some(len) = events.get(run..).and_then(event_len) {
        if run > 0 && run + len > max {
            break;
        }
        run += len;
    }
    run
}

pub(super) struct Inotify;

impl Kind for Inotify {
    const KIND: u32 = uapi::CR_FILE_INOTIFY;

    type Found = Found;
    type Said = Said;

    fn is(_file: &File, seen: &Seen) -> bool {
        seen.kind() == Self::KIND
    }

    fn collect(
        cx: &mut Collect<'_>,
        file: &File,
        _record: &mut image::File,
        of: Use,
    ) -> Result<Self::Found> {
        let last_wd = inotify::last(file)?;
        let (events, nr_events) = match inotify::events(file, EVENTS_MAX) {
            Ok(events) => events,
            Err(e) if e == E2BIG => return Err(cx.refuse(fmt!("{of}: so many inotify events"))),
            Err(e) => return Err(e),
        };

        Ok(Found {
            record: image::Inotify { last_wd, nr_events },
            events,
        })
    }

    fn save<T: Transport>(found: &Self::Found, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        to.record(&found.record)
    }

    fn save_bulk<T: Transport>(
        found: &Self::Found,
        objref: u32,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let mut rest: &[u8] = &found.events;
        let mut offset = 0;

        while !rest.is_empty() {
            let len = run_len(rest, uapi::CR_DATA_LEN_MAX as usize);
            let (run, behind) = rest.split_at_checked(len).ok_or(EINVAL)?;

            if run.is_empty() {
                return Err(EINVAL.into());
            }
            save_data(to, objref, offset, run)?;
            offset = offset.saturating_add(len as u64);
            rest = behind;
        }
        Ok(())
    }

    fn take(said: &mut Self::Said, item: &Item<'_>) -> Result {
        if let Item::Inotify(record) = item {
            said.record = *record;
        }
        Ok(())
    }

    fn create(cx: &mut Prepare<'_>, record: &image::File, said: &Self::Said) -> Result<ARef<File>> {
        let file = inotify::create(said.record.last_wd).map_err(|e| {
            cx.fail(
                e,
                fmt!(
                    "object {}: no inotify instance can be made: {e:?}",
                    record.objref
                ),
            )
        })?;

        set_flags(cx, &file, record, BStr::from_bytes(b"inotify"))?;
        Ok(file)
    }

    fn fill<T: Transport>(
        said: &mut Self::Said,
        _record: &image::File,
        file: &File,
        bulk: &mut BulkReader<'_, '_, T>,
    ) -> Result<bool, Failure> {
        let run = bulk.bulk();
        let BulkKind::Data { offset, .. } = run.kind else {
            return Ok(false);
        };
        if offset != said.filled {
            return Err(bulk.unclaimed());
        }

        // At most CR_DATA_LEN_MAX.
        let len = usize::try_from(run.len).map_err(|_| EINVAL)?;
        let mut events = KVVec::from_elem(0, len, GFP_KERNEL_ACCOUNT)?;
        let mut done = 0;

        bulk.read(&mut events)?;
        while done < len {
            if said.nr_events == said.record.nr_events {
                return Err(bulk.unclaimed());
            }
            let next = events.get(done..).unwrap_or_default();

            match inotify::queue(file, next) {
                Ok(queued) => done += queued,
                Err(e) if e == EINVAL => return Err(bulk.unclaimed()),
                Err(e) => return Err(e.into()),
            }
            said.nr_events += 1;
        }
        said.filled = said.filled.saturating_add(run.len);
        Ok(true)
    }

    fn complete(
        said: &Self::Said,
        cx: &mut Prepare<'_>,
        record: &image::File,
        _file: &File,
    ) -> Result {
        if said.nr_events == said.record.nr_events {
            return Ok(());
        }
        Err(cx.fail(
            EINVAL,
            fmt!(
                "object {}: {} inotify events instead of {}",
                record.objref,
                said.nr_events,
                said.record.nr_events
            ),
        ))
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_inotify)]
mod tests {
    use super::*;

    /// An event as read(2) returns it.
    fn event(wd: i32, mask: u32, cookie: u32, name: &[u8]) -> Result<KVVec<u8>> {
        let mut bytes = KVVec::new();
        let len = match name.len() {
            0 => 0,
            len => (len + HEAD) / HEAD * HEAD,
        };

        for word in [wd as u32, mask, cookie, len as u32] {
            bytes.extend_from_slice(&word.to_ne_bytes(), GFP_KERNEL)?;
        }
        bytes.extend_from_slice(name, GFP_KERNEL)?;
        bytes.resize(HEAD + len, 0, GFP_KERNEL)?;
        Ok(bytes)
    }

    #[test]
    fn events_come_back_in_their_order() -> Result {
        let file = inotify::create(7)?;
        let wanted = [
            event(1, 0x100, 0, b"a name of 16 chr")?,
            event(1, 0x100, 0, b"a name of 16 chr")?,
            event(-1, 0x4000, 0, b"")?,
            event(2, 0x8000, 0, b"")?,
            event(9, 0x40, 77, b"x")?,
        ];
        let mut all = KVVec::new();

        for event in &wanted {
            assert_eq!(inotify::queue(&file, event)?, event.len());
            all.extend_from_slice(event, GFP_KERNEL)?;
        }
        let (events, nr) = inotify::events(&file, EVENTS_MAX)?;
        assert_eq!(nr, 5);
        assert_eq!(&events[..], &all[..]);
        assert_eq!(inotify::last(&file)?, 7);
        assert!(matches!(inotify::events(&file, 40), Err(e) if e == E2BIG));
        // Runs have whole events.
        assert_eq!(run_len(&all, 100), 96);
        assert_eq!(run_len(&all, 1), 48);
        assert_eq!(run_len(&all, 1000), all.len());
        Ok(())
    }

    #[test]
    fn what_read_does_not_return_is_no_event() -> Result {
        let file = inotify::create(0)?;
        let refused = |bytes: &[u8]| matches!(inotify::queue(&file, bytes), Err(e) if e == EINVAL);
        let mut long = event(1, 0x100, 0, b"x")?;
        let mut full = event(1, 0x100, 0, b"x")?;
        let mut behind = event(1, 0x100, 0, b"x")?;

        // More bytes than there are, no end of the name, something behind it.
        long[LEN] = 32;
        full[HEAD..].fill(b'x');
        behind[HEAD + 5] = 1;
        assert!(refused(&long));
        assert!(refused(&full));
        assert!(refused(&behind));
        // A name that is empty, a mask that no event has, too few bytes.
        assert!(refused(&event(1, 0x100, 0, b"\0")?));
        assert!(refused(&event(1, 0x8000_0000, 0, b"")?));
        assert!(refused(&event(1, 0, 0, b"")?));
        assert!(refused(&[0; 15]));
        // The queue overflows once, and that is of no watch.
        assert!(refused(&event(1, 0x4000, 0, b"")?));
        inotify::queue(&file, &event(-1, 0x4000, 0, b"")?)?;
        assert!(refused(&event(-1, 0x4000, 0, b"")?));
        Ok(())
    }
}
