// SPDX-License-Identifier: GPL-2.0

//! Reading an image from a file, a pipe or anything else that can be read.
//!
//! Nothing here reads a byte behind TAIL, so that images may follow one another in a stream.

use std::io;

use zerocopy::FromBytes as _;

use crate::{
    crc32c,
    image::{
        describe,
        pad_len,
        Bulk,
        BulkKind,
        Checker,
        Data,
        Description,
        Expect,
        Head,
        Header,
        Item,
        Kind,
        Pages,
        Reason,
        Refusal,
        Task,
        TaskStats, //
    },
    uapi,
    References, //
};

/// How much of bulk data is read at once.
const CHUNK: usize = 64 * 1024;

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
    /// The bulk data behind it.
    pub bulk: Option<RawBulk>,
}

/// Bulk data as it stands in an image. Its bytes are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBulk {
    /// Bytes from the begin of the image to the header of the record that announces it.
    pub announcement: u64,
    /// What that record says.
    pub bulk: Bulk,
    /// Bytes from the begin of the image to the data.
    pub offset: u64,
    /// CRC-32C of the data.
    pub crc: u32,
    /// What is behind the data up to a multiple of 8; zeros, if the image is valid.
    pub padding: Vec<u8>,
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
    /// Bytes per page, if HEAD says something that makes sense.
    page_size: Option<u32>,
    /// Bulk data that is to come, and the offset of the record which says so.
    announced: Announced,
    /// What ends the image after the record that is returned first.
    error: Option<Error>,
}

/// What of bulk data is to come.
#[derive(Clone, Copy, Debug)]
enum Announced {
    /// None.
    Nothing,
    /// Extents, and then pages.
    Pages(u64, Pages),
    /// Bulk data, as soon as it can begin.
    Bulk(u64, Bulk),
}

impl<R: io::Read> Reader<R> {
    /// Begins to read an image.
    pub fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            done: false,
            page_size: None,
            announced: Announced::Nothing,
            error: None,
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
        if let Some(error) = self.error.take() {
            return Err(error);
        }
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
        let mut record = RawRecord {
            offset,
            header,
            padded,
            bulk: None,
        };
        self.announce(&record);
        match self.bulk() {
            Ok(bulk) => record.bulk = bulk,
            Err(error) => {
                // The record is there all the same.
                self.done = true;
                self.error = Some(error);
            }
        }
        Ok(Some(record))
    }

    /// Notes what a record says of bulk data that comes.
    fn announce(&mut self, record: &RawRecord) {
        let payload = record.payload();
        let before = std::mem::replace(&mut self.announced, Announced::Nothing);
        self.announced = match (record.kind(), self.page_size) {
            (Some(Kind::Head), _) if record.offset == 0 => {
                let head = Head::read_from_bytes(payload).ok();
                self.page_size = head
                    .map(|head| head.page_size)
                    .filter(|page_size| page_size.is_power_of_two());
                Announced::Nothing
            }
            (Some(Kind::Pages), Some(_)) => match Pages::read_from_bytes(payload) {
                // What is over the limit is refused anyway.
                Ok(pages) if pages.nr_pages <= uapi::CR_PAGES_MAX => {
                    Announced::Pages(record.offset, pages)
                }
                _ => Announced::Nothing,
            },
            (Some(Kind::Extents), Some(page_size)) => match before {
                Announced::Pages(offset, pages) => {
                    Announced::Bulk(offset, Bulk::of_pages(&pages, page_size))
                }
                _ => Announced::Nothing,
            },
            (Some(Kind::Data), Some(_)) => match Data::read_from_bytes(payload) {
                Ok(data) if data.len <= uapi::CR_DATA_LEN_MAX.into() => {
                    Announced::Bulk(record.offset, Bulk::of_data(&data))
                }
                _ => Announced::Nothing,
            },
            (Some(Kind::Pad), Some(_)) => match before {
                Announced::Bulk(..) => before,
                _ => Announced::Nothing,
            },
            _ => Announced::Nothing,
        };
    }

    /// Reads the bulk data that has been announced, if it begins here.
    fn bulk(&mut self) -> Result<Option<RawBulk>, Error> {
        let (Announced::Bulk(announcement, bulk), Some(page_size)) =
            (self.announced, self.page_size)
        else {
            return Ok(None);
        };
        if pad_len(self.offset, page_size).is_some() {
            return Ok(None);
        }
        self.announced = Announced::Nothing;

        let offset = self.offset;
        let (found, crc, padding) = read_bulk(&mut self.input, &bulk)?;
        self.offset += found;
        if found < bulk.padded {
            let record = match bulk.kind {
                BulkKind::Pages { .. } => Kind::Pages,
                BulkKind::Data { .. } => Kind::Data,
            };
            return Err(Error::Refused(Refusal {
                offset: announcement,
                record: record.number(),
                reason: Reason::Truncated {
                    found: found as usize,
                    expected: bulk.padded as usize,
                },
            }));
        }
        Ok(Some(RawBulk {
            announcement,
            bulk,
            offset,
            crc,
            padding,
        }))
    }
}

/// Reads bulk data and what is behind it, as far as the input goes. Returns how far that is, the
/// CRC-32C of the data, and what is behind it.
fn read_bulk(input: &mut impl io::Read, bulk: &Bulk) -> io::Result<(u64, u32, Vec<u8>)> {
    let (mut crc, mut left) = (0, bulk.len);
    let mut buffer = vec![0; usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))];
    while left > 0 {
        let len = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let part = &mut buffer[..len];
        let found = fill(input, part)?;
        crc = crc32c(crc, &part[..found]);
        left -= found as u64;
        if found < len {
            return Ok((bulk.len - left, crc, Vec::new()));
        }
    }
    let mut padding = vec![0; bulk.padding_len()];
    let found = fill(input, &mut padding)?;
    Ok((bulk.len + found as u64, crc, padding))
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

/// Makes every check on an image that can be made without the kernel which is to take it, and
/// returns what is in it.
///
/// Errors are in words that the kernel logs, too.
pub fn verify(mut input: impl io::Read, expect: Expect<'_>) -> Result<Summary, Error> {
    let mut checker = Checker::new(expect);
    let mut references = References::new();
    let mut contents = Contents::default();
    let mut buffer = Vec::new();
    while !checker.done() {
        if let Some(bulk) = checker.bulk() {
            let (found, crc, padding) = read_bulk(&mut input, &bulk)?;
            if found < bulk.padded {
                return Err(checker.truncated(found as usize).into());
            }
            checker.bulk_done(crc, &padding)?;
            continue;
        }
        let mut bytes = [0; Header::SIZE];
        read(&mut input, &mut checker, &mut bytes)?;
        let header = checker.header(&bytes)?;
        buffer.resize(header.padded_len(), 0);
        read(&mut input, &mut checker, &mut buffer)?;

        let item = checker.payload(&buffer)?;
        references.take(&item, &mut checker)?;
        contents.take(&item);
    }
    contents.summary(checker.offset()).ok_or(Error::NotAnImage)
}

/// Fills `buffer` with what `checker` asks for.
fn read(
    input: &mut impl io::Read,
    checker: &mut Checker<'_>,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let found = fill(input, buffer)?;
    if found < buffer.len() {
        return Err(checker.truncated(found).into());
    }
    Ok(())
}

/// Gathers what is in an image from its records.
#[derive(Debug, Default)]
struct Contents {
    records: u64,
    head: Option<Head>,
    crc: Option<u32>,
    tasks: Tasks,
    totals: Totals,
}

impl Contents {
    fn take(&mut self, item: &Item<'_>) {
        self.records += 1;
        self.totals.take(item);
        self.tasks.take(item);
        match *item {
            Item::Head(record) => self.head = Some(record),
            Item::Tail(record) => self.crc = Some(record.cksum as u32),
            _ => (),
        }
    }

    /// Returns all of it, if there was a HEAD and a TAIL.
    fn summary(self, bytes: u64) -> Option<Summary> {
        Some(Summary {
            bytes,
            records: self.records,
            head: self.head?,
            tasks: self.tasks.tasks,
            totals: self.totals,
            crc: self.crc?,
        })
    }
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
    /// How much there is of what.
    pub totals: Totals,
    /// CRC-32C of all records but TAIL.
    pub crc: u32,
}

/// How much there is of what in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks.
    pub tasks: u64,
    /// Of these, leaders of their thread group.
    pub processes: u64,
    /// Of these, those that have ended.
    pub zombies: u64,
    /// Address spaces.
    pub spaces: u64,
    /// Open file descriptions.
    pub files: u64,
    /// Pipes.
    pub pipes: u64,
    /// Pieces of shared memory.
    pub shms: u64,
    /// Deleted files and directories.
    pub deleted: u64,
    /// Descriptors.
    pub fds: u64,
    /// Timers of timer_create(2).
    pub timers: u64,
    /// Signals with an action.
    pub actions: u64,
    /// Pending signals.
    pub pending: u64,
    /// Mappings.
    pub mappings: u64,
    /// Bytes of all mappings.
    pub mapped: u64,
    /// Pages whose contents are in the image.
    pub pages: u64,
    /// Contents of objects, in bytes.
    pub data: u64,
}

impl Totals {
    /// Counts a record.
    pub fn take(&mut self, item: &Item<'_>) {
        match item {
            Item::Task(task) => {
                self.tasks += 1;
                self.processes += u64::from(task.is_leader());
                self.zombies += u64::from(!task.is_alive());
            }
            Item::Mm(_) => self.spaces += 1,
            Item::File(_) => self.files += 1,
            Item::Pipe(_) => self.pipes += 1,
            Item::Shm(_) => self.shms += 1,
            Item::Inode(_) => self.deleted += 1,
            Item::Fd(_) => self.fds += 1,
            Item::Timer(_) => self.timers += 1,
            Item::SigAction(_) => self.actions += 1,
            Item::SigInfo(_) => self.pending += 1,
            Item::Vma(vma) => {
                self.mappings += 1;
                self.mapped = self.mapped.saturating_add(vma.len());
            }
            Item::Pages(pages) => self.pages += u64::from(pages.nr_pages),
            Item::Data(data) => self.data = self.data.saturating_add(data.len),
            _ => (),
        }
    }

    /// Returns whether there is a process, not only the name of a task.
    pub fn has_process(&self) -> bool {
        self.spaces > 0
    }
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
    /// Descriptors in the table that it came with.
    pub fds: u64,
    /// Mappings of the address space that it came with.
    pub mappings: u64,
    /// Pages of that address space whose contents are in the image.
    pub pages: u64,
}

/// Gathers what is said of each task.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tasks: Vec<TaskSummary>,
    /// Whether the next text is a comm.
    comm: bool,
}

impl Tasks {
    /// Takes a record into account.
    pub fn take(&mut self, item: &Item<'_>) {
        let comm = std::mem::replace(&mut self.comm, matches!(item, Item::Task(_)));
        if let Item::Pages(pages) = item {
            let index = (pages.task as usize).checked_sub(1);
            if let Some(task) = index.and_then(|index| self.tasks.get_mut(index)) {
                task.pages += u64::from(pages.nr_pages);
            }
            return;
        }
        let last = self.tasks.last_mut();
        match (*item, last) {
            (Item::Task(task), _) => self.tasks.push(TaskSummary {
                task,
                comm: Vec::new(),
                stats: TaskStats::default(),
                fds: 0,
                mappings: 0,
                pages: 0,
            }),
            (Item::Text(text), Some(task)) if comm => {
                task.comm = text.split(|&b| b == 0).next().unwrap_or(text).to_vec();
            }
            (Item::TaskStats(stats), Some(task)) => task.stats = stats,
            (Item::Fd(_), Some(task)) => task.fds += 1,
            (Item::Vma(_), Some(task)) => task.mappings += 1,
            _ => (),
        }
    }

    /// Returns the tasks so far.
    pub fn tasks(&self) -> &[TaskSummary] {
        &self.tasks
    }
}
