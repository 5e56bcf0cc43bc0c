// SPDX-License-Identifier: GPL-2.0

//! Contexts of io_setup(2), without a request under way.
//!
//! A context is known by the address of its ring, which is a mapping of a kind of its own. The
//! events that wait in it are in the pages of that mapping.

use kernel::{
    mm::{
        rebuild::Rebuild,
        snapshot::{
            self,
            AddressSpace, //
        }, //
    },
    prelude::*, //
};
use zerocopy::{
    FromBytes,
    IntoBytes, //
};

use crate::{
    image::{
        Aio,
        Vma, //
    },
    resource::{
        Collect,
        Prepare, //
    },
    uapi, //
};

use super::Mappings;

/// Returns how many mappings are rings.
fn rings(mappings: &Mappings) -> usize {
    mappings
        .vmas
        .iter()
        .filter(|vma| vma.kind == uapi::CR_MAPPING_AIO)
        .count()
}

/// Returns the mapping that is the ring of `aio`, as a whole if the mapping has not been changed.
fn ring<'m>(mappings: &'m Mappings, aio: &Aio) -> Option<&'m Vma> {
    mappings
        .containing(aio.id)
        .filter(|vma| vma.start == aio.id && vma.kind == uapi::CR_MAPPING_AIO)
}

/// Finds all contexts.
pub(super) fn collect(
    cx: &mut Collect<'_>,
    space: &AddressSpace,
    mappings: &Mappings,
) -> Result<KVVec<Aio>> {
    let mut contexts = KVVec::new();
    let mut slot = 0;

    loop {
        let found = match space.next_aio(&mut slot) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(e) if e == EBUSY => {
                return Err(cx.fail(e, format_args!("asynchronous I/O is under way")));
            }
            Err(e) => return Err(e),
        };
        if contexts.len() >= uapi::CR_AIO_MAX as usize {
            return Err(cx.refuse(format_args!(
                "more than {} contexts of io_setup(2)",
                uapi::CR_AIO_MAX
            )));
        }
        let aio = Aio::read_from_bytes(found.bytes()).map_err(|_| EINVAL)?;
        if ring(mappings, &aio).is_none_or(|vma| vma.len() != found.size() as u64) {
            return Err(cx.refuse(format_args!(
                "a ring of io_setup(2) that was unmapped or split"
            )));
        }
        contexts.push(aio, GFP_KERNEL_ACCOUNT)?;
    }
    if rings(mappings) != contexts.len() {
        return Err(cx.refuse(format_args!("a ring of io_setup(2) without its context")));
    }
    contexts.sort_unstable_by_key(|aio| aio.id);
    Ok(contexts)
}

/// Makes all contexts, and with them the mappings that are their rings.
pub(super) fn create(
    cx: &mut Prepare<'_>,
    space: &mut Rebuild,
    contexts: &[Aio],
    mappings: &Mappings,
) -> Result {
    if rings(mappings) != contexts.len() {
        return Err(cx.fail(
            EINVAL,
            format_args!("a ring of io_setup(2) has no context, or a context no ring"),
        ));
    }
    for aio in contexts {
        let id = aio.id;
        let Some(vma) = ring(mappings, aio) else {
            return Err(cx.fail(
                EINVAL,
                format_args!("context {id:x} of io_setup(2): there is no ring"),
            ));
        };

        space.aio_create(&raw(aio, vma)?).map_err(|e| {
            let events = aio.nr_events;

            if e == EAGAIN {
                return cx.fail(
                    e,
                    format_args!(
                        "context {id:x} of io_setup(2): \
                         {events} events are more than fs.aio-max-nr allows: {e:?}"
                    ),
                );
            }
            cx.fail(
                e,
                format_args!(
                    "context {id:x} of io_setup(2): \
                     a ring for {events} events cannot be there: {e:?}"
                ),
            )
        })?;
    }
    Ok(())
}

/// Lets all contexts go on, now that their rings are filled.
pub(super) fn finish(
    cx: &mut Prepare<'_>,
    space: &mut Rebuild,
    contexts: &[Aio],
    mappings: &Mappings,
) -> Result {
    for aio in contexts {
        let id = aio.id;
        let vma = ring(mappings, aio).ok_or(EINVAL)?;

        space.aio_finish(&raw(aio, vma)?).map_err(|e| {
            cx.fail(
                e,
                format_args!(
                    "context {id:x} of io_setup(2): head {} or tail {} is not in its ring: {e:?}",
                    aio.head, aio.tail
                ),
            )
        })?;
    }
    Ok(())
}

/// Makes what the kernel takes of a record.
fn raw(aio: &Aio, vma: &Vma) -> Result<snapshot::Aio> {
    snapshot::Aio::from_bytes(aio.as_bytes(), usize::try_from(vma.len())?)
}
