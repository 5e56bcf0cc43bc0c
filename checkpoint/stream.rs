// SPDX-License-Identifier: GPL-2.0

//! Reading and writing an image: whole records over transfers of any size.
//!
//! read(2) and write(2) may move fewer bytes than asked for. The loops here go on until all is
//! moved, wait where a non-blocking file is not ready, and end with
//!
//! - `EPIPE` where an image that is read ends too early,
//! - `EIO` where a file takes nothing and gives no reason,
//! - `EINTR` on a fatal signal,
//! - any other error as the file reports it: `ENOSPC`, `EFBIG`, `EPIPE` of a pipe without reader.

use core::{
    cell::Cell,
    fmt,
    ops::Range, //
};

use kernel::{
    alloc::AllocError,
    fs::rw::StreamFile,
    mm::batch::PageBatch,
    page::PAGE_SIZE,
    prelude::*,
    uts::{
        linux_version,
        UtsName, //
    }, //
};

use crate::{
    crc32c,
    image::{
        bulk_padding,
        Behind,
        Bulk,
        BulkKind,
        Checker,
        Encoder,
        Errno,
        Expect,
        Extents,
        Header,
        Item,
        Kernel,
        Kind,
        Payload,
        Reason,
        Record,
        Refusal,
        SharedExtents,
        Text, //
    }, //
};

/// Bytes of records that are gathered before they are written.
const BUFFER: usize = 64 * 1024;

/// Bulk data from this many bytes on is not gathered, which would copy it once more.
const DIRECT: usize = 16 * 1024;

/// Bytes of records that are read at once where those that were too many can be read again.
const AHEAD: usize = 32 * 1024;

/// Likewise where bulk data may come.
const NEAR: usize = 256;

/// Returns what the images of the running kernel say of it.
pub(crate) fn running_kernel(uts: &UtsName) -> Kernel<'_> {
    Kernel {
        version: linux_version(),
        release: &uts.release,
        text: &uts.version,
        machine: &uts.machine,
        page_size: PAGE_SIZE as u32,
    }
}

/// What moves some bytes: an open file, or a test.
pub(crate) trait Transport {
    /// Reads some bytes, 0 at the end; `EAGAIN` if [`Self::wait`] is next.
    fn read(&self, to: &mut [u8]) -> Result<usize>;

    /// Writes some bytes; `EAGAIN` if [`Self::wait`] is next.
    fn write(&self, from: &[u8]) -> Result<usize>;

    /// Reads some bytes into `pages` from their byte `at` on; otherwise as [`Self::read`].
    fn read_pages(&self, pages: &mut PageBatch, at: usize) -> Result<usize>;

    /// Writes some bytes of `pages` from their byte `at` on; otherwise as [`Self::write`].
    fn write_pages(&self, pages: &PageBatch, at: usize) -> Result<usize>;

    /// Sleeps until the next transfer is worth a try; `EINTR` on a fatal signal.
    fn wait(&self) -> Result;

    /// Tells whether what has been read can be read once more.
    fn can_unread(&self) -> bool;

    /// Has the last `len` bytes be read once more.
    fn unread(&self, len: usize);
}

impl Transport for StreamFile {
    fn read(&self, to: &mut [u8]) -> Result<usize> {
        StreamFile::read(self, to)
    }

    fn write(&self, from: &[u8]) -> Result<usize> {
        StreamFile::write(self, from)
    }

    fn read_pages(&self, pages: &mut PageBatch, at: usize) -> Result<usize> {
        StreamFile::read_pages(self, pages, at)
    }

    fn write_pages(&self, pages: &PageBatch, at: usize) -> Result<usize> {
        StreamFile::write_pages(self, pages, at)
    }

    fn wait(&self) -> Result {
        StreamFile::wait(self)
    }

    fn can_unread(&self) -> bool {
        StreamFile::can_unread(self)
    }

    fn unread(&self, len: usize) {
        StreamFile::unread(self, len)
    }
}

/// Moves `len` bytes in steps of `transfer`, which is told how many were moved before. A step of 0
/// bytes is the error `none`. An error comes with the number of bytes that were moved before it.
fn move_all<T: Transport>(
    file: &T,
    len: usize,
    none: Error,
    mut transfer: impl FnMut(usize) -> Result<usize>,
) -> Result<(), (usize, Error)> {
    let mut moved = 0usize;

    while moved < len {
        match transfer(moved) {
            Ok(0) => return Err((moved, none)),
            Ok(n) => moved = moved.saturating_add(n),
            Err(e) if e == EAGAIN => file.wait().map_err(|e| (moved, e))?,
            Err(e) => return Err((moved, e)),
        }
    }
    Ok(())
}

/// Writes all of `from`. An error comes with the number of bytes that were written before it.
pub(crate) fn write_all<T: Transport>(file: &T, from: &[u8]) -> Result<(), (usize, Error)> {
    move_all(file, from.len(), EIO, |at| {
        file.write(from.get(at..).unwrap_or(&[]))
    })
}

/// Fills all of `to`. An error comes with the number of bytes that were read before it.
pub(crate) fn read_all<T: Transport>(file: &T, to: &mut [u8]) -> Result<(), (usize, Error)> {
    move_all(file, to.len(), EPIPE, |at| {
        file.read(to.get_mut(at..).unwrap_or(&mut []))
    })
}

/// Why an image could not be written or read.
pub(crate) enum Failure {
    /// The file would not.
    Io {
        /// Bytes of the image that were moved before.
        offset: u64,
        /// What the file, or the loops of this module, said.
        error: Error,
    },
    /// The image is not one that can be restarted here.
    Refused(Refusal),
    /// Something failed that has nothing to do with the image, such as an allocation.
    Other(Error),
    /// A pool of huge pages has none for the contents of this address or offset.
    NoHugePage(u64),
    /// Something failed, and the log has a line about it.
    Logged(Error),
}

impl Failure {
    /// Returns the errno that the system call answers.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Io { error, .. } | Self::Other(error) | Self::Logged(error) => *error,
            Self::NoHugePage(_) => ENOMEM,
            Self::Refused(refusal) => match refusal.errno() {
                Errno::Inval => EINVAL,
                Errno::Pipe => EPIPE,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { offset, error } if *error == EPIPE => {
                write!(f, "image offset {offset}: the other end is gone")
            }
            Self::Io { offset, error } => write!(f, "image offset {offset}: {error:?}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NoHugePage(start) => write!(f, "no huge page is free for {start:x}: ENOMEM"),
            Self::Other(error) | Self::Logged(error) => write!(f, "{error:?}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<AllocError> for Failure {
    fn from(error: AllocError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Writes an image, front to back.
///
/// Records are gathered and written in large pieces, so an error of the file may show with a later
/// record, or in [`Self::finish`].
pub(crate) struct ImageWriter<'a, T: Transport> {
    file: &'a T,
    encoder: Encoder,
    /// What is not written yet, and how many bytes before it are.
    buffer: KVVec<u8>,
    written: u64,
}

impl<'a, T: Transport> ImageWriter<'a, T> {
    /// Begins an image at the position of `file`.
    pub(crate) fn new(file: &'a T) -> Self {
        Self {
            file,
            encoder: Encoder::new(),
            buffer: KVVec::new(),
            written: 0,
        }
    }

    /// Writes a record that belongs to no object.
    pub(crate) fn record<R: Record>(&mut self, record: &R) -> Result<(), Failure> {
        let buffer = &mut self.buffer;

        self.encoder
            .record(0, record, |bytes| gather(buffer, bytes))?;
        self.flush_above(BUFFER)
    }

    /// Writes a text that belongs to the record before it.
    pub(crate) fn text(&mut self, text: Text<'_>) -> Result<(), Failure> {
        let buffer = &mut self.buffer;

        self.encoder.text(0, text, |bytes| gather(buffer, bytes))?;
        self.flush_above(BUFFER)
    }

    /// Writes the last record, and all that is still gathered.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let buffer = &mut self.buffer;

        core::mem::take(&mut self.encoder).tail(|bytes| gather(buffer, bytes))?;
        self.flush_above(0)
    }

    /// Writes a record of which the payload has any length, such as the extended registers.
    pub(crate) fn bytes(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Failure> {
        let payload = Payload::new(kind, payload).ok_or(EINVAL)?;
        let buffer = &mut self.buffer;

        self.encoder
            .bytes(0, payload, |bytes| gather(buffer, bytes))?;
        self.flush_above(BUFFER)
    }

    /// Writes the pages that the records before announce, without a copy.
    pub(crate) fn bulk_pages(&mut self, pages: &PageBatch) -> Result<(), Failure> {
        let len = pages.bytes();

        self.pad()?;
        self.flush_above(0)?;
        move_all(self.file, len, EIO, |at| self.file.write_pages(pages, at))
            .map_err(|error| self.failed(error))?;
        self.encoder.skip(len as u64);
        self.written = self.written.saturating_add(len as u64);
        Ok(())
    }

    /// Writes the bytes that the record before announces, and zeros up to a multiple of 8.
    pub(crate) fn bulk_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.pad()?;
        if bytes.len() < DIRECT {
            gather(&mut self.buffer, bytes)?;
        } else {
            self.flush_above(0)?;
            write_all(self.file, bytes).map_err(|error| self.failed(error))?;
            self.written = self.written.saturating_add(bytes.len() as u64);
        }
        gather(&mut self.buffer, bulk_padding(bytes.len() as u64))?;
        self.encoder.skip(bytes.len() as u64);
        self.flush_above(BUFFER)
    }

    fn pad(&mut self) -> Result<(), Failure> {
        let buffer = &mut self.buffer;

        self.encoder
            .pad(PAGE_SIZE as u32, |bytes| gather(buffer, bytes))?;
        Ok(())
    }

    fn failed(&self, (moved, error): (usize, Error)) -> Failure {
        Failure::Io {
            offset: self.written.saturating_add(moved as u64),
            error,
        }
    }

    fn flush_above(&mut self, limit: usize) -> Result<(), Failure> {
        if self.buffer.len() <= limit {
            return Ok(());
        }
        write_all(self.file, &self.buffer).map_err(|error| self.failed(error))?;
        self.written = self.written.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }
}

/// Adds `bytes` to what is gathered.
fn gather(buffer: &mut KVVec<u8>, bytes: &[u8]) -> Result {
    Ok(buffer.extend_from_slice(bytes, GFP_KERNEL_ACCOUNT)?)
}

/// Reads an image, front to back, and checks it.
///
/// Leaves the file behind the last record that it has read. The memory it takes is bounded by the
/// longest record, and by `AHEAD`.
pub(crate) struct ImageReader<'a, T: Transport> {
    file: &'a T,
    checker: Checker<'a>,
    /// Where bytes of records are, of which those in `ahead` have been read and not been looked at.
    buffer: KVVec<u8>,
    ahead: Range<usize>,
    /// The payload of the last EXTENTS or SHARED_EXTENTS: it is needed when padding has been read
    /// behind it.
    extents: KVVec<u8>,
}

impl<'a, T: Transport> ImageReader<'a, T> {
    /// Begins to read at the position of `file` what `expect` is asked of.
    pub(crate) fn new(file: &'a T, expect: Expect<'a>) -> Self {
        Self {
            file,
            checker: Checker::new(expect),
            buffer: KVVec::new(),
            ahead: 0..0,
            extents: KVVec::new(),
        }
    }

    /// Tells whether bulk data comes next, so that [`Self::bulk`] has to be called.
    pub(crate) fn at_bulk(&self) -> bool {
        self.checker.bulk().is_some()
    }

    /// Returns the bulk data that comes next, if it does.
    pub(crate) fn bulk(&mut self) -> Option<BulkReader<'_, 'a, T>> {
        let bulk = self.checker.bulk()?;

        self.unread();
        Some(BulkReader {
            reader: self,
            bulk,
            crc: 0,
            moved: 0,
        })
    }

    /// Returns where the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.checker.offset()
    }

    /// Refuses the TASK at an offset, for a reason that shows only when all have been read.
    pub(crate) fn refuse_task(&mut self, offset: u64, reason: Reason) -> Failure {
        self.checker.refuse_at(offset, Kind::Task, reason).into()
    }

    /// Reads the next record; `None` behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, Failure> {
        if self.checker.done() {
            return Ok(None);
        }
        let header = self.take(Header::SIZE)?;
        let header = self.buffer.get(header).and_then(|b| b.first_chunk());
        let header = self.checker.header(header.ok_or(EINVAL)?)?;

        let payload = self.take(header.padded_len())?;
        if header.kind == Kind::Tail.number() {
            self.unread();
        }
        let payload = self.buffer.get(payload).ok_or(EINVAL)?;
        let item = self.checker.payload(payload)?;
        if let Item::Extents(_) | Item::SharedExtents(_) = item {
            let bytes = match item {
                Item::Extents(extents) => extents.bytes(),
                Item::SharedExtents(extents) => extents.bytes(),
                _ => &[],
            };
            self.extents.clear();
            self.extents.extend_from_slice(bytes, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Some(item))
    }

    /// Takes the next `len` bytes, and returns where in the buffer they are.
    fn take(&mut self, len: usize) -> Result<Range<usize>, Failure> {
        if self.ahead.len() < len {
            self.read_ahead(len)?;
        }
        let begin = self.ahead.start;

        self.ahead.start = begin.saturating_add(len);
        Ok(begin..self.ahead.start)
    }

    /// Reads until `len` bytes are there, and what else it may.
    fn read_ahead(&mut self, len: usize) -> Result<(), Failure> {
        let more = match (self.checker.behind(), self.file.can_unread()) {
            (Behind::Records, true) => AHEAD.saturating_sub(len),
            (Behind::Bytes(_), true) => NEAR,
            (Behind::Records, false) => Header::SIZE,
            (Behind::Bytes(more), false) => more,
        };
        let room = len.saturating_add(more);

        // To the beginning, where both may overlap.
        let cells = Cell::from_mut(self.buffer.as_mut_slice()).as_slice_of_cells();
        let ahead = cells.iter().skip(self.ahead.start).take(self.ahead.len());
        cells
            .iter()
            .zip(ahead)
            .for_each(|(to, from)| to.set(from.get()));
        self.ahead = 0..self.ahead.len();
        if self.buffer.len() < room {
            self.buffer.resize(room, 0, GFP_KERNEL_ACCOUNT)?;
        }
        while self.ahead.end < len {
            let to = self.buffer.get_mut(self.ahead.end..room);
            let read = match self.file.read(to.unwrap_or(&mut [])) {
                Err(e) if e == EAGAIN => self.file.wait().map(|()| None),
                read => read.map(Some),
            };
            match read {
                Ok(Some(0)) => {
                    // Whoever had the file was at its end.
                    let found = core::mem::take(&mut self.ahead).len();
                    return Err(self.checker.truncated(found).into());
                }
                Ok(read) => self.ahead.end = self.ahead.end.saturating_add(read.unwrap_or(0)),
                Err(error) => {
                    return Err(Failure::Io {
                        offset: self.checker.offset().saturating_add(self.ahead.end as u64),
                        error,
                    })
                }
            }
        }
        Ok(())
    }

    /// Gives back what has been read and not been looked at, as far as that can be: of a stream it
    /// is the header behind a record that is refused.
    fn unread(&mut self) {
        let ahead = core::mem::take(&mut self.ahead).len();

        if ahead > 0 && self.file.can_unread() {
            self.file.unread(ahead);
        }
    }
}

impl<T: Transport> Drop for ImageReader<'_, T> {
    fn drop(&mut self) {
        self.unread();
    }
}

/// A run of bulk data, of which all has to be read.
pub(crate) struct BulkReader<'r, 'a, T: Transport> {
    reader: &'r mut ImageReader<'a, T>,
    bulk: Bulk,
    /// CRC-32C of what has been read.
    crc: u32,
    /// How much that is.
    moved: u64,
}

impl<T: Transport> BulkReader<'_, '_, T> {
    /// Returns what the data is.
    pub(crate) fn bulk(&self) -> Bulk {
        self.bulk
    }

    /// Returns where the pages belong, if the data is pages.
    pub(crate) fn extents(&self) -> Extents<'_> {
        Extents::new(&self.reader.extents)
    }

    /// Returns which pages are there already, if the data is nothing but that.
    pub(crate) fn shared_extents(&self) -> SharedExtents<'_> {
        SharedExtents::new(&self.reader.extents)
    }

    /// Fills all of `pages`, without a copy.
    pub(crate) fn read_pages(&mut self, pages: &mut PageBatch) -> Result<(), Failure> {
        let len = pages.bytes();
        let file = self.reader.file;

        self.claim(len)?;
        let moved = move_all(file, len, EPIPE, |at| file.read_pages(pages, at));
        self.moved(len, moved)?;
        self.crc = pages.crc32c(self.crc);
        Ok(())
    }

    /// Fills all of `to`.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> Result<(), Failure> {
        self.claim(to.len())?;
        let moved = read_all(self.reader.file, to);
        self.moved(to.len(), moved)?;
        self.crc = crc32c(self.crc, to);
        Ok(())
    }

    /// Checks that all has been read, and is what was written.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let mut padding = [0; 8];
        let padding = padding
            .get_mut(..self.bulk.padding_len())
            .ok_or(Failure::Other(EINVAL))?;

        if self.moved != self.bulk.len {
            return Err(self.unclaimed());
        }
        let moved = read_all(self.reader.file, padding);
        self.moved(padding.len(), moved)?;
        Ok(self.reader.checker.bulk_done(self.crc, padding)?)
    }

    /// Refuses data that is for nobody, or more of it than there is room for.
    pub(crate) fn unclaimed(&mut self) -> Failure {
        let reason = match self.bulk.kind {
            BulkKind::Pages { .. } => Reason::OutsideMapping {
                start: self.extents().iter().next().map_or(0, |e| e.start),
            },
            BulkKind::Shared { .. } => Reason::OutsideMapping {
                start: self.shared_extents().iter().next().map_or(0, |e| e.start),
            },
            BulkKind::Data { objref, .. } => Reason::WrongObject {
                field: "objref",
                found: objref,
                expected: "pipe or shared memory",
            },
        };
        self.refuse(reason)
    }

    /// Refuses the data for a reason that only its resource can know.
    pub(crate) fn refuse(&mut self, reason: Reason) -> Failure {
        self.reader.checker.refuse_last(reason).into()
    }

    /// Refuses to read more than there is.
    fn claim(&self, len: usize) -> Result {
        match self.moved.checked_add(len as u64) {
            Some(end) if end <= self.bulk.len => Ok(()),
            _ => Err(EINVAL),
        }
    }

    /// Counts what has been read, or says why it has not.
    fn moved(&mut self, len: usize, result: Result<(), (usize, Error)>) -> Result<(), Failure> {
        let checker = &mut self.reader.checker;

        match result {
            Ok(()) => {
                self.moved = self.moved.saturating_add(len as u64);
                Ok(())
            }
            Err((moved, error)) => {
                let found = self.moved.saturating_add(moved as u64);

                Err(if error == EPIPE {
                    Failure::Refused(checker.truncated(found as usize))
                } else {
                    Failure::Io {
                        offset: checker.offset().saturating_add(found),
                        error,
                    }
                })
            }
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_stream)]
mod tests {
    use super::*;
    use crate::image::Task;
    use core::cell::RefCell;

    /// What a scripted file does when it is asked to move something.
    #[derive(Clone, Copy)]
    enum Step {
        /// Moves at most so many bytes.
        Move(usize),
        /// Is not ready.
        Again,
        /// Fails, in a wait if the step before was `Again`.
        Fail(Error),
    }
    use Step::*;

    /// A file that follows a script, and then moves all that it is asked to. What is read comes
    /// from `data`, what is written goes there.
    struct Script<'a> {
        steps: &'a [Step],
        next: Cell<usize>,
        waits: Cell<usize>,
        data: RefCell<KVVec<u8>>,
        position: Cell<usize>,
        /// Whether it can be read again.
        regular: bool,
    }

    impl<'a> Script<'a> {
        fn new(steps: &'a [Step], data: &[u8]) -> Result<Self> {
            let mut copy = KVVec::new();

            copy.extend_from_slice(data, GFP_KERNEL)?;
            Ok(Self {
                steps,
                next: Cell::new(0),
                waits: Cell::new(0),
                data: RefCell::new(copy),
                position: Cell::new(0),
                regular: false,
            })
        }

        /// A file that can be read again.
        fn regular(data: &[u8]) -> Result<Self> {
            let regular = true;

            Self::new(&[], data).map(|file| Self { regular, ..file })
        }

        fn step(&self, len: usize) -> Result<usize> {
            let next = self.next.get();

            self.next.set(next + 1);
            match self.steps.get(next) {
                Some(Move(n)) => Ok(len.min(*n)),
                Some(Again) => Err(EAGAIN),
                Some(Fail(error)) => Err(*error),
                None => Ok(len),
            }
        }
    }

    impl Transport for Script<'_> {
        fn read(&self, to: &mut [u8]) -> Result<usize> {
            let len = self.step(to.len())?;
            let data = self.data.borrow();
            let from = data.get(self.position.get()..).unwrap_or(&[]);
            let len = len.min(from.len());

            for (to, from) in to.iter_mut().zip(from).take(len) {
                *to = *from;
            }
            self.position.set(self.position.get() + len);
            Ok(len)
        }

        fn write(&self, from: &[u8]) -> Result<usize> {
            let len = self.step(from.len())?;

            self.data
                .borrow_mut()
                .extend_from_slice(from.get(..len).unwrap_or(from), GFP_KERNEL)?;
            Ok(len)
        }

        fn read_pages(&self, pages: &mut PageBatch, at: usize) -> Result<usize> {
            let mut copy = KVVec::from_elem(0, pages.bytes() - at, GFP_KERNEL)?;
            let len = self.read(&mut copy)?;

            Ok(pages.copy_from(at, copy.get(..len).unwrap_or(&[])))
        }

        fn write_pages(&self, pages: &PageBatch, at: usize) -> Result<usize> {
            let mut copy = KVVec::from_elem(0, pages.bytes() - at, GFP_KERNEL)?;
            let len = pages.copy_to(at, &mut copy);

            self.write(copy.get(..len).unwrap_or(&[]))
        }

        fn wait(&self) -> Result {
            self.waits.set(self.waits.get() + 1);
            if let Some(Fail(error)) = self.steps.get(self.next.get()) {
                return Err(*error);
            }
            Ok(())
        }

        fn can_unread(&self) -> bool {
            self.regular
        }

        fn unread(&self, len: usize) {
            assert!(self.regular);
            self.position.set(self.position.get() - len);
        }
    }

    /// What a loop returned, what was moved, and how often it waited.
    type Outcome<D> = (Result<(), (usize, Error)>, D, usize);

    fn writes(steps: &[Step]) -> Result<Outcome<KVVec<u8>>> {
        let file = Script::new(steps, &[])?;
        let result = write_all(&file, b"0123456789");

        Ok((result, file.data.take(), file.waits.get()))
    }

    fn reads(steps: &[Step], from: &[u8]) -> Result<Outcome<[u8; 10]>> {
        let file = Script::new(steps, from)?;
        let mut to = [0; 10];
        let result = read_all(&file, &mut to);

        Ok((result, to, file.waits.get()))
    }

    /// One byte at a time, for longer than an image is. Too large for a kernel stack.
    static SINGLE_BYTES: [Step; 1024] = [Move(1); 1024];

    const KERNEL: Kernel<'static> = Kernel {
        version: (7, 3, 4),
        release: b"7.3.4",
        text: b"#1",
        machine: b"x86_64",
        page_size: 4096,
    };

    fn expect() -> Expect<'static> {
        Expect {
            kernel: Some(KERNEL),
            crid: None,
            flags: 0,
        }
    }

    /// Writes a small image through `file`.
    fn write_image(file: &Script<'_>) -> Result<(), Failure> {
        let mut to = ImageWriter::new(file);

        to.record(&crate::image::Head::new(&KERNEL, 1, 0, 7, 9, 1))?;
        to.record(&Task {
            exit_signal: 17,
            task_comm_len: 5,
            pid: 9,
            pgid: 9,
            sid: 9,
            tgid: 9,
            ..Task::default()
        })?;
        to.text(Text::new(b"comm\0").ok_or(EINVAL)?)?;
        to.record(&<crate::image::TaskStats as zerocopy::FromZeros>::new_zeroed())?;
        to.finish()
    }

    /// Reads an image through `file`, and returns how many records it has.
    fn read_image(file: &Script<'_>) -> Result<usize, Failure> {
        let mut from = ImageReader::new(file, expect());
        let mut records = 0;

        while from.next()?.is_some() {
            records += 1;
        }
        Ok(records)
    }

    #[test]
    fn write_goes_on_after_short_writes() -> Result {
        let (result, data, waits) = writes(&[Move(1), Move(3), Move(2)])?;

        assert!(result.is_ok());
        assert_eq!(&data[..], b"0123456789");
        assert_eq!(waits, 0);
        Ok(())
    }

    #[test]
    fn write_waits_once_for_each_eagain() -> Result {
        let (result, data, waits) = writes(&[Again, Move(4), Again, Again, Move(6)])?;

        assert!(result.is_ok());
        assert_eq!(&data[..], b"0123456789");
        assert_eq!(waits, 3);
        Ok(())
    }

    #[test]
    fn write_of_nothing_is_eio() -> Result {
        let (result, data, _) = writes(&[Move(4), Move(0)])?;

        assert!(result == Err((4, EIO)));
        assert_eq!(&data[..], b"0123");
        Ok(())
    }

    #[test]
    fn write_passes_errors_on() -> Result {
        for error in [ENOSPC, EFBIG, EPIPE, EINTR] {
            let (result, data, _) = writes(&[Move(2), Fail(error)])?;

            assert!(result == Err((2, error)));
            assert_eq!(&data[..], b"01");
        }
        Ok(())
    }

    #[test]
    fn write_ends_when_a_wait_is_interrupted() -> Result {
        let (result, data, waits) = writes(&[Move(2), Again, Fail(EINTR)])?;

        assert!(result == Err((2, EINTR)));
        assert_eq!(&data[..], b"01");
        assert_eq!(waits, 1);
        Ok(())
    }

    #[test]
    fn read_goes_on_after_short_reads() -> Result {
        let (result, data, waits) = reads(&[Move(1), Again, Move(3), Move(2)], b"0123456789ab")?;

        assert!(result.is_ok());
        assert_eq!(&data, b"0123456789");
        assert_eq!(waits, 1);
        Ok(())
    }

    #[test]
    fn read_of_an_early_end_is_epipe() -> Result {
        let (result, data, _) = reads(&[Move(3)], b"01234")?;

        assert!(result == Err((5, EPIPE)));
        assert_eq!(&data, b"01234\0\0\0\0\0");
        Ok(())
    }

    #[test]
    fn read_passes_errors_on() -> Result {
        let (result, _, _) = reads(&[Move(3), Fail(EIO)], b"0123456789")?;

        assert!(result == Err((3, EIO)));
        Ok(())
    }

    #[test]
    fn read_ends_when_a_wait_is_interrupted() -> Result {
        let (result, _, _) = reads(&[Again, Fail(EINTR)], b"0123456789")?;

        assert!(result == Err((0, EINTR)));
        Ok(())
    }

    #[test]
    fn image_comes_back_through_single_bytes() -> Result {
        let whole = Script::new(&[], &[])?;
        write_image(&whole).map_err(|f| f.error())?;

        let bytes = Script::new(&SINGLE_BYTES, &[])?;
        write_image(&bytes).map_err(|f| f.error())?;
        assert!(whole.data.borrow()[..] == bytes.data.borrow()[..]);

        let again = Script::new(&SINGLE_BYTES, &bytes.data.borrow())?;
        assert_eq!(read_image(&again).map_err(|f| f.error())?, 5);
        Ok(())
    }

    #[test]
    fn reader_takes_no_byte_behind_the_tail() -> Result {
        for image in [Script::new(&[], &[])?, Script::regular(&[])?] {
            write_image(&image).map_err(|f| f.error())?;
            write_image(&image).map_err(|f| f.error())?;

            assert_eq!(read_image(&image).map_err(|f| f.error())?, 5);
            assert_eq!(image.position.get() * 2, image.data.borrow().len());
            assert_eq!(read_image(&image).map_err(|f| f.error())?, 5);
        }
        Ok(())
    }

    #[test]
    fn reader_reads_a_record_and_the_next_header_at_once() -> Result {
        let stream = Script::new(&[], &[])?;
        write_image(&stream).map_err(|f| f.error())?;
        let regular = Script::regular(&stream.data.borrow())?;

        stream.next.set(0);
        read_image(&stream).map_err(|f| f.error())?;
        // The first header, and five payloads.
        assert_eq!(stream.next.get(), 6);
        read_image(&regular).map_err(|f| f.error())?;
        // All.
        assert_eq!(regular.next.get(), 1);
        Ok(())
    }

    #[test]
    fn truncated_image_is_epipe_at_every_length() -> Result {
        let image = Script::new(&[], &[])?;
        write_image(&image).map_err(|f| f.error())?;
        let bytes = image.data.borrow();

        for len in 0..bytes.len() {
            for cut in [
                Script::new(&[], &bytes[..len])?,
                Script::regular(&bytes[..len])?,
            ] {
                assert!(matches!(
                    read_image(&cut),
                    Err(failure @ Failure::Refused(_)) if failure.error() == EPIPE
                ));
                assert_eq!(cut.position.get(), len);
            }
        }
        Ok(())
    }

    #[test]
    fn changed_image_is_refused_at_every_byte() -> Result {
        let image = Script::new(&[], &[])?;
        write_image(&image).map_err(|f| f.error())?;
        let len = image.data.borrow().len();

        for i in 0..len {
            let changed = Script::new(&[], &image.data.borrow())?;

            changed.data.borrow_mut()[i] ^= 0x10;
            assert!(matches!(read_image(&changed), Err(Failure::Refused(_))));
        }
        Ok(())
    }

    #[test]
    fn writer_reports_where_the_file_failed() -> Result {
        let full = Script::new(&[Move(100), Fail(ENOSPC)], &[])?;

        assert!(matches!(
            write_image(&full),
            Err(Failure::Io { offset: 100, error }) if error == ENOSPC
        ));
        Ok(())
    }
}
