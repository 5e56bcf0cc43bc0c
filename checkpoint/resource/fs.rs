// SPDX-License-Identifier: GPL-2.0

//! Where paths begin: the working directory and the root; and the umask.
//!
//! Locks: none is held here. What a restart prepares is nobody else's until it is committed.

use kernel::{
    fs::state::dirs::{
        self,
        Dirs, //
    },
    prelude::*,
    task::CurrentTask, //
};

use crate::{
    image::{
        self,
        Item, //
    },
    resource::{
        object::{
            self,
            Use, //
        },
        Collect,
        Prepare,
        Resource,
        Saving, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

pub(crate) struct FsState;

impl Resource for FsState {
    type Found = image::Fs;
    type Image = Option<image::Fs>;
    type Prepared = Option<Dirs>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        const CWD: Use = Use::Dir("working directory");
        const ROOT: Use = Use::Dir("root");

        let (umask, shared) = dirs::umask(cx.task);
        if shared {
            cx.refuse_further(fmt!("a working directory that is shared with another task"))?;
        }

        let cwd = dirs::working(cx.task)
            .map_err(|e| cx.fail(e, fmt!("{CWD}: it cannot be looked at: {e:?}")))?;
        let root = dirs::root(cx.task)
            .map_err(|e| cx.fail(e, fmt!("{ROOT}: it cannot be looked at: {e:?}")))?;

        let cwd = object::collect_file(cx, &cwd, CWD);
        let cwd = cx.tolerate(cwd)?.unwrap_or_default();
        Ok(image::Fs {
            umask,
            cwd,
            root: match root {
                Some(root) => object::collect_file(cx, &root, ROOT)?,
                None => 0,
            },
            reserved: 0,
        })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(found)
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let Item::Fs(fs) = item {
            *image = Some(*fs);
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(fs) = image else {
            return Ok(None);
        };
        let Some(cwd) = cx.objects.file(fs.cwd) else {
            return Err(cx.fail(
                EINVAL,
                fmt!("working directory: object {} is no file", fs.cwd),
            ));
        };
        let root = cx.objects.file(fs.root);
        if fs.root != 0 && root.is_none() {
            return Err(cx.fail(EINVAL, fmt!("root: object {} is no file", fs.root)));
        }

        Dirs::new(&cwd, root.as_deref(), fs.umask)
            .map(Some)
            .map_err(|e| {
                cx.fail(
                    e,
                    fmt!("the working directory or the root cannot be entered: {e:?}"),
                )
            })
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(dirs) = prepared {
            dirs.switch(caller);
        }
    }
}
