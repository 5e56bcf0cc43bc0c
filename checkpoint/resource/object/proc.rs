// SPDX-License-Identifier: GPL-2.0

//! Files of the process itself in `/proc/PID`: those of whom the caller becomes, which is why they
//! are opened when its address space is in place.

use kernel::{
    fs::{
        state,
        File, //
    },
    prelude::*,
    str::BStr,
    sync::aref::ARef, //
};

use crate::{
    image,
    resource::Prepare, //
};

use super::file;

/// Makes of a path below `/proc/PID`, which has so many names from `PID` on, one that leads to the
/// files of whoever opens it. [`None`] if the path has not so many names: the directory is mounted
/// elsewhere.
pub(super) fn own_path(path: &[u8], names: usize) -> Result<Option<KVVec<u8>>> {
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
    let (mount, below) = path.split_at(begin);
    // Below is "/PID", and perhaps more. There is one thread only, and "/task/TID" is its.
    let rest = behind_name(below);
    let (this, rest) = match rest.strip_prefix(b"/task/") {
        Some(thread) => (&b"/thread-self"[..], behind_name(thread)),
        None => (&b"/self"[..], rest),
    };

    for part in [mount, this, rest] {
        own.extend_from_slice(part, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(Some(own))
}

/// Returns what is behind the first name of a path, from the slash on.
fn behind_name(path: &[u8]) -> &[u8] {
    let rest = path.iter().skip(1).position(|byte| *byte == b'/');

    rest.and_then(|at| path.get(at + 1..)).unwrap_or_default()
}

/// Opens a file of the process, which the caller is by now.
pub(super) fn open(cx: &mut Prepare<'_>, record: &image::File, path: &[u8]) -> Result<ARef<File>> {
    let file = file::open_path(cx, record, path)?;

    match state::proc_depth(&file, cx.caller) {
        Ok(Some(_)) => Ok(file),
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
            own_path(path, names).is_ok_and(|found| found.as_deref() == own)
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
