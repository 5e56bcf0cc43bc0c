// SPDX-License-Identifier: GPL-2.0

//! The reading side: whether a sequence of records is an image that can be restored.
//!
//! The sequence is a grammar, in [`Place`]:
//!
//! ```text
//! image = HEAD task TAIL
//! task  = TASK STRING TASK_STATS
//! ```
//!
//! The records of all of it are checked before anything is restored, one after the other as they
//! come. A header is judged before its payload is read, so that a reader needs a buffer for one
//! record only.

use zerocopy::IntoBytes;

use super::{
    name_of,
    Context,
    Header,
    Item,
    Kind,
    Reason,
    Refusal, //
};
use crate::crc32c;

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
    /// After HEAD.
    Head,
    /// After a TASK, whose comm has so many bytes.
    Task { comm_len: usize },
    /// After the STRING of a TASK.
    Comm,
    /// After the TASK_STATS of a TASK.
    TaskStats,
    /// After TAIL.
    End,
}

impl Place {
    /// Returns which records may follow.
    const fn expected(self) -> &'static [Kind] {
        match self {
            Place::Begin => &[Kind::Head],
            Place::Head => &[Kind::Task],
            Place::Task { .. } => &[Kind::String],
            Place::Comm => &[Kind::TaskStats],
            Place::TaskStats => &[Kind::Tail],
            Place::End => &[],
        }
    }

    /// Returns the length that the payload of a record which follows must have.
    const fn payload_len(self, kind: Kind) -> Option<usize> {
        match (self, kind.payload_len()) {
            (_, Some(len)) => Some(len as usize),
            (Place::Task { comm_len }, None) => Some(comm_len),
            (_, None) => None,
        }
    }

    /// Returns the place after `item`, which was expected where it stood.
    fn after(item: &Item<'_>) -> Self {
        match item {
            Item::Head(_) => Place::Head,
            Item::Task(task) => Place::Task {
                comm_len: task.comm_len(),
            },
            Item::Text(_) => Place::Comm,
            Item::TaskStats(_) => Place::TaskStats,
            Item::Tail(_) => Place::End,
        }
    }
}

/// What a [`Checker`] waits for.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A header, at this place.
    Header(Place),
    /// The payload behind a header that is as it should be.
    Payload(Kind, Header),
    /// Nothing: the image has been refused.
    Refused(Refusal),
}

/// Checks an image, record by record.
///
/// For each record, a reader reads [`Header::SIZE`] bytes, hands them to [`Self::header`], reads
/// [`Header::padded_len`] bytes more, and hands them to [`Self::payload`], until [`Self::done`].
/// An image that has been refused stays so: every call after that returns the same.
///
/// # Examples
///
/// ```ignore
/// let mut checker = Checker::new(expect);
/// while !checker.done() {
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
    /// CRC-32C of everything up to here.
    crc: u32,
    /// Where the record begins that is being read.
    record: u64,
    /// Where the next bytes to be handed in are.
    offset: u64,
}

impl<'a> Checker<'a> {
    /// Begins to check an image.
    pub const fn new(expect: Expect<'a>) -> Self {
        Self {
            expect,
            step: Step::Header(Place::Begin),
            crc: 0,
            record: 0,
            offset: 0,
        }
    }

    /// Returns whether the image is complete. Nothing more must be read then.
    pub const fn done(&self) -> bool {
        matches!(self.step, Step::Header(Place::End))
    }

    /// Returns how many bytes have been handed in.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Checks the header of the next record.
    pub fn header(&mut self, bytes: &[u8; Header::SIZE]) -> Result<Header, Refusal> {
        let place = match self.step {
            Step::Header(place) => place,
            Step::Payload(_, header) => return Err(self.refuse(header.kind, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        self.record = self.offset;
        self.advance(bytes.len());
        let header = Header::parse(bytes);
        match check_header(place, &header) {
            Ok(kind) => {
                self.step = Step::Payload(kind, header);
                Ok(header)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Checks the payload behind the last header, and the padding behind that.
    ///
    /// `padded` has [`Header::padded_len`] bytes.
    pub fn payload<'p>(&mut self, padded: &'p [u8]) -> Result<Item<'p>, Refusal> {
        let (kind, header) = match self.step {
            Step::Payload(kind, header) => (kind, header),
            Step::Header(_) => return Err(self.refuse(0, Reason::Protocol)),
            Step::Refused(refusal) => return Err(refusal),
        };

        self.advance(padded.len());
        match self.check_payload(kind, &header, padded) {
            Ok(item) => {
                self.crc = crc32c(crc32c(self.crc, header.as_bytes()), padded);
                self.step = Step::Header(Place::after(&item));
                Ok(item)
            }
            Err(reason) => Err(self.refuse(header.kind, reason)),
        }
    }

    /// Refuses the image because it ends after `found` of the bytes that were to be read next.
    pub fn truncated(&mut self, found: usize) -> Refusal {
        let (record, expected) = match self.step {
            Step::Header(_) => {
                self.record = self.offset;
                (0, Header::SIZE)
            }
            Step::Payload(_, header) => (header.kind, header.padded_len()),
            Step::Refused(refusal) => return refusal,
        };
        self.refuse(record, Reason::Truncated { found, expected })
    }

    fn check_payload<'p>(
        &self,
        kind: Kind,
        header: &Header,
        padded: &'p [u8],
    ) -> Result<Item<'p>, Reason> {
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
        let context = Context {
            expect: &self.expect,
            crc: self.crc,
        };
        Item::decode(kind, payload, &context)
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
            _ if name_of(header.kind).is_some() => Reason::Unsupported,
            _ => Reason::UnknownType,
        });
    };

    let expected = place.expected();
    if !expected.contains(&kind) {
        return Err(Reason::Order { expected });
    }
    // No record of this revision belongs to an object with a number.
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
