// SPDX-License-Identifier: GPL-2.0

//! Where paths begin: the working directory and the root; and the umask.
//!
//! Locks: none is held here. What a restart prepares is nobody else's until it is committed.

use kernel::{
    fs::state::dirs::{
        self,
        Dirs,
        SharedDirs, //
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
        outside,
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

pub(crate) struct FsState;

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    fs: Option<image::Fs>,
    /// Number of the task that it came with, if that is another one.
    shared: u32,
}

/// What is committed.
pub(crate) enum Prepared {
    /// The task's own, which others may have, too.
    Own(Dirs),
    /// Those that came with another task.
    Shared(SharedDirs),
}

impl Resource for FsState {
    const SCOPE: Scope = Scope::Fs;

    type Found = image::Fs;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        const CWD: Use = Use::Dir("working directory");
        const ROOT: Use = Use::Dir("root");

        let (umask, users) = dirs::umask(cx.task);
        let known = cx.tree.users(&cx.member()?.kin, |kin| kin.fs);
        if users > known {
            outside::refuse_table(
                cx,
                cx.member()?.kin.fs,
                "a working directory that is shared",
            )?;
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
        match item {
            Item::Task(task) => image.shared = task.fs,
            Item::Fs(fs) => image.fs = Some(*fs),
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        if image.shared != 0 {
            let Some(shared) = cx.dirs.get(&image.shared).map(SharedDirs::share) else {
                return Err(cx.fail(
                    EINVAL,
                    fmt!(
                        "working directory: task {} has none of its own",
                        image.shared
                    ),
                ));
            };
            return Ok(Some(Prepared::Shared(shared)));
        }
        let Some(fs) = image.fs else {
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

        let dirs = Dirs::new(&cwd, root.as_deref(), fs.umask).map_err(|e| {
            cx.fail(
                e,
                fmt!("the working directory or the root cannot be entered: {e:?}"),
            )
        })?;

        cx.dirs
            .try_create_and_insert(cx.number, dirs.share(), GFP_KERNEL_ACCOUNT)?;
        Ok(Some(Prepared::Own(dirs)))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        match prepared {
            Some(Prepared::Own(dirs)) => dirs.switch(caller),
            Some(Prepared::Shared(dirs)) => dirs.switch(caller),
            None => (),
        }
    }
}
