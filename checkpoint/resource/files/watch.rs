// SPDX-License-Identifier: GPL-2.0

//! What inotify(7) instances watch.
//!
//! The kernel knows what is watched as an inode. An image has it as a path, of which there must be one:
//! a name that is in the cache still, below the root. A restart watches it as inotify_add_watch(2)
//! does, under its old watch descriptor, when everything else is there: what happens before that is not
//! noticed, as it would not be if there were no process yet.

use kernel::{
    fs::state::inotify,
    prelude::*,
    uapi, //
};

use crate::{
    image::Watch,
    resource::{
        object::{
            self,
            Use, //
        },
        Collect,
        Prepare, //
    },
};

/// Notes what all instances watch, when all descriptors have been numbered.
pub(super) fn collect(cx: &mut Collect<'_>) -> Result<KVVec<Watch>> {
    let mut found = KVVec::new();

    for instance in &cx.objects.of_kind(uapi::CR_FILE_INOTIFY)? {
        let (file, place, met) = (&instance.file, instance.place, instance.of);
        let fd = match met {
            Use::Fd(fd) => i32::try_from(fd)?,
            _ => -1,
        };
        // At most CR_WATCHES_MAX are noted.
        let room = uapi::CR_WATCHES_MAX.saturating_sub(found.len() as u32);
        let watches = match inotify::watches(file, room) {
            Ok(watches) => watches,
            Err(e) if e == E2BIG => {
                return Err(cx.at(place, |cx| cx.refuse(fmt!("{met}: so many watches"))));
            }
            Err(e) => return Err(e),
        };

        for watch in &watches {
            let of = Use::Watch(fd, watch.wd());
            let target = watch.open().map_err(|e| {
                cx.at(place, |cx| {
                    if e == ENOENT {
                        cx.refuse(fmt!("{of}: a watched file that has no path"))
                    } else {
                        cx.fail(e, fmt!("{of}: it cannot be looked at: {e:?}"))
                    }
                })
            })?;

            found.push(
                Watch {
                    objref: instance.objref,
                    target: cx.at(place, |cx| object::collect_file(cx, &target, of))?,
                    wd: watch.wd(),
                    mask: watch.mask(),
                },
                GFP_KERNEL_ACCOUNT,
            )?;
        }
    }
    Ok(found)
}

/// Makes the instances watch what they watched. If one fails, all go with the objects.
pub(super) fn complete(cx: &mut Prepare<'_>, watches: &[Watch]) -> Result {
    for watch in watches {
        let Watch {
            objref,
            target,
            wd,
            mask,
        } = *watch;
        if cx.objects.is_replaced(objref) {
            continue;
        }
        let instance = cx.objects.file_of_kind(objref, uapi::CR_FILE_INOTIFY);
        let path = cx.objects.file_of_kind(target, uapi::CR_FILE_PATH);
        let (Some(instance), Some(path)) = (instance, path) else {
            return Err(cx.fail(
                EINVAL,
                fmt!("watch {wd}: object {objref} is no instance, or object {target} no path"),
            ));
        };

        inotify::watch(&instance, &path, wd, mask).map_err(|e| {
            let why = match e {
                e if e == ENOSPC => "the caller's limit of watches is reached",
                e if e == EEXIST => "it is watched already",
                e if e == EACCES => "the caller may not read it",
                _ => "it cannot be watched",
            };

            cx.fail(
                e,
                fmt!("object {objref}: watch {wd} of object {target}: {why}: {e:?}"),
            )
        })?;
    }
    Ok(())
}
