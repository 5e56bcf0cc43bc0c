// SPDX-License-Identifier: GPL-2.0

//! epoll(7): what an instance waits for.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use crate::{
    bindings,
    error::to_result,
    fs::File,
    prelude::*,
    sync::aref::ARef, //
};

use super::owned;

/// Whether epoll_wait(2) looks at an item next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Ready,
    /// It does not, as long as nothing happens.
    Idle,
    /// It does if the file was ready when the item was added.
    AsFound,
}

impl State {
    /// The number that C has for it.
    const fn to_c(self) -> u32 {
        match self {
            Self::Ready => bindings::CHECKPOINT_EPOLL_READY,
            Self::Idle => bindings::CHECKPOINT_EPOLL_IDLE,
            Self::AsFound => bindings::CHECKPOINT_EPOLL_AS_FOUND,
        }
    }
}

/// What an instance waits for.
pub struct Item {
    /// The open file.
    pub file: ARef<File>,
    /// The descriptor by which epoll_ctl(2) knows it.
    pub fd: i32,
    /// `EPOLL*`
    pub events: u32,
    /// What `struct epoll_event` has.
    pub data: u64,
    /// Whether it is ready.
    pub state: State,
}

impl Item {
    /// Makes what C takes of it, without a reference of its own.
    fn to_c(&self) -> bindings::checkpoint_epoll_item {
        bindings::checkpoint_epoll_item {
            file: self.file.as_ptr(),
            data: self.data,
            events: self.events,
            fd: self.fd,
            state: self.state.to_c(),
            ..Default::default()
        }
    }
}

/// Makes an instance that waits for nothing.
pub fn create() -> Result<ARef<File>> {
    // SAFETY: The function has no requirements. It returns a reference or an error.
    owned(unsafe { bindings::checkpoint_epoll_create() })
}

/// Finds what an instance waits for: first what is ready, in its order.
///
/// # Errors
///
/// `E2BIG` if there are more than `max`, `ENOMEM`.
pub fn items(file: &File, max: u32) -> Result<KVVec<Item>> {
    let mut buffer: KVVec<bindings::checkpoint_epoll_item> = KVVec::new();
    let mut items = KVVec::new();

    loop {
        // At most `max`.
        let room = buffer.len() as u32;
        // SAFETY: `file` is a valid file. `buffer` has room for as many as said, and any bytes are
        // valid in them.
        let found =
            unsafe { bindings::checkpoint_epoll_items(file.as_ptr(), buffer.as_mut_ptr(), room) };

        items.clear();
        for item in buffer.iter().take(found.min(room) as usize) {
            // Each has a reference, which goes with `items`, for which there is room.
            let file = owned(item.file)?;
            let state = if item.state == bindings::CHECKPOINT_EPOLL_READY {
                State::Ready
            } else {
                State::Idle
            };

            items.push(
                Item {
                    file,
                    fd: item.fd,
                    events: item.events,
                    data: item.data,
                    state,
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
        if found > max {
            return Err(E2BIG);
        }
        if found <= room {
            return Ok(items);
        }
        // Others who have the instance may add more meanwhile.
        items.clear();
        items.reserve(found as usize, GFP_KERNEL_ACCOUNT)?;
        buffer.resize(
            found as usize,
            bindings::checkpoint_epoll_item::default(),
            GFP_KERNEL_ACCOUNT,
        )?;
    }
}

/// Makes an instance wait for something, whatever its `state`.
///
/// # Errors
///
/// Those of epoll_ctl(2); `EPERM` also if the current task may not use `EPOLLWAKEUP`, and `EINTR` if
/// it is being killed.
pub fn add(file: &File, item: &Item) -> Result {
    let item = item.to_c();

    // SAFETY: `file` is a valid file, and so is that in `item`, which is only read.
    to_result(unsafe { bindings::checkpoint_epoll_add(file.as_ptr(), &raw const item) })
}

/// Makes all items of an instance ready, or not, as their `state` says, and those that are
/// disabled disabled. Nobody else has the instance yet.
pub fn settle(file: &File, items: &[Item]) -> Result {
    let mut from = KVVec::with_capacity(items.len(), GFP_KERNEL_ACCOUNT)?;

    for item in items {
        from.push(item.to_c(), GFP_KERNEL_ACCOUNT)?;
    }
    // At most CR_EPOLL_ITEMS_MAX.
    let nr = from.len() as u32;

    // SAFETY: `file` is a valid file. `from` has as many items as said, which are only read, and the
    // files in them are valid.
    unsafe { bindings::checkpoint_epoll_settle(file.as_ptr(), from.as_ptr(), nr) };
    Ok(())
}
