// SPDX-License-Identifier: GPL-2.0

//! Files of tasks of the image in `/proc/PID`: each is opened by whoever becomes that task, when its
//! address space is in place.

use kernel::{
    fs::{
        state::{
            self,
            InProc, //
        },
        File, //
    },
    prelude::*,
    str::BStr,
    sync::aref::ARef, //
};

use crate::{
    image,
    resource::{
        Collect,
        Prepare, //
    },
    tree::Member, //
};

use super::file;

/// Finds out which task of the tree a file in `/proc/PID` is of, and by which path that task itself
/// gets it: its place and the path. Or why it cannot.
pub(super) fn place(
    cx: &Collect<'_>,
    path: &[u8],
    at: &InProc,
) -> Result<Result<(usize, KVVec<u8>), &'static CStr>> {
    let (own, of_thread) = match own_path(path, at.depth)? {
        Some(own) => own,
        None => {
            return Ok(Err(
                c"a file of a process in /proc that is mounted elsewhere",
            ))
        }
    };
    let of = match of_thread {
        true => &at.inner,
        false => &at.of,
    };
    let by_number = cx.tree.place_of(&at.of);
    let (Some(by_number), Some(place)) = (by_number, cx.tree.place_of(of)) else {
        return Ok(Err(c"a file of another process in /proc"));
    };
    // By the number of a thread alone, which no directory shows.
    let leads = cx
        .tree
        .members()
        .get(by_number)
        .is_some_and(Member::is_leader);
    Ok(match leads {
        true => Ok((place, own)),
        false => Err(c"a file of a thread in /proc, by the number of that alone"),
    })
}

/// Makes of a path below `/proc/PID`, which has so many names from `PID` on, one that leads to the
/// files of whoever opens it, and tells whether they are those of one thread. [`None`] if the path
/// has not so many names: the directory is mounted elsewhere.
fn own_path(path: &[u8], names: usize) -> Result<Option<(KVVec<u8>, bool)>> {
    let mut own = KVVec::new();
    let mut begin = path.len();

    for _ in 0..names {
        let Some(slash) = path
            .get(..begin)
            .and_then(|path| path.iter().rposition(|byte| *byte == b'/'))
        else {
            return Ok(None);
        };
        begin = slash;
    }
    let (mount, below) = path.split_at_checked(begin).ok_or(EINVAL)?;
    // Below is "/PID", and perhaps more.
    let rest = behind_name(below);
    let (this, rest, of_thread) = match rest.strip_prefix(b"/task/") {
        Some(thread) => (&b"/thread-self"[..], behind_name(thread), true),
        None => (&b"/self"[..], rest, false),
    };

    for part in [mount, this, rest] {
        own.extend_from_slice(part, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(Some((own, of_thread)))
}

/// Returns what is behind the first name of a path, from the slash on.
fn behind_name(path: &[u8]) -> &[u8] {
    let rest = path.iter().skip(1).position(|byte| *byte == b'/');

    rest.and_then(|at| path.get(at + 1..)).unwrap_or_default()
}

/// Opens a file of the process, which the caller is by now.
pub(super) fn open(cx: &mut Prepare<'_>, record: &image::File, path: &[u8]) -> Result<ARef<File>> {
    let file = file::open_path(cx, record, path)?;

    match state::in_proc(&file) {
        Ok(Some(at)) if at.of.id() == cx.caller.group().id() => Ok(file),
        _ => Err(cx.fail(
            ESTALE,
            fmt!(
                "file \"{}\": it is no file of the process",
                BStr::from_bytes(path)
            ),
        )),
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_proc)]
mod tests {
    use super::*;

    #[test]
    fn number_of_the_process_becomes_self() -> Result {
        let is = |path: &[u8], names, own: Option<&[u8]>| {
            own_path(path, names).is_ok_and(|found| match (&found, own) {
                (Some((found, of_thread)), Some(own)) => {
                    **found == *own && *of_thread == own.starts_with(b"/proc/thread-self")
                }
                (None, None) => true,
                _ => false,
            })
        };

        assert!(is(b"/proc/7", 1, Some(b"/proc/self")));
        assert!(is(b"/proc/7/maps", 2, Some(b"/proc/self/maps")));
        assert!(is(
            b"/a/7/7/attr/current",
            3,
            Some(b"/a/7/self/attr/current")
        ));
        assert!(is(
            b"/proc/7/net/stat/nf",
            4,
            Some(b"/proc/self/net/stat/nf")
        ));
        assert!(is(b"/proc/7/net/a/b/c", 5, Some(b"/proc/self/net/a/b/c")));
        assert!(is(b"/proc/7/task", 2, Some(b"/proc/self/task")));
        assert!(is(b"/proc/7/task/7", 3, Some(b"/proc/thread-self")));
        assert!(is(
            b"/proc/7/task/7/stat",
            4,
            Some(b"/proc/thread-self/stat")
        ));
        assert!(is(
            b"/proc/7/task/7/net/a/b",
            6,
            Some(b"/proc/thread-self/net/a/b")
        ));
        assert!(is(b"/maps", 2, None));
        Ok(())
    }
}
