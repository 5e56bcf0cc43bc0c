// SPDX-License-Identifier: GPL-2.0

//! Reading an image from a file, a pipe or anything else that can be read.
//!
//! Nothing here reads a byte behind TAIL, so that images may follow one another in a stream.

use std::io;

use crate::{
    image::{
        describe,
        Checker,
        Description,
        Expect,
        Head,
        Header,
        Item,
        Kind,
        Reason,
        Refusal,
        Task,
        TaskStats, //
    },
    uapi,
};

/// Why an image could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error("cannot read the image: {0}")]
    Io(#[from] io::Error),
    /// The first record is not that of an image.
    #[error("not a checkpoint image")]
    NotAnImage,
    /// The kernel would not take this image.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// A record as it stands in an image, valid or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Bytes from the begin of the image to the header.
    pub offset: u64,
    /// The header.
    pub header: Header,
    /// The payload and, after [`Header::payload_len`] bytes, the padding.
    pub padded: Vec<u8>,
}

impl RawRecord {
    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        let len = self.header.payload_len().unwrap_or(0);
        self.padded.get(..len).unwrap_or(&self.padded)
    }

    /// Returns what is between the payload and the next record; zeros, if the image is valid.
    pub fn padding(&self) -> &[u8] {
        self.padded.get(self.payload().len()..).unwrap_or(&[])
    }

    /// Returns the kind of record, [`None`] if it is not known.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.header.kind)
    }

    /// Returns the fields of the payload, as far as it goes, and their values.
    pub fn fields(&self) -> Option<Description<'_>> {
        Some(describe(self.kind()?, self.payload()))
    }
}

/// Walks over the records of an image without judging them.
///
/// An image that restart(2) refuses can be looked at with this. It ends with the first record
/// that is a TAIL, or with an error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    offset: u64,
    done: bool,
}

impl<R: io::Read> Reader<R> {
    /// Begins to read an image.
    pub fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            done: false,
        }
    }

    /// Returns how many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives the stream back: after the last record, it stands right behind the image.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Returns the next record, [`None`] after the last.
    pub fn next_record(&mut self) -> Result<Option<RawRecord>, Error> {
        if self.done {
            return Ok(None);
        }
        // After an error, there is nothing that could be told from noise.
        self.done = true;

        let refused = |offset, record, reason| {
            Err(Error::Refused(Refusal {
                offset,
                record,
                reason,
            }))
        };
        let offset = self.offset;
        let mut bytes = [0; Header::SIZE];
        let expected = bytes.len();
        let found = fill(&mut self.input, &mut bytes)?;
        self.offset += found as u64;
        let header = Header::parse(&bytes);
        if found < expected {
            return refused(offset, 0, Reason::Truncated { found, expected });
        }
        if offset == 0 && header.kind == Kind::Head.number().swap_bytes() {
            return refused(offset, header.kind, Reason::ByteOrder);
        }
        if offset == 0 && header.kind != Kind::Head.number() {
            return Err(Error::NotAnImage);
        }
        if header.payload_len().is_none() {
            let reason = Reason::NegativeLength { found: header.len };
            return refused(offset, header.kind, reason);
        }

        let mut padded = vec![0; header.padded_len()];
        let expected = padded.len();
        let found = fill(&mut self.input, &mut padded)?;
        self.offset += found as u64;
        if found < expected {
            let reason = Reason::Truncated { found, expected };
            return refused(offset, header.kind, reason);
        }
        if offset == 0 && !padded.starts_with(&uapi::CHECKPOINT_MAGIC_HEAD.to_ne_bytes()) {
            return Err(Error::NotAnImage);
        }

        self.done = header.kind == Kind::Tail.number();
        Ok(Some(RawRecord {
            offset,
            header,
            padded,
        }))
    }
}

/// Fills `buffer` as far as the input goes, and returns how far that is.
fn fill(input: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => (),
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

impl<R: io::Read> Iterator for Reader<R> {
    type Item = Result<RawRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

/// Makes every check on an image that restart(2) makes, and returns what is in it.
///
/// Errors are in words that the kernel logs, too.
pub fn verify(mut input: impl io::Read, expect: Expect<'_>) -> Result<Summary, Error> {
    let mut checker = Checker::new(expect);
    let mut read = |checker: &mut Checker<'_>, buffer: &mut [u8]| -> Result<(), Error> {
        let found = fill(&mut input, buffer)?;
        if found < buffer.len() {
            return Err(checker.truncated(found).into());
        }
        Ok(())
    };

    let mut records = 0;
    let (mut head, mut tail) = (None, None);
    let mut tasks: Vec<TaskSummary> = Vec::new();
    let mut buffer = Vec::new();
    while !checker.done() {
        let mut bytes = [0; Header::SIZE];
        read(&mut checker, &mut bytes)?;
        let header = checker.header(&bytes)?;
        buffer.resize(header.padded_len(), 0);
        read(&mut checker, &mut buffer)?;

        records += 1;
        match checker.payload(&buffer)? {
            Item::Head(record) => head = Some(record),
            Item::Task(task) => tasks.push(TaskSummary {
                task,
                comm: Vec::new(),
                stats: TaskStats::default(),
            }),
            Item::Text(text) => {
                if let Some(task) = tasks.last_mut() {
                    task.comm = text.split(|&b| b == 0).next().unwrap_or(text).to_vec();
                }
            }
            Item::TaskStats(stats) => {
                if let Some(task) = tasks.last_mut() {
                    task.stats = stats;
                }
            }
            Item::Tail(record) => tail = Some(record),
        }
    }

    // The checker is not done without both.
    let (Some(head), Some(tail)) = (head, tail) else {
        return Err(Error::NotAnImage);
    };
    Ok(Summary {
        bytes: checker.offset(),
        records,
        head,
        tasks,
        crc: tail.cksum as u32,
    })
}

/// What is in a valid image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the image.
    pub bytes: u64,
    /// Records, with HEAD and TAIL.
    pub records: u64,
    /// The first record.
    pub head: Head,
    /// The tasks, in their order in the image.
    pub tasks: Vec<TaskSummary>,
    /// CRC-32C of all records but TAIL.
    pub crc: u32,
}

/// One task of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// The task.
    pub task: Task,
    /// Its comm, up to the first NUL.
    pub comm: Vec<u8>,
    /// What it has used up.
    pub stats: TaskStats,
}
