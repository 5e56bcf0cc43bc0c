// SPDX-License-Identifier: GPL-2.0

//! Pages that address spaces have in common, as after fork(2).
//!
//! The image has them with the first task that has them. A later address space takes them of the
//! earlier one, so that they are one page again, which is copied when one of both is written to. Where
//! the kernel could not have made it so, because memory was moved since, they are copied at once.

use kernel::{
    mm::{
        rebuild::SharedExtent,
        MmWithUser, //
    },
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use zerocopy::IntoBytes;

use super::Own;
use crate::{
    image::{
        self,
        Reason, //
    },
    stream::{
        BulkReader,
        Failure,
        Transport, //
    },
    uapi, //
};

type Table = Mutex<RBTree<u32, ARef<MmWithUser>>>;

/// The new address spaces, by the number of the task that each came with.
#[derive(Clone, Default)]
pub(crate) struct Relatives(Option<Arc<Table>>);

impl Relatives {
    /// Adds one, for as long as what this returns lives.
    pub(super) fn register(&mut self, task: u32, mm: ARef<MmWithUser>) -> Result<Registered> {
        let table = match &self.0 {
            Some(table) => table.clone(),
            None => {
                let table = Arc::pin_init(new_mutex!(RBTree::new()), GFP_KERNEL_ACCOUNT)?;
                self.0.insert(table).clone()
            }
        };

        table
            .lock()
            .try_create_and_insert(task, mm, GFP_KERNEL_ACCOUNT)?;
        Ok(Registered { table, task })
    }

    /// Returns the one that came with a task.
    fn get(&self, task: u32) -> Option<ARef<MmWithUser>> {
        self.0.as_ref()?.lock().get(&task).cloned()
    }
}

/// An address space that others may take pages of.
pub(super) struct Registered {
    table: Arc<Table>,
    task: u32,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mm = self.table.lock().remove(&self.task);

        // Without the lock.
        drop(mm);
    }
}

/// Maps pages that are there already.
pub(super) fn fill<T: Transport>(
    prepared: &mut Own,
    bulk: &mut BulkReader<'_, '_, T>,
) -> Result<(), Failure> {
    let mut why = None;
    let result = bulk
        .shared_extents()
        .iter()
        .try_for_each(|extent| take(prepared, extent, &mut why));

    match why {
        Some(reason) => Err(bulk.refuse(reason)),
        None => result,
    }
}

/// Takes pages of another address space. Tells why the image is wrong, if it is.
fn take(
    prepared: &mut Own,
    extent: image::SharedExtent,
    why: &mut Option<Reason>,
) -> Result<(), Failure> {
    let mut left = extent;
    let from = prepared.relatives.get(extent.from_task);

    while left.nr_pages > 0 {
        let done = match &from {
            None => Err(ENOENT),
            Some(from) => step(prepared, from, &left),
        };
        let done = done.inspect_err(|e| {
            *why = match *e {
                e if e == ENOENT => Some(Reason::NotThere {
                    start: left.from_start,
                    task: left.from_task,
                }),
                e if e == EINVAL => Some(Reason::OutsideMapping { start: left.start }),
                _ => None,
            }
        })?;
        let bytes = u64::from(done) * PAGE_SIZE as u64;

        // The checker has seen to it that there are such addresses.
        left.start = left.start.saturating_add(bytes);
        left.from_start = left.from_start.saturating_add(bytes);
        left.nr_pages = left.nr_pages.saturating_sub(done);
    }
    Ok(())
}

/// Takes the first of some pages, and returns how many.
fn step(prepared: &mut Own, from: &MmWithUser, extent: &image::SharedExtent) -> Result<u32> {
    let Own { space, batch, .. } = prepared;
    let (mut done, copy) = space.share(from, &SharedExtent::from_bytes(extent.as_bytes())?)?;
    let end = done.saturating_add(copy);

    while done < end {
        let nr = (end - done).min(uapi::CR_PAGES_MAX);
        let bytes = u64::from(done) * PAGE_SIZE as u64;

        batch.clear();
        batch.push_extent(extent.start.saturating_add(bytes), nr, 0)?;
        space.alloc(batch)?;
        space.copy(from, extent.from_start.saturating_add(bytes), batch)?;
        space.install(batch)?;
        done += nr;
    }
    Ok(done)
}
