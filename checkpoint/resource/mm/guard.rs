// SPDX-License-Identifier: GPL-2.0

//! Guard regions: memory whose touch is fatal, by madvise(`MADV_GUARD_INSTALL`).

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
    image::Guard,
    resource::{
        Collect,
        Prepare, //
    },
    uapi, //
};

use super::Mappings;

/// Finds all guard regions.
pub(super) fn collect(cx: &mut Collect<'_>, space: &AddressSpace) -> Result<KVVec<Guard>> {
    let mut guards = KVVec::new();
    let mut end = 0;

    while let Some(found) = space.guard_above(end)? {
        if guards.len() >= uapi::CR_GUARDS_MAX as usize {
            return Err(cx.refuse(format_args!(
                "more than {} guard regions",
                uapi::CR_GUARDS_MAX
            )));
        }
        end = found.end();
        guards.push(
            Guard::read_from_bytes(found.bytes()).map_err(|_| EINVAL)?,
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    Ok(guards)
}

/// Refuses guard regions that are not within one mapping each.
pub(super) fn check(cx: &mut Prepare<'_>, guards: &[Guard], mappings: &Mappings) -> Result {
    for guard in guards {
        let mapping = mappings.containing(guard.start);

        if mapping.is_none_or(|vma| vma.end < guard.end) {
            return Err(cx.fail(
                EINVAL,
                format_args!(
                    "guard region {:x}-{:x}: it is in no mapping",
                    guard.start, guard.end
                ),
            ));
        }
    }
    Ok(())
}

/// Installs all of them.
pub(super) fn install(cx: &mut Prepare<'_>, space: &mut Rebuild, guards: &[Guard]) -> Result {
    for guard in guards {
        space
            .guard(&snapshot::Guard::from_bytes(guard.as_bytes())?)
            .map_err(|e| {
                cx.fail(
                    e,
                    format_args!("guard region {:x}-{:x}: {e:?}", guard.start, guard.end),
                )
            })?;
    }
    Ok(())
}
