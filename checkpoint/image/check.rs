// SPDX-License-Identifier: GPL-2.0

//! The reading side: whether a sequence of records is an image that can be restored.
//!
//! The sequence is a grammar, in [`Place`]:
//!
//! ```text
//! image   = HEAD object* task bulk* TAIL
//! object  = PIPE | SHM [STRING] | FILE [STRING] [TTY]
//! task    = TASK STRING TASK_STATS [process]
//! process = CREDS [GROUPS] THREAD CPU XSTATE
//!           SIGNALS SIGACTION{nr_actions} SIGINFO{nr_pending}
//!           FS FILES FD{count} LOCK{nr_locks}
//!           MM MM_CONTEXT AUXV (VMA [STRING]){nr_vmas}
//! bulk    = PAGES EXTENTS [PAD] pages | DATA [PAD] bytes zeros
//! ```
//!
//! Without a process, there are no objects and there is no bulk data. The records of all of it are
//! checked before anything is restored, one after the other as they come. A header is judged before
//! its payload is read, so that a reader needs a buffer for one record only.
//!
//! What is left to the reader, because it takes memory of all that was before: whether a reference
//! is to the right kind of object, whether data is within the object, and whether extents are
//! within mappings.

use zerocopy::IntoBytes;

use super::{
    bulk::pad_len,
    creds::NO_ID,
    u32s,
    Bulk,
    Context,
    Header,
    Item,
    Kind,
    Lock,
    Pages,
    Reason,
    Refusal, //
};
use crate::{
    crc32c,
    uapi, //
};

/// The kernel that an image has to be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel<'a> {
    /// Major, minor and patch: (7, 3, 4) of 7.3.4.
    pub version: (u16, u16, u16),
    /// utsname release. This and the next two are taken up to their first NUL.
    pub release: &'a [u8],
    /// utsname version.
    pub text: &'a [u8],
    /// utsname machine.
    pub machine: &'a [u8],
    /// Bytes per page.
    pub page_size: u32,
}

/// What a reader demands of an image, besides that it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect<'a> {
    /// The kernel that wrote it, [`None`] if any will do.
    pub kernel: Option<Kernel<'a>>,
    /// The id that checkpoint(2) returned, [`None`] if any will do.
    pub crid: Option<i32>,
    /// The flags of checkpoint(2) that the reader takes.
    pub flags: u64,
}

/// Between which records of the grammar a reader is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the first record.
    Begin,
    /// After HEAD, or after an object.
    Object,
    /// After a FILE whose path has so many bytes.
    File { path_len: usize, tty: bool },
    /// After a FILE that is a terminal, and its path.
    Terminal,
    /// After a SHM whose name has so many bytes.
    Shm { name_len: usize },
    /// After a TASK, whose comm has so many bytes.
    Task { comm_len: usize },
    /// After the STRING of a TASK.
    Comm,
    /// After the TASK_STATS of a TASK. Objects are there for a process only.
    TaskStats { objects: bool },
    /// After CREDS, with groups of so many bytes.
    Creds { groups_len: usize },
    /// After credentials.
    Groups,
    /// After THREAD.
    Thread { xstate_len: usize },
    /// After CPU.
    Cpu { xstate_len: usize },
    /// After XSTATE.
    XState,
    /// Among SIGACTION, and before so many SIGINFO.
    Actions { left: u32, pending: u32 },
    /// Among SIGINFO.
    Pending { left: u32 },
    /// After signals.
    Signals,
    /// After FS.
    Fs,
    /// Among FD, and before so many LOCK.
    Fds { left: u32, locks: u32 },
    /// Among LOCK.
    Locks { left: u32 },
    /// After descriptors and locks.
    Files,
    /// After MM.
    Mm { auxv_len: usize, vmas: u32 },
    /// After MM_CONTEXT.
    MmContext { auxv_len: usize, vmas: u32 },
    /// Among VMA.
    Vmas { left: u32 },
    /// After a VMA whose name has so many bytes.
    VmaName { name_len: usize, left: u32 },
    /// After a process, or after bulk data.
    Process,
    /// After PAGES.
    Pages(Pages),
    /// Before bulk data, but not where it can begin.
    Gap { bulk: Bulk, pad_len: usize },
    /// Before bulk data.
    Bulk(Bulk),
    /// After TAIL.
    End,
}

impl Place {
    /// Returns which records may follow.
    const fn expected(self) -> &'static [Kind] {
        match self {
            Place::Begin => &[Kind::Head],
            Place::Object => &[Kind::Task, Kind::Pipe, Kind::Shm, Kind::File],
            Place::File { .. } | Place::Shm { .. } | Place::Task { .. } | Place::VmaName { .. } => {
                &[Kind::String]
            }
            Place::Terminal => &[Kind::Tty],
            Place::Comm => &[Kind::TaskStats],
            Place::TaskStats { objects: false } => &[Kind::Creds, Kind::Tail],
            Place::TaskStats { objects: true } => &[Kind::Creds],
            Place::Creds { .. } => &[Kind::Groups],
            Place::Groups => &[Kind::Thread],
            Place::Thread { .. } => &[Kind::Cpu],
            Place::Cpu { .. } => &[Kind::XState],
            Place::XState => &[Kind::Signals],
            Place::Actions { .. } => &[Kind::SigAction],
            Place::Pending { .. } => &[Kind::SigInfo],
            Place::Signals => &[Kind::Fs],
            Place::Fs => &[Kind::Files],
            Place::Fds { .. } => &[Kind::Fd],
            Place::Locks { .. } => &[Kind::Lock],
            Place::Files => &[Kind::Mm],
            Place::Mm { .. } => &[Kind::MmContext],
            Place::MmContext { .. } => &[Kind::Auxv],
            Place::Vmas { .. } => &[Kind::Vma],
            Place::Process => &[Kind::Pages, Kind::Data, Kind::Tail],
            Place::Pages(_) => &[Kind::Extents],
            Place::Gap { .. } => &[Kind::Pad],
            Place::Bulk(_) | Place::End => &[],
        }
    }

    /// Returns the length that the payload of a record which follows must have.
    fn payload_len(self, kind: Kind) -> Option<usize> {
        if let Some(len) = kind.payload_len() {
            return Some(len.into());
        }
        match self {
            Place::File { path_len: len, .. }
            | Place::Shm { name_len: len }
            | Place::Task { comm_len: len }
            | Place::Creds { groups_len: len }
            | Place::Cpu { xstate_len: len }
            | Place::MmContext { auxv_len: len, .. }
            | Place::VmaName { name_len: len, .. }
            | Place::Gap { pad_len: len, .. } => Some(len),
            Place::Pages(pages) => Some(pages.extents_len()),
            _ => None,
        }
    }

    /// Returns the place after a FILE.
    const fn file(path_len: usize, tty: bool) -> Self {
        match (path_len, tty) {
            (0, false) => Place::Object,
            (0, true) => Place::Terminal,
            _ => Place::File { path_len, tty },
        }
    }

    /// Returns the place where so many SIGACTION and SIGINFO are to come.
    const fn signals(actions: u32, pending: u32) -> Self {
        match (actions, pending) {
            (0, 0) => Place::Signals,
            (0, left) => Place::Pending { left },
            (left, pending) => Place::Actions { left, pending },
        }
    }

    /// Returns the place where so many FD and LOCK are to come.
    const fn files(fds: u32, locks: u32) -> Self {
        match (fds, locks) {
            (0, 0) => Place::Files,
            (0, left) => Place::Locks { left },
            (left, locks) => Place::Fds { left, locks },
        }
    }

    /// Returns the place where so many VMA are to come.
    const fn vmas(left: u32) -> Self {
        match left {
            0 => Place::Process,
            left => Place::Vmas { left },
        }
    }
}

/// What a reader has to remember of the records before.
#[derive(Clone, Copy, Debug)]
struct Before {
    /// Bytes per page, as HEAD has it.
    page_size: u32,
    /// Pid of the first task, as HEAD has it.
    pid: i32,
    /// How many objects there are.
    objects: u32,
    /// The last signal with an action.
    signal: u32,
    /// The last descriptor.
    fd: i32,
    /// What has the last lock, of which kind that is, and its last byte.
    lock: (u32, u32, i64),
    /// Where the last mapping ends.
    vma_end: u64,
    /// Where the last extent ends.
    extent_end: u64,
    /// The object that the last data is of, and where in it that ends.
    data_end: (u32, u64),
}

impl Before {
    /// Nothing is before the first record.
    const NOTHING: Self = Self {
        page_size: 1,
        pid: 0,
        objects: 0,
        signal: 0,
        fd: -1,
        lock: (0, 0, -1),
        vma_end: 0,
        extent_end: 0,
        data_end: (0, 0),
    };

    /// Holds `item`, which may stand at `place`, against what was before it, and remembers of it
    /// what is of importance for those that come. `end` is where the record ends.
    ///
    /// Returns the place after it.
    fn follow(
        &mut self,
        place: Place,
        item: &Item<'_>,
        context: &Context<'_>,
        end: u64,
    ) -> Result<Place, Reason> {
        Ok(match *item {
            Item::Head(head) => {
                self.page_size = head.page_size;
                self.pid = head.pid;
                Place::Object
            }
            Item::Pipe(pipe) => {
                self.objects = pipe.objref;
                Place::Object
            }
            Item::Shm(shm) => {
                self.objects = shm.objref;
                match shm.name_len() {
                    0 => Place::Object,
                    name_len => Place::Shm { name_len },
                }
            }
            Item::File(file) => {
                self.objects = file.objref;
                Place::file(file.path_len(), file.kind == uapi::CR_FILE_TTY)
            }
            Item::Tty(_) => Place::Object,
            Item::Text(text) => after_text(place, text)?,
            Item::Task(task) => {
                Reason::unless_equal("pid", task.pid, self.pid)?;
                Place::Task {
                    comm_len: task.comm_len(),
                }
            }
            Item::TaskStats(_) => Place::TaskStats {
                objects: self.objects > 0,
            },

            Item::Creds(creds) => match creds.groups_len() {
                0 => Place::Groups,
                groups_len => Place::Creds { groups_len },
            },
            Item::Groups(groups) => {
                if u32s(groups).any(|group| group == NO_ID) {
                    return Err(Reason::NoId { field: "group" });
                }
                Place::Groups
            }
            Item::Thread(thread) => Place::Thread {
                xstate_len: thread.xstate_len(),
            },
            Item::Cpu(_) => match place {
                Place::Thread { xstate_len } => Place::Cpu { xstate_len },
                _ => return Err(Reason::Protocol),
            },
            Item::XState(_) => Place::XState,

            Item::Signals(signals) => Place::signals(signals.nr_actions, signals.nr_pending),
            Item::SigAction(action) => {
                let next = self.signal.saturating_add(1);
                Reason::unless_in("signal", action.signal, next, i64::MAX)?;
                self.signal = action.signal;
                match place {
                    Place::Actions { left, pending } => {
                        Place::signals(left.saturating_sub(1), pending)
                    }
                    _ => return Err(Reason::Protocol),
                }
            }
            Item::SigInfo(_) => match place {
                Place::Pending { left } => Place::signals(0, left.saturating_sub(1)),
                _ => return Err(Reason::Protocol),
            },

            Item::Fs(_) => Place::Fs,
            Item::Files(files) => Place::files(files.count, files.nr_locks),
            Item::Fd(fd) => {
                let next = i64::from(self.fd).saturating_add(1);
                Reason::unless_in("fd", fd.fd, next, i64::MAX)?;
                self.fd = fd.fd;
                match place {
                    Place::Fds { left, locks } => Place::files(left.saturating_sub(1), locks),
                    _ => return Err(Reason::Protocol),
                }
            }
            Item::Lock(lock) => {
                self.lock(&lock)?;
                match place {
                    Place::Locks { left } => Place::files(0, left.saturating_sub(1)),
                    _ => return Err(Reason::Protocol),
                }
            }

            Item::Mm(mm) => Place::Mm {
                auxv_len: mm.auxv_len(),
                vmas: mm.nr_vmas,
            },
            Item::MmContext(_) => match place {
                Place::Mm { auxv_len, vmas } => Place::MmContext { auxv_len, vmas },
                _ => return Err(Reason::Protocol),
            },
            Item::Auxv(_) => match place {
                Place::MmContext { vmas, .. } => Place::vmas(vmas),
                _ => return Err(Reason::Protocol),
            },
            Item::Vma(vma) => {
                Reason::unless_not_below("start", vma.start, self.vma_end)?;
                self.vma_end = vma.end;
                let Place::Vmas { left } = place else {
                    return Err(Reason::Protocol);
                };
                let left = left.saturating_sub(1);
                match vma.name_len() {
                    0 => Place::vmas(left),
                    name_len => Place::VmaName { name_len, left },
                }
            }

            Item::Pages(pages) => Place::Pages(pages),
            Item::Extents(extents) => {
                let Place::Pages(pages) = place else {
                    return Err(Reason::Protocol);
                };
                self.extent_end = extents.check(&pages, self.extent_end, context)?;
                self.announced(Bulk::of_pages(&pages, self.page_size), end)
            }
            Item::Data(data) => {
                // Objects in their order, and in each from front to back.
                let (objref, data_end) = self.data_end;
                Reason::unless_in("objref", data.objref, objref, i64::MAX)?;
                if data.objref == objref {
                    Reason::unless_not_below("offset", data.offset, data_end)?;
                }
                self.data_end = (data.objref, data.offset.saturating_add(data.len));
                self.announced(Bulk::of_data(&data), end)
            }
            Item::Pad(_) => match place {
                Place::Gap { bulk, .. } => self.announced(bulk, end),
                _ => return Err(Reason::Protocol),
            },

            Item::Tail(_) => Place::End,
        })
    }

    /// Holds a lock against the one before it, and remembers it.
    fn lock(&mut self, lock: &Lock) -> Result<(), Reason> {
        let (objref, kind, end) = self.lock;

        Reason::unless_in("objref", lock.objref, objref, i64::MAX)?;
        if lock.objref == objref {
            Reason::unless_in("kind", lock.kind, kind, i64::MAX)?;
            if lock.kind == kind {
                // Nothing is behind the last byte that there can be.
                let next = end.checked_add(1).ok_or(Reason::OverLimit {
                    field: "start",
                    found: lock.start,
                    limit: -1,
                })?;
                Reason::unless_in("start", lock.start, next, i64::MAX)?;
            }
        }
        self.lock = (lock.objref, lock.kind, lock.end);
        Ok(())
    }

    /// Returns the place at `offset` after what announces `bulk`.
    fn announced(&self, bulk: Bulk, offset: u64) -> Place {
        match pad_len(offset, self.page_size) {
            Some(pad_len) => Place::Gap { bulk, pad_len },
            None => Place::Bulk(bulk),
        }
    }
}

/// Checks the text of a STRING that stands at `place`, and returns the place after it.
fn after_text(place: Place, text: &[u8]) -> Result<Place, Reason> {
    let after = match place {
        // The comm of a task is as long as its buffer.
        Place::Task { .. } => return Ok(Place::Comm),
        Place::File { tty, .. } => {
            if !text.starts_with(b"/") {
                return Err(Reason::RelativePath);
            }
            Place::file(0, tty)
        }
        Place::Shm { .. } => Place::Object,
        Place::VmaName { left, .. } => Place::vmas(left),
        _ => return Err(Reason::Protocol),
    };
    if text.contains(&0) {
        return Err(Reason::NulInText);
    }
    Ok(after)
}

/// What a [`Checker`] waits for.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A header, at this place. Bulk data, if the place is before that.
    Header(Place),
    /// The payload behind a header that is as it should be.
    Payload(Place, Kind, Header),
    /// Nothing: the image has been refused.
    Refused(Refusal),
}

/// Checks an image, record by record.
///
/// For each record, a reader reads [`Header::SIZE`] bytes, hands them to [`Self::header`], reads
/// [`Header::padded_len`] bytes more, and hands them to [`Self::payload`], until [`Self::done`].
/// Where [`Self::bulk`] tells that bulk data comes next, a reader reads that, in pieces of any size,
/// and tells its checksum in [`Self::bulk_done`].
///
/// An image that has been refused stays so: every call after that returns the same.
///
/// # Examples
///
/// ```ignore
/// let mut checker = Checker::new(expect);
/// while !checker.done() {
///     if let Some(bulk) = checker.bulk() {
///         let crc = crc32c(0, read(bulk.len)?);
///         checker.bulk_done(crc, read(bulk.padding_len())?)?;
///         continue;
///     }
///     let header = checker.header(&read_header()?)?;
///     match checker.payload(read(header.padded_len())?)? {
///         Item::Task(task) => ...,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Checker<'a> {
    expect: Expect<'a>,
    step: Step,
    before: Before,
    /// CRC-32C of everything up to here, bulk data left out.
    crc: u32,
    /// Where the record begins that is being read, or was read last, and what its type is.
    record: u64,
    kind: i16,
    /// Where the last record begins that announces bulk data, and what it is.
    announcement: (u64, Kind),
    /// Where the next bytes to be handed in are.
    offset: u64,
}

impl<'a> Checker<'a> {
    /// Begins to check an image.
    pub const fn new(expect: Expect<'a>) -> Self {
        Self {
            expect,
            step: Step::Header(Place::Begin),
            before: Before::NOTHING,
            crc: 0,
            record: 0,
            kind: 0,
            announcement: (0, Kind::Data),
            offset: 0,
        }
    }

    /// Returns whether the image is complete. Nothing more must be read then.
    pub const fn done(&self) -> bool {
        matches!(self.step, Step::Header(Place::End))
    }

    /// Returns how many bytes have been handed in. Bulk data counts as a whole, when it is done.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the bulk data that comes next, [`None`] if a record does.
    pub const fn bulk(&self) -> Option<Bulk> {
        match self.step {
            Step::Header(Place::Bulk(bulk)) => Some(bulk),
            _ => None,
        }
    }

    /// Checks the header of the next record.
    pub fn header(&mut self, bytes: &[u8; Header::SIZE]) -> Result<Header, Refusal> {
        let place = match self.step {
            Step::Header(Place::Bulk(_)) => return Err(self.refuse_bulk(Reason::Protocol)),
            Step::Header(place) => place,
            Step::Payload(_, _, header) => {
                return Err(self.refuse(header.kind, Reason::Protocol));
            }
            Step::Refused(refusal) => return Err(refusal),
        };

        self.record = self.offset;
        self.advance(bytes.len());
        let header = Header::parse(bytes);
        self.kind = header.kind;
        match check_header(place, &header) {
            Ok(kind) => {
                self.step = Step::Payload(place, kind, header);
                Ok(header)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Checks the payload behind the last header, and the padding behind that.
    ///
    /// `padded` has [`Header::padded_len`] bytes.
    pub fn payload<'p>(&mut self, padded: &'p [u8]) -> Result<Item<'p>, Refusal> {
        let (place, kind, header) = match self.step {
            Step::Payload(place, kind, header) => (place, kind, header),
            Step::Header(Place::Bulk(_)) => return Err(self.refuse_bulk(Reason::Protocol)),
            Step::Header(_) => return Err(self.refuse(0, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        self.advance(padded.len());
        match self.check_payload(place, kind, &header, padded) {
            Ok((item, place)) => {
                if matches!(kind, Kind::Pages | Kind::Data) {
                    self.announcement = (self.record, kind);
                }
                self.crc = crc32c(crc32c(self.crc, header.as_bytes()), padded);
                self.step = Step::Header(place);
                Ok(item)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Checks the bulk data that [`Self::bulk`] has told of, after all of it has been read.
    ///
    /// `crc` is the CRC-32C of the first [`Bulk::len`] bytes; `padding` are the
    /// [`Bulk::padding_len`] bytes behind them.
    pub fn bulk_done(&mut self, crc: u32, padding: &[u8]) -> Result<(), Refusal> {
        let bulk = match self.step {
            Step::Header(Place::Bulk(bulk)) => bulk,
            Step::Payload(_, _, header) => {
                return Err(self.refuse(header.kind, Reason::Protocol));
            }
            Step::Header(_) => return Err(self.refuse(0, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        if padding.len() != bulk.padding_len() {
            return Err(self.refuse_bulk(Reason::Protocol));
        }
        if padding.iter().any(|&byte| byte != 0) {
            return Err(self.refuse_bulk(Reason::Padding));
        }
        if crc != bulk.crc {
            return Err(self.refuse_bulk(Reason::BulkChecksum {
                found: bulk.crc,
                computed: crc,
            }));
        }
        self.offset = self.offset.saturating_add(bulk.padded);
        self.step = Step::Header(Place::Process);
        Ok(())
    }

    /// Refuses the image because it ends after `found` of the bytes that were to be read next: a
    /// header, a payload, or bulk data from its begin on.
    pub fn truncated(&mut self, found: usize) -> Refusal {
        let (record, expected) = match self.step {
            Step::Header(Place::Bulk(bulk)) => {
                let expected = usize::try_from(bulk.padded).unwrap_or(usize::MAX);
                return self.refuse_bulk(Reason::Truncated { found, expected });
            }
            Step::Header(_) => {
                self.record = self.offset;
                (0, Header::SIZE)
            }
            Step::Payload(_, _, header) => (header.kind, header.padded_len()),
            Step::Refused(refusal) => return refusal,
        };
        self.refuse(record, Reason::Truncated { found, expected })
    }

    /// Refuses the record that [`Self::payload`] returned last, for a reason that only the reader
    /// can find: see the head of this file.
    pub fn refuse_last(&mut self, reason: Reason) -> Refusal {
        match self.step {
            Step::Refused(refusal) => refusal,
            // What announced the data, not the padding before it.
            Step::Header(Place::Bulk(_)) => self.refuse_bulk(reason),
            _ => self.refuse(self.kind, reason),
        }
    }

    /// Refuses the record that announces the bulk data which comes next.
    fn refuse_bulk(&mut self, reason: Reason) -> Refusal {
        let (record, kind) = self.announcement;
        self.record = record;
        self.refuse(kind.number(), reason)
    }

    fn check_payload<'p>(
        &mut self,
        place: Place,
        kind: Kind,
        header: &Header,
        padded: &'p [u8],
    ) -> Result<(Item<'p>, Place), Reason> {
        if padded.len() != header.padded_len() {
            return Err(Reason::Protocol);
        }
        let (payload, padding) = header
            .payload_len()
            .and_then(|len| padded.split_at_checked(len))
            .ok_or(Reason::Protocol)?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(Reason::Padding);
        }
        if kind == Kind::Pad && payload.iter().any(|&byte| byte != 0) {
            return Err(Reason::Padding);
        }
        let context = Context {
            expect: &self.expect,
            crc: self.crc,
            page_size: self.before.page_size,
            objects: self.before.objects,
        };
        let item = Item::decode(kind, payload, &context)?;
        let place = self.before.follow(place, &item, &context, self.offset)?;
        Ok((item, place))
    }

    fn advance(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    fn refuse(&mut self, record: i16, reason: Reason) -> Refusal {
        let refusal = Refusal {
            offset: self.record,
            record,
            reason,
        };
        self.step = Step::Refused(refusal);
        refusal
    }
}

/// Returns which record begins with `header`, if it may stand at `place`.
fn check_header(place: Place, header: &Header) -> Result<Kind, Reason> {
    let Some(kind) = Kind::from_number(header.kind) else {
        let swapped = Kind::from_number(header.kind.swap_bytes());
        return Err(match (place, swapped) {
            (Place::Begin, Some(Kind::Head)) => Reason::ByteOrder,
            _ => Reason::UnknownType,
        });
    };

    let expected = place.expected();
    if !expected.contains(&kind) {
        return Err(Reason::Order { expected });
    }
    // What a record belongs to is told by its place.
    if header.parent != 0 {
        return Err(Reason::Parent {
            found: header.parent,
        });
    }
    let found = header
        .payload_len()
        .ok_or(Reason::NegativeLength { found: header.len })?;
    match place.payload_len(kind) {
        Some(expected) if expected != found => Err(Reason::Length { found, expected }),
        _ => Ok(kind),
    }
}
