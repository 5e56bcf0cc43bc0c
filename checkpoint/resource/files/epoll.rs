// SPDX-License-Identifier: GPL-2.0

//! What epoll(7) instances wait for.
//!
//! An item is of an open file, and of the number that this had when epoll_ctl(2) was called, which may
//! be closed, or another file's, since then. It stays as long as the open file does, so one that no
//! descriptor leads to is somebody else's, and is refused: a restart would lose it.
//!
//! Items are put back when all files are there with all that is in them, because that is what they look
//! at. Some of what they then find is no news. An edge-triggered item whose file was ready, and of which
//! that has been reported, is not ready, so far as the state of that file is in the image: it is what
//! it was. Of a file that is the restarter's, or that others have, the item says once more that it is
//! ready: an event too many is nothing to a program, but one that was lost would be waited for.

use kernel::{
    fs::{
        state::epoll::{
            self,
            State, //
        },
        File, //
    },
    prelude::*,
    rbtree::RBTree,
    sync::aref::ARef,
    uapi, //
};

use crate::{
    image::{
        EpollItem,
        Item, //
    },
    resource::{
        object::Opened,
        Collect,
        Prepare, //
    },
};

/// What of `events` says how to wait, not for what.
const HOW: u32 = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET;

const EPOLLEXCLUSIVE: u32 = 1 << 28;
const EPOLLWAKEUP: u32 = 1 << 29;
const EPOLLONESHOT: u32 = 1 << 30;
const EPOLLET: u32 = 1 << 31;

/// Most instances, one in the other: `EP_MAX_NESTS` of fs/eventpoll.c, and the first.
const NESTED_MAX: usize = 5;

/// Notes what all instances wait for, when all descriptors have been numbered.
pub(super) fn collect(cx: &mut Collect<'_>) -> Result<KVVec<EpollItem>> {
    let mut found = KVVec::new();

    for instance in &cx.objects.of_kind(uapi::CR_FILE_EPOLL)? {
        let (file, place, of) = (&instance.file, instance.place, instance.of);

        // At most CR_EPOLL_ITEMS_MAX are noted.
        let room = uapi::CR_EPOLL_ITEMS_MAX.saturating_sub(found.len() as u32);
        let items = match epoll::items(file, room) {
            Ok(items) => items,
            Err(e) if e == E2BIG => {
                return Err(cx.at(place, |cx| cx.refuse(fmt!("{of}: so many epoll items"))));
            }
            Err(e) => return Err(e),
        };

        for item in &items {
            let Some(target) = cx.objects.number(&item.file) else {
                return Err(cx.at(place, |cx| {
                    cx.refuse(fmt!(
                        "{of}: waiting for what was descriptor {} and is open elsewhere",
                        item.fd
                    ))
                }));
            };

            found.push(
                EpollItem {
                    objref: instance.objref,
                    target,
                    fd: item.fd,
                    events: item.events,
                    data: item.data,
                    flags: if item.state == State::Ready {
                        uapi::CR_EPOLL_READY
                    } else {
                        0
                    },
                    reserved: 0,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
    }
    Ok(found)
}

/// What an image says of epoll.
#[derive(Default)]
pub(super) struct Image {
    items: KVVec<EpollItem>,
    /// The number of the last open file, and those of timers that have expired, ascending.
    file: u32,
    expired: KVVec<u32>,
}

/// Notes what a record says.
pub(super) fn take(image: &mut Image, item: &Item<'_>) -> Result {
    match item {
        Item::File(file) => image.file = file.objref,
        Item::TimerFd(timer) if timer.ticks > 0 => {
            image.expired.push(image.file, GFP_KERNEL_ACCOUNT)?;
        }
        Item::EpollItem(item) => image.items.push(*item, GFP_KERNEL_ACCOUNT)?,
        _ => (),
    }
    Ok(())
}

/// Logs why an item cannot be put back.
fn not_added(cx: &mut Prepare<'_>, item: &EpollItem, error: Error) -> Error {
    let EpollItem {
        objref, target, fd, ..
    } = item;
    let why = match error {
        e if e == ELOOP => "the instances are in a circle, or too deep in each other",
        e if e == ENOSPC => "the caller's limit of epoll items is reached",
        e if e == EEXIST => "it is there twice",
        e if e == EPERM => "it cannot be polled, or not with EPOLLWAKEUP",
        _ => "it cannot be added",
    };

    cx.fail(
        error,
        fmt!("object {objref}: descriptor {fd}, object {target}: {why}: {error:?}"),
    )
}

/// The instances which wait, in the end, for something whose state is not in the image.
fn open_ended(items: &[EpollItem], objects: &Opened) -> Result<RBTree<u32, ()>> {
    let mut found = RBTree::new();

    for _ in 0..NESTED_MAX {
        let mut more = false;

        for item in items {
            let open = match objects.kind(item.target) {
                uapi::CR_FILE_EPOLL => found.get(&item.target).is_some(),
                uapi::CR_FILE_TIMERFD => false,
                kind => !is_whole(kind),
            };

            if open && found.get(&item.objref).is_none() {
                found.try_create_and_insert(item.objref, (), GFP_KERNEL_ACCOUNT)?;
                more = true;
            }
        }
        if !more {
            break;
        }
    }
    Ok(found)
}

/// Tells whether all that makes a file of this kind ready is in the image.
const fn is_whole(kind: u32) -> bool {
    matches!(
        kind,
        uapi::CR_FILE_PIPE | uapi::CR_FILE_EVENTFD | uapi::CR_FILE_SIGNALFD | uapi::CR_FILE_INOTIFY
    )
}

/// Says whether an item is ready that has just been added. `as_it_was` tells whether its file is
/// ready only if it was at the checkpoint.
fn state_of(item: &EpollItem, as_it_was: bool) -> State {
    if item.flags & uapi::CR_EPOLL_READY != 0 {
        return State::Ready;
    }
    let is_disabled = item.events & !HOW == 0;
    let is_reported = item.events & EPOLLET != 0 && as_it_was;

    if is_disabled || is_reported {
        State::Idle
    } else {
        State::AsFound
    }
}

/// Makes the instances wait for what they waited for. If one fails, all go with the objects.
pub(super) fn complete(cx: &mut Prepare<'_>, image: &Image) -> Result {
    let open_ended = open_ended(&image.items, cx.objects)?;
    let mut instances: KVVec<(ARef<File>, KVVec<epoll::Item>)> = KVVec::new();
    let mut last = 0;

    // All of them, before one is settled: those that are nested make each other ready.
    for item in &image.items {
        if cx.objects.is_replaced(item.objref) {
            continue;
        }
        let instance = cx.objects.file_of_kind(item.objref, uapi::CR_FILE_EPOLL);
        let (Some(instance), Some(file)) = (instance, cx.objects.file(item.target)) else {
            return Err(cx.fail(
                EINVAL,
                fmt!(
                    "epoll item: object {} is no instance, or object {} no file",
                    item.objref,
                    item.target
                ),
            ));
        };
        let as_it_was = match cx.objects.kind(item.target) {
            uapi::CR_FILE_EPOLL => open_ended.get(&item.target).is_none(),
            // It may have expired while the image was read.
            uapi::CR_FILE_TIMERFD => image.expired.binary_search(&item.target).is_ok(),
            kind => is_whole(kind),
        };
        let added = epoll::Item {
            file,
            fd: item.fd,
            events: item.events,
            data: item.data,
            state: state_of(item, as_it_was),
        };

        epoll::add(&instance, &added).map_err(|e| not_added(cx, item, e))?;
        if item.objref != last {
            last = item.objref;
            instances.push((instance, KVVec::new()), GFP_KERNEL_ACCOUNT)?;
        }
        if let Some((_, items)) = instances.last_mut() {
            items.push(added, GFP_KERNEL_ACCOUNT)?;
        }
    }
    for (instance, items) in &instances {
        epoll::settle(instance, items)?;
    }
    Ok(())
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_files_epoll)]
mod tests {
    use super::*;
    use kernel::fs::state::{
        anon::eventfd,
        pipe, //
    };

    const EPOLLIN: u32 = 1;
    const EPOLLERR_HUP: u32 = 0x18;

    fn item(file: &ARef<File>, fd: i32, events: u32, state: State) -> epoll::Item {
        epoll::Item {
            file: file.clone(),
            fd,
            events,
            data: fd as u64 + 100,
            state,
        }
    }

    /// What an instance waits for: descriptor, events, whether it is ready.
    fn seen(instance: &File) -> Result<KVVec<(i32, u32, bool)>> {
        let mut seen = KVVec::new();

        for item in &epoll::items(instance, 100)? {
            assert_eq!(item.data, item.fd as u64 + 100);
            seen.push(
                (item.fd, item.events, item.state == State::Ready),
                GFP_KERNEL,
            )?;
        }
        Ok(seen)
    }

    #[test]
    fn items_are_ready_in_the_order_that_is_said() -> Result {
        let instance = epoll::create()?;
        let full = eventfd::create(1, false)?;
        let empty = eventfd::create(0, false)?;
        let items = [
            item(&empty, 3, EPOLLIN, State::Ready),
            item(&full, 9, EPOLLIN, State::Ready),
            item(&full, 4, EPOLLIN | EPOLLET | EPOLLERR_HUP, State::Idle),
            item(&full, 5, EPOLLONESHOT, State::Idle),
            item(&full, 6, EPOLLIN | EPOLLERR_HUP, State::AsFound),
            item(&empty, 7, EPOLLIN | EPOLLERR_HUP, State::AsFound),
        ];

        for item in &items {
            epoll::add(&instance, item)?;
        }
        epoll::settle(&instance, &items)?;

        let seen = seen(&instance)?;
        let fds = |ready: bool| {
            let mut fds = [0; 8];
            let of = seen.iter().filter(|item| item.2 == ready);
            for (to, item) in fds.iter_mut().zip(of) {
                *to = item.0;
            }
            fds
        };
        assert_eq!(fds(true), [3, 9, 6, 0, 0, 0, 0, 0]);
        let mut idle = fds(false);
        idle.sort_unstable();
        assert_eq!(idle, [0, 0, 0, 0, 0, 4, 5, 7]);
        // One that was disabled is not enabled.
        assert!(seen.contains(&(5, EPOLLONESHOT, false)));
        Ok(())
    }

    #[test]
    fn instances_are_in_no_circle() -> Result {
        let outer = epoll::create()?;
        let inner = epoll::create()?;
        let (read, _write) = pipe::create(0)?;

        assert!(epoll::add(&outer, &item(&outer, 3, EPOLLIN, State::AsFound)) == Err(EINVAL));
        epoll::add(&outer, &item(&inner, 3, EPOLLIN, State::AsFound))?;
        assert!(epoll::add(&inner, &item(&outer, 4, EPOLLIN, State::AsFound)) == Err(ELOOP));
        assert!(epoll::add(&outer, &item(&inner, 3, EPOLLIN, State::AsFound)) == Err(EEXIST));
        assert!(epoll::add(&read, &item(&inner, 3, EPOLLIN, State::AsFound)) == Err(EINVAL));
        assert!(matches!(epoll::items(&outer, 0), Err(e) if e == E2BIG));
        Ok(())
    }

    #[test]
    fn what_was_reported_is_not_reported_again() {
        let with = |events, flags| EpollItem {
            events,
            flags,
            ..Default::default()
        };

        for (events, flags, as_it_was, state) in [
            (EPOLLIN | EPOLLET, 0, true, State::Idle),
            (EPOLLIN | EPOLLET, 0, false, State::AsFound),
            (EPOLLIN | EPOLLET, uapi::CR_EPOLL_READY, true, State::Ready),
            (EPOLLIN, 0, true, State::AsFound),
            (EPOLLIN | EPOLLONESHOT, 0, true, State::AsFound),
            (EPOLLONESHOT, 0, false, State::Idle),
        ] {
            assert_eq!(state_of(&with(events, flags), as_it_was), state);
        }
    }
}
