// SPDX-License-Identifier: GPL-2.0

//! Pipes and FIFOs: which of them the task has to itself, and what waits in them.

use core::mem;

use kernel::{
    fs::{
        file::flags,
        state::{
            self,
            pipe,
            table::Descriptor,
            Seen, //
        },
        File, //
    },
    page::PAGE_SIZE,
    prelude::*,
    rbtree::RBTree,
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
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

use super::{
    c_string,
    file,
    place,
    save_data,
    Object,
    Ready, //
};

/// Who has a pipe.
#[derive(Clone, Copy, Default)]
pub(super) struct PipeUse {
    /// Open files of the task.
    pub(super) files: u32,
    /// Those that read, and those that write.
    pub(super) readers: u32,
    pub(super) writers: u32,
}

/// What the descriptor tables have of each pipe.
pub(super) struct Pipes {
    uses: RBTree<usize, PipeUse>,
    /// The open files that have been counted.
    counted: RBTree<usize, ()>,
}

impl Pipes {
    /// No pipes.
    pub(super) fn new() -> Self {
        Self {
            uses: RBTree::new(),
            counted: RBTree::new(),
        }
    }

    /// Looks at a whole descriptor table.
    pub(super) fn survey(&mut self, table: &[Descriptor]) -> Result {
        for descriptor in table {
            let file = &descriptor.file;
            let address = file.as_ptr() as usize;
            let id = pipe::id(file);

            if id == 0 || self.counted.get(&address).is_some() {
                continue;
            }
            self.counted
                .try_create_and_insert(address, (), GFP_KERNEL_ACCOUNT)?;
            if self.uses.get(&id).is_none() {
                self.uses
                    .try_create_and_insert(id, PipeUse::default(), GFP_KERNEL_ACCOUNT)?;
            }
            if let Some(pipe) = self.uses.get_mut(&id) {
                pipe.files = pipe.files.saturating_add(1);
                pipe.readers += u32::from(state::may_access(file, flags::O_RDONLY));
                pipe.writers += u32::from(state::may_access(file, flags::O_WRONLY));
            }
        }
        Ok(())
    }

    /// Tells who has the pipe that `seen` is an end of.
    pub(super) fn of(&self, seen: &Seen) -> PipeUse {
        self.uses.get(&seen.object()).copied().unwrap_or_default()
    }
}

/// Numbers the pipe that `file` is an end of.
pub(super) fn collect(cx: &mut Collect<'_>, file: &File, seen: &Seen) -> Result<u32> {
    if let Some(objref) = cx.objects.index.get(&seen.object()) {
        return Ok(*objref);
    }
    let record = image::Pipe {
        objref: cx.objects.next()?,
        size: u32::try_from(seen.object_size())?,
        flags: if seen.pipe_packets() > 0 {
            uapi::CR_PIPE_PACKETS
        } else {
            0
        },
        reserved: 0,
    };
    let contents = cx.objects.pipes.of(seen).files == seen.pipe_files();

    cx.objects.push(
        seen.object(),
        Object::Pipe {
            record,
            file: file.into(),
            files: seen.pipe_files(),
            contents,
        },
    )
}

/// Writes what waits in a pipe: each packet by itself, or all bytes in large pieces.
pub(super) fn save<T: Transport>(
    record: &image::Pipe,
    file: &File,
    buffer: &mut [u8],
    to: &mut ImageWriter<'_, T>,
) -> Result<(), Failure> {
    let packets = record.flags & uapi::CR_PIPE_PACKETS != 0;
    let mut offset = 0u64;
    let mut used = 0;
    let mut skip = 0;
    let mut slot = 0;

    loop {
        let room = buffer.get_mut(used..).unwrap_or_default();
        let full = room.is_empty();
        let copied = if full {
            0
        } else {
            match pipe::peek(file, slot, skip, room)? {
                Some(copied) => copied,
                None => break,
            }
        };

        used += copied;
        skip += copied;
        if copied == 0 && !full {
            slot += 1;
            skip = 0;
        }
        if full || (packets && copied == 0) {
            let bytes = buffer.get(..used).unwrap_or_default();

            save_data(to, record.objref, offset, bytes)?;
            offset = offset.saturating_add(used as u64);
            used = 0;
        }
    }
    save_data(
        to,
        record.objref,
        offset,
        buffer.get(..used).unwrap_or_default(),
    )
}

/// How far a pipe has come back.
pub(super) enum Ends {
    /// No file has referred to it yet.
    Unknown,
    /// Both ends, until a file takes them.
    Pipe {
        read: Option<ARef<File>>,
        write: Option<ARef<File>>,
        /// The end for writing, to put contents in.
        inlet: ARef<File>,
    },
    /// A FIFO, with both ends in one, so that no opening waits and no contents are lost; [`None`]
    /// if the caller may only read or only write it.
    Fifo(Option<ARef<File>>),
}

/// Opens a FIFO so that none of its later openings waits.
fn hold(
    cx: &mut Prepare<'_>,
    pipe: &image::Pipe,
    record: &image::File,
    path: &[u8],
) -> Result<Option<ARef<File>>> {
    let name = BStr::from_bytes(path);
    let string = c_string(&[path])?;
    let c_name = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;
    let file = match state::open(c_name, flags::O_RDWR | flags::O_NONBLOCK | flags::O_NOCTTY) {
        Ok(file) => file,
        Err(e) if e == ENOMEM || e == ENFILE => {
            return Err(cx.fail(e, fmt!("file \"{name}\": it cannot be opened: {e:?}")));
        }
        // The open that comes next may do with less, or says what is wrong.
        Err(_) => return Ok(None),
    };

    if Seen::look(&file)?.kind() != record.kind {
        return Err(cx.fail(
            ESTALE,
            fmt!("file \"{name}\": it is another file than at the checkpoint"),
        ));
    }
    pipe::resize(&file, pipe.size)
        .map_err(|e| cx.fail(e, fmt!("file \"{name}\": its size cannot be set: {e:?}")))?;
    if pipe.flags & uapi::CR_PIPE_PACKETS != 0 {
        state::set_flags(&file, flags::O_NONBLOCK | flags::O_DIRECT)?;
    }
    Ok(Some(file))
}

/// Makes the pipe, and hands out the end that `record` has.
pub(super) fn end(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
) -> Result<ARef<File>> {
    let objref = record.target;
    let Some(Ready::Pipe {
        record: pipe, ends, ..
    }) = place(objref).and_then(|place| objects.get_mut(place))
    else {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: it refers to no pipe", record.objref),
        ));
    };

    if matches!(ends, Ends::Unknown) {
        let packets = pipe.flags & uapi::CR_PIPE_PACKETS != 0;
        let (read, write) = pipe::create(if packets { flags::O_DIRECT } else { 0 })?;

        pipe::resize(&write, pipe.size).map_err(|e| {
            cx.fail(
                e,
                fmt!(
                    "object {objref}: a pipe cannot have {} bytes: {e:?}",
                    pipe.size
                ),
            )
        })?;
        *ends = Ends::Pipe {
            read: Some(read),
            inlet: write.clone(),
            write: Some(write),
        };
    }

    let end = match (ends, record.flags & flags::O_ACCMODE) {
        (Ends::Pipe { read, .. }, flags::O_RDONLY) => read.take(),
        (Ends::Pipe { write, .. }, flags::O_WRONLY) => write.take(),
        _ => None,
    };
    end.ok_or_else(|| {
        cx.fail(
            EINVAL,
            fmt!("object {}: its end of the pipe is taken", record.objref),
        )
    })
}

/// Opens a FIFO, after a first open that keeps all others from waiting.
pub(super) fn open_fifo(
    cx: &mut Prepare<'_>,
    objects: &mut [Ready],
    record: &image::File,
    path: &[u8],
) -> Result<ARef<File>> {
    let Some(Ready::Pipe {
        record: pipe, ends, ..
    }) = place(record.target).and_then(|place| objects.get_mut(place))
    else {
        return Err(cx.fail(
            EINVAL,
            fmt!("object {}: it refers to no pipe", record.objref),
        ));
    };

    match ends {
        Ends::Unknown => *ends = Ends::Fifo(hold(cx, pipe, record, path)?),
        Ends::Fifo(_) => (),
        Ends::Pipe { .. } => {
            return Err(cx.fail(
                EINVAL,
                fmt!("object {}: its pipe is no FIFO", record.objref),
            ));
        }
    }
    file::open_path(cx, record, path)
}

/// Closes what no file has taken, when the contents are there. An end that is closed later is an event
/// for who waits for the other one.
pub(super) fn close_rest(ends: &mut Ends) {
    match mem::replace(ends, Ends::Unknown) {
        Ends::Pipe { read, write, inlet } => {
            for end in [read, write, Some(inlet)].into_iter().flatten() {
                state::close_now(end);
            }
        }
        Ends::Fifo(Some(fifo)) => state::close_now(fifo),
        Ends::Fifo(None) | Ends::Unknown => (),
    }
}

/// Puts bytes into a pipe. Returns whether there was room for them.
pub(super) fn fill(inlet: &File, packets: bool, mut bytes: &[u8]) -> Result<bool> {
    if packets {
        if bytes.len() > PAGE_SIZE {
            return Ok(false);
        }
        return match pipe::put(inlet, bytes) {
            Ok(put) => Ok(put == bytes.len()),
            Err(e) if e == EAGAIN => Ok(false),
            Err(e) => Err(e),
        };
    }
    while !bytes.is_empty() {
        match pipe::put(inlet, bytes) {
            Ok(0) => return Ok(false),
            Ok(put) => bytes = bytes.get(put..).unwrap_or_default(),
            Err(e) if e == EAGAIN => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_object_pipe)]
mod tests {
    use super::{
        super::copy,
        *, //
    };

    /// What waits in a pipe, buffer by buffer.
    fn waiting(file: &File) -> Result<KVVec<KVVec<u8>>> {
        let mut slots = KVVec::new();
        let mut slot = 0;
        let mut buffer = KVVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;

        while let Some(len) = pipe::peek(file, slot, 0, &mut buffer)? {
            slots.push(copy(&buffer[..len])?, GFP_KERNEL)?;
            slot += 1;
        }
        Ok(slots)
    }

    #[test]
    fn bytes_come_together_in_a_pipe() -> Result {
        let (read, write) = pipe::create(0)?;

        assert!(fill(&write, false, b"abc")?);
        assert!(fill(&write, false, b"def")?);
        let slots = waiting(&read)?;
        assert_eq!(slots.len(), 1);
        assert_eq!(&slots[0][..], b"abcdef");
        // Looking takes nothing away.
        assert_eq!(waiting(&read)?.len(), 1);
        Ok(())
    }

    #[test]
    fn packets_stay_apart() -> Result {
        let (read, write) = pipe::create(flags::O_DIRECT)?;

        assert!(fill(&write, true, b"abc")?);
        assert!(fill(&write, true, b"d")?);
        let slots = waiting(&read)?;
        assert_eq!(slots.len(), 2);
        assert_eq!(&slots[0][..], b"abc");
        assert_eq!(&slots[1][..], b"d");
        assert_eq!(Seen::look(&read)?.pipe_packets(), 2);
        Ok(())
    }

    #[test]
    fn full_pipe_takes_no_more() -> Result {
        let (_read, write) = pipe::create(0)?;
        let page = KVVec::from_elem(1, PAGE_SIZE, GFP_KERNEL)?;

        pipe::resize(&write, PAGE_SIZE as u32)?;
        assert!(fill(&write, false, &page)?);
        assert!(!fill(&write, false, b"x")?);
        Ok(())
    }

    #[test]
    fn pipe_is_seen_as_one() -> Result {
        let (read, write) = pipe::create(0)?;
        let seen = Seen::look(&read)?;

        assert_eq!(seen.kind(), uapi::CR_FILE_PIPE);
        assert_eq!(seen.pipe_files(), 2);
        assert_eq!(seen.object(), pipe::id(&write));
        assert!(state::may_access(&read, flags::O_RDONLY));
        assert!(!state::may_access(&read, flags::O_RDWR));
        Ok(())
    }
}
