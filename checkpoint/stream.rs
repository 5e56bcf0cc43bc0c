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

use core::fmt;

use kernel::{
    alloc::AllocError,
    fs::rw::StreamFile,
    page::PAGE_SIZE,
    prelude::*,
    uts::{
        linux_version,
        UtsName, //
    }, //
};

use crate::image::{
    Checker,
    Encoder,
    Errno,
    Expect,
    Header,
    Item,
    Kernel,
    Record,
    Refusal,
    Text, //
};

/// Bytes of records that are gathered before they are written.
const BUFFER: usize = 64 * 1024;

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

    /// Sleeps until the next transfer is worth a try; `EINTR` on a fatal signal.
    fn wait(&self) -> Result;
}

impl Transport for StreamFile {
    fn read(&self, to: &mut [u8]) -> Result<usize> {
        StreamFile::read(self, to)
    }

    fn write(&self, from: &[u8]) -> Result<usize> {
        StreamFile::write(self, from)
    }

    fn wait(&self) -> Result {
        StreamFile::wait(self)
    }
}

/// Writes all of `from`. An error comes with the number of bytes that were written before it.
pub(crate) fn write_all<T: Transport>(file: &T, from: &[u8]) -> Result<(), (usize, Error)> {
    let mut moved = 0;

    while let Some(rest) = from.get(moved..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((moved, EIO)),
            Ok(n) => moved = moved.saturating_add(n),
            Err(e) if e == EAGAIN => file.wait().map_err(|e| (moved, e))?,
            Err(e) => return Err((moved, e)),
        }
    }
    Ok(())
}

/// Fills all of `to`. An error comes with the number of bytes that were read before it.
pub(crate) fn read_all<T: Transport>(file: &T, to: &mut [u8]) -> Result<(), (usize, Error)> {
    let mut moved = 0;

    while let Some(rest) = to.get_mut(moved..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => return Err((moved, EPIPE)),
            Ok(n) => moved = moved.saturating_add(n),
            Err(e) if e == EAGAIN => file.wait().map_err(|e| (moved, e))?,
            Err(e) => return Err((moved, e)),
        }
    }
    Ok(())
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
}

impl Failure {
    /// Returns the errno that the system call answers.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Io { error, .. } | Self::Other(error) => *error,
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
            Self::Other(error) => write!(f, "{error:?}"),
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

    fn flush_above(&mut self, limit: usize) -> Result<(), Failure> {
        if self.buffer.len() <= limit {
            return Ok(());
        }
        write_all(self.file, &self.buffer).map_err(|(moved, error)| Failure::Io {
            offset: self.written.saturating_add(moved as u64),
            error,
        })?;
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
/// Reads no byte behind the last record. The memory it takes is bounded by the longest record.
pub(crate) struct ImageReader<'a, T: Transport> {
    file: &'a T,
    checker: Checker<'a>,
    /// The payload of one record, and its padding.
    payload: KVVec<u8>,
}

impl<'a, T: Transport> ImageReader<'a, T> {
    /// Begins to read at the position of `file` what `expect` is asked of.
    pub(crate) fn new(file: &'a T, expect: Expect<'a>) -> Self {
        Self {
            file,
            checker: Checker::new(expect),
            payload: KVVec::new(),
        }
    }

    /// Reads the next record; `None` behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, Failure> {
        if self.checker.done() {
            return Ok(None);
        }
        let mut header = [0; Header::SIZE];
        fill(self.file, &mut self.checker, &mut header)?;
        let header = self.checker.header(&header)?;

        self.payload
            .resize(header.padded_len(), 0, GFP_KERNEL_ACCOUNT)?;
        fill(self.file, &mut self.checker, &mut self.payload)?;
        Ok(Some(self.checker.payload(&self.payload)?))
    }
}

/// Fills `to` with what `checker` asks for.
fn fill<T: Transport>(file: &T, checker: &mut Checker<'_>, to: &mut [u8]) -> Result<(), Failure> {
    read_all(file, to).map_err(|(moved, error)| {
        if error == EPIPE {
            Failure::Refused(checker.truncated(moved))
        } else {
            Failure::Io {
                offset: checker.offset().saturating_add(moved as u64),
                error,
            }
        }
    })
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_stream)]
mod tests {
    use super::*;
    use crate::image::Task;
    use core::cell::{
        Cell,
        RefCell, //
    };

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
            })
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

        fn wait(&self) -> Result {
            self.waits.set(self.waits.get() + 1);
            if let Some(Fail(error)) = self.steps.get(self.next.get()) {
                return Err(*error);
            }
            Ok(())
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

        to.record(&crate::image::Head::new(&KERNEL, 1, 0, 7))?;
        to.record(&Task {
            state: 0,
            exit_state: 0,
            exit_code: 0,
            exit_signal: 17,
            task_comm_len: 5,
            reserved: 0,
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
        let image = Script::new(&[], &[])?;
        write_image(&image).map_err(|f| f.error())?;
        write_image(&image).map_err(|f| f.error())?;

        assert_eq!(read_image(&image).map_err(|f| f.error())?, 5);
        assert_eq!(image.position.get() * 2, image.data.borrow().len());
        assert_eq!(read_image(&image).map_err(|f| f.error())?, 5);
        Ok(())
    }

    #[test]
    fn truncated_image_is_epipe_at_every_length() -> Result {
        let image = Script::new(&[], &[])?;
        write_image(&image).map_err(|f| f.error())?;
        let bytes = image.data.borrow();

        for len in 0..bytes.len() {
            let cut = Script::new(&[], &bytes[..len])?;

            assert!(matches!(
                read_image(&cut),
                Err(failure @ Failure::Refused(_)) if failure.error() == EPIPE
            ));
            assert_eq!(cut.position.get(), len);
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
