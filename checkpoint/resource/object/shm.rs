// SPDX-License-Identifier: GPL-2.0

//! Shared memory without a path: memfds and shared anonymous mappings.

use kernel::{
    fs::{
        file::flags,
        state::{
            self,
            shm,
            Seen, //
        },
        File, //
    },
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::aref::ARef,
    uapi, //
};

use crate::{
    image,
    resource::{
        Collect,
        Prepare, //
    }, //
};

use super::{
    c_string,
    copy,
    place,
    set_flags,
    Object,
    Ready, //
};

/// What a memfd's name begins with, and is not part of the image.
const MEMFD: &[u8] = b"memfd:";

/// Longest name of a memfd.
const MEMFD_NAME_MAX: usize = 249;

/// Numbers the shared memory that `file` has open.
pub(super) fn collect(cx: &mut Collect<'_>, file: &File, seen: &Seen) -> Result<u32> {
    if let Some(objref) = cx.objects.index.get(&seen.object()) {
        return Ok(*objref);
    }
    let name = if seen.shm_flags() & uapi::CR_SHM_MEMFD != 0 {
        copy(seen.name().strip_prefix(MEMFD).unwrap_or(&[]))?
    } else {
        KVVec::new()
    };
    // With an offset of its own, for a walk through the memory that the task does not see.
    let again = state::open_again(file, flags::O_RDONLY | flags::O_LARGEFILE)?;
    let record = image::Shm {
        objref: cx.objects.next()?,
        flags: seen.shm_flags(),
        size: seen.object_size(),
        seals: seen.seals(),
        // At most CR_NAME_LEN_MAX.
        name_len: name.len() as u32,
        mode: seen.mode() & 0o7777,
        page_shift: seen.page_shift(),
    };

    cx.objects.push(
        seen.object(),
        Object::Shm {
            record,
            name,
            file: again,
        },
    )
}

/// Opens shared memory once more, or for the first time.
pub(super) fn open(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
) -> Result<ARef<File>> {
    let Some(Ready::Shm { file, taken, .. }) =
        place(record.target).and_then(|place| objects.get_mut(place))
    else {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: it refers to no shared memory", record.objref),
        ));
    };
    let file = if !*taken && record.flags & flags::O_ACCMODE == flags::O_RDWR {
        *taken = true;
        file.clone()
    } else {
        state::open_again(
            file,
            record.flags & (flags::O_ACCMODE | flags::O_LARGEFILE | flags::O_NOFOLLOW),
        )?
    };

    set_flags(cx, &file, record, BStr::from_bytes(MEMFD))?;
    if record.pos != 0 {
        state::seek(&file, record.pos).map_err(|e| {
            cx.fail(
                e,
                fmt!("object {}: its offset cannot be set: {e:?}", record.objref),
            )
        })?;
    }
    Ok(file)
}

/// Makes shared memory.
pub(super) fn make(cx: &mut Prepare<'_>, record: &image::Shm, name: &[u8]) -> Result<ARef<File>> {
    let is_memfd = record.flags & uapi::CR_SHM_MEMFD != 0;

    if is_memfd && name.len() > MEMFD_NAME_MAX {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: its name is too long", record.objref),
        ));
    }
    let is_huge = record.flags & uapi::CR_SHM_HUGETLB != 0;
    let string = if is_memfd {
        c_string(&[MEMFD, name])?
    } else {
        c_string(&[b"dev/zero"])?
    };
    let c_name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;

    shm::create(
        c_name,
        record.size,
        record.flags,
        record.seals,
        record.mode,
        record.page_shift,
    )
    .map_err(|e| {
        let name = BStr::from_bytes(name);

        if is_huge && e == ENODEV {
            let shift = record.page_shift;
            return cx.fail(
                e,
                fmt!("shared memory \"{name}\": there are no huge pages of 2^{shift} bytes: {e:?}"),
            );
        }
        cx.fail(
            e,
            fmt!(
                "shared memory \"{name}\" of {} bytes: it cannot be made: {e:?}",
                record.size
            ),
        )
    })
}

/// Puts bytes into shared memory.
pub(super) fn fill(file: &File, mut bytes: &[u8], mut offset: u64) -> Result {
    while !bytes.is_empty() {
        let written = shm::write(file, bytes, offset)?;

        if written == 0 {
            return Err(EIO);
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.saturating_add(written as u64);
    }
    Ok(())
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_shm)]
mod tests {
    use super::*;
    use kernel::{
        fs::state::contents,
        page::PAGE_SIZE, //
    };

    #[test]
    fn shared_memory_keeps_its_holes() -> Result {
        let file = shm::create(c"dev/zero", 16 * PAGE_SIZE as u64, 0, 0, 0, 0)?;
        let again = state::open_again(&file, flags::O_RDONLY)?;
        let begin = 5 * PAGE_SIZE as u64;
        let mut back = [0; 8];

        assert!(contents::next_data(&again, 0)?.is_none());
        fill(&file, b"contents", begin)?;
        assert!(contents::next_data(&again, 0)?.is_some_and(|(b, e)| b == begin && e > b));
        assert_eq!(contents::read(&file, &mut back, begin)?, 8);
        assert_eq!(&back, b"contents");
        assert_eq!(Seen::look(&file)?.kind(), uapi::CR_FILE_SHM);
        Ok(())
    }

    #[test]
    fn memory_is_not_written_behind_its_end() -> Result {
        let file = shm::create(c"dev/zero", PAGE_SIZE as u64, 0, 0, 0, 0)?;

        assert!(fill(&file, b"x", PAGE_SIZE as u64).is_err());
        Ok(())
    }
}
