// SPDX-License-Identifier: GPL-2.0

//! Why an image is not taken, in words for the log and as an errno.
//!
//! What is printed comes from a hostile image. So text is escaped, and all else is a number or is
//! known to this file.

use core::fmt;

use super::{
    name_of,
    record::USER_END,
    Kind,
    UtsText, //
};

/// The errors that an image can be refused with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// `EINVAL`: the image is not valid, or not for this kernel.
    Inval,
    /// `EPIPE`: the image ends too early.
    Pipe,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The stream ended within a header or a payload.
    Truncated {
        /// Bytes that there were.
        found: usize,
        /// Bytes that there should have been.
        expected: usize,
    },
    /// The first record is that of a machine with another byte order.
    ByteOrder,
    /// The number of the record type stands for nothing.
    UnknownType,
    /// This record type cannot stand here.
    Order {
        /// Those that can.
        expected: &'static [Kind],
    },
    /// The record belongs to an object that there is not.
    Parent {
        /// Number of the object.
        found: u32,
    },
    /// The length in the header is negative.
    NegativeLength {
        /// That length.
        found: i16,
    },
    /// The payload is not as long as it has to be.
    Length {
        /// Bytes that the header announces.
        found: usize,
        /// Bytes that this record has.
        expected: usize,
    },
    /// There is something else than zeros behind the payload.
    Padding,
    /// A field that should be 0 is not.
    Reserved {
        /// Its name.
        field: &'static str,
    },
    /// The magic number is another.
    Magic {
        /// Number in the image.
        found: u64,
        /// Number that it has to be.
        expected: u64,
    },
    /// Flags that the reader does not know, or does not take.
    Flags {
        /// Just those.
        unknown: u64,
    },
    /// The size of a page is not a power of two.
    PageSize {
        /// Bytes per page.
        found: u32,
    },
    /// A text field goes on after its first NUL.
    TextPadding {
        /// Its name.
        field: &'static str,
    },
    /// A number is not what it has to be.
    NotEqual {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: i64,
        /// Number that it has to be.
        expected: i64,
    },
    /// A number is too small.
    BelowLimit {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: i64,
        /// The smallest that is taken.
        limit: i64,
    },
    /// A number is too large.
    OverLimit {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: i64,
        /// The largest that is taken.
        limit: i64,
    },
    /// A number stands for nothing that is known.
    Unknown {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u32,
    },
    /// A field has bits that are not known, or that cannot be together with others.
    Bits {
        /// Name of the field.
        field: &'static str,
        /// Just those.
        unknown: u64,
    },
    /// A user or group id is -1, which is none.
    NoId {
        /// Name of the field.
        field: &'static str,
    },
    /// A number refers to no object that is before the record.
    Reference {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u32,
        /// How many objects there are before the record.
        objects: u32,
    },
    /// A number is no multiple of another one.
    Multiple {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u64,
        /// What it has to be a multiple of.
        of: u64,
    },
    /// An address, or an offset in a file, is beyond what a process can have.
    Address {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u64,
    },
    /// An address or an offset is below that which has to come before it.
    Below {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u64,
        /// The smallest that is taken.
        limit: u64,
    },
    /// The type in the mode of a file is not that of its kind.
    FileType {
        /// The mode.
        found: u32,
    },
    /// A path does not begin at the root.
    RelativePath,
    /// There is a NUL within a path or name.
    NulInText,
    /// An extent that is said to be one huge page has not the size of one.
    HugeSize {
        /// Pages in it.
        found: u32,
    },
    /// The extents have not as many pages in all as was announced.
    PageCount {
        /// Pages in the extents.
        found: u64,
        /// Pages that were announced.
        expected: u32,
    },
    /// The checksum of bulk data is wrong.
    BulkChecksum {
        /// Checksum in the record that announces it.
        found: u32,
        /// Checksum of the data.
        computed: u32,
    },
    /// A number refers to an object of another kind than it has to.
    WrongObject {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u32,
        /// What the object has to be.
        expected: &'static str,
    },
    /// A number refers to a task that it cannot refer to, or to none.
    WrongTask {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u32,
        /// What it has to be.
        expected: &'static str,
    },
    /// A number is that of a task before it.
    Taken {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: i32,
    },
    /// No thread follows a leader that has ended before its threads.
    NoThread,
    /// Data goes on behind the end of the object that it is of.
    OutsideObject {
        /// Where the data ends.
        end: u64,
        /// Bytes of the object.
        size: u64,
    },
    /// An extent is not within one mapping whose pages can be in an image.
    OutsideMapping {
        /// Address of the first page.
        start: u64,
    },
    /// An address is not that of a mapping which it has to be.
    NotMapped {
        /// Name of the field.
        field: &'static str,
        /// Number in the image.
        found: u64,
        /// Where it has to be.
        expected: &'static str,
    },
    /// The image was written by another kernel.
    OtherKernel {
        /// Name of the field.
        field: &'static str,
        /// What that kernel says of itself.
        found: UtsText,
    },
    /// The checksum is wrong: something in the image was changed.
    Checksum {
        /// Checksum in the image.
        found: u64,
        /// Checksum of the image.
        computed: u32,
    },
    /// The reader has not kept to the protocol of [`Checker`](super::Checker).
    Protocol,
}

impl Reason {
    /// Returns the error that stands for this.
    pub const fn errno(&self) -> Errno {
        match self {
            Reason::Truncated { .. } => Errno::Pipe,
            _ => Errno::Inval,
        }
    }

    /// Refuses a field that does not have the one value that is valid.
    pub(super) fn unless_equal(
        field: &'static str,
        found: impl Into<i64>,
        expected: impl Into<i64>,
    ) -> Result<(), Self> {
        let (found, expected) = (found.into(), expected.into());
        if found == expected {
            return Ok(());
        }
        Err(Reason::NotEqual {
            field,
            found,
            expected,
        })
    }

    /// Refuses a field that is less than `min` or more than `max`.
    pub(super) fn unless_in(
        field: &'static str,
        found: impl Into<i64>,
        min: impl Into<i64>,
        max: impl Into<i64>,
    ) -> Result<(), Self> {
        let (found, min, max) = (found.into(), min.into(), max.into());
        if found < min {
            return Err(Reason::BelowLimit {
                field,
                found,
                limit: min,
            });
        }
        if found > max {
            return Err(Reason::OverLimit {
                field,
                found,
                limit: max,
            });
        }
        Ok(())
    }

    /// Refuses a field that is more than `max`.
    pub(super) fn unless_max(
        field: &'static str,
        found: impl Into<u64>,
        max: u64,
    ) -> Result<(), Self> {
        let found = found.into();
        if found <= max {
            return Ok(());
        }
        Err(Reason::OverLimit {
            field,
            found: i64::try_from(found).unwrap_or(i64::MAX),
            limit: i64::try_from(max).unwrap_or(i64::MAX),
        })
    }

    /// Refuses a field with other bits than `known`.
    pub(super) fn unless_bits(
        field: &'static str,
        found: impl Into<u64>,
        known: impl Into<u64>,
    ) -> Result<(), Self> {
        let unknown = found.into() & !known.into();
        if unknown == 0 {
            return Ok(());
        }
        Err(Reason::Bits { field, unknown })
    }

    /// Refuses a field that is no multiple of `of`.
    pub(super) fn unless_multiple(
        field: &'static str,
        found: impl Into<u64>,
        of: impl Into<u64>,
    ) -> Result<(), Self> {
        let (found, of) = (found.into(), of.into());
        if found.checked_rem(of) == Some(0) {
            return Ok(());
        }
        Err(Reason::Multiple { field, found, of })
    }

    /// Refuses what is not an address of user space.
    pub(super) fn unless_address(field: &'static str, found: u64) -> Result<(), Self> {
        if found < USER_END {
            return Ok(());
        }
        Err(Reason::Address { field, found })
    }

    /// Refuses an address or offset that is below `limit`.
    pub(super) fn unless_not_below(
        field: &'static str,
        found: u64,
        limit: u64,
    ) -> Result<(), Self> {
        if found >= limit {
            return Ok(());
        }
        Err(Reason::Below {
            field,
            found,
            limit,
        })
    }

    /// Refuses a number that stands for nothing.
    pub(super) const fn unknown(field: &'static str, found: u32) -> Self {
        Reason::Unknown { field, found }
    }

    /// Refuses a wrong magic number.
    pub(super) fn unless_magic(found: u64, expected: u64) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Reason::Magic { found, expected })
    }
}

/// Prints names with "or" between them.
struct OneOf(&'static [Kind]);

impl fmt::Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let mut before = "";
        for kind in self.0 {
            f.write_str(before)?;
            f.write_str(kind.name())?;
            before = " or ";
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Truncated { found, expected } => {
                write!(f, "the image ends after {found} of {expected} bytes")
            }
            Reason::ByteOrder => f.write_str("the image is from a machine of other byte order"),
            Reason::UnknownType => f.write_str("unknown record type"),
            Reason::Order { expected } => write!(f, "expected {} here", OneOf(expected)),
            Reason::Parent { found } => write!(f, "parent is {found}, which is no object"),
            Reason::NegativeLength { found } => write!(f, "len {found} is negative"),
            Reason::Length { found, expected } => {
                write!(f, "len is {found}, not {expected}")
            }
            Reason::Padding => f.write_str("the padding is not 0"),
            Reason::Reserved { field } => write!(f, "{field} is not 0"),
            Reason::Magic { found, expected } => {
                write!(f, "magic is {found:#018x}, not {expected:#018x}")
            }
            Reason::Flags { unknown } => write!(f, "unknown flags {unknown:#x}"),
            Reason::PageSize { found } => write!(f, "page_size {found} is not a power of two"),
            Reason::TextPadding { field } => {
                write!(f, "{field} goes on after its end")
            }
            Reason::NotEqual {
                field,
                found,
                expected,
            } => write!(f, "{field} is {found}, not {expected}"),
            Reason::BelowLimit {
                field,
                found,
                limit,
            } => write!(f, "{field} {found} is less than {limit}"),
            Reason::OverLimit {
                field,
                found,
                limit,
            } => write!(f, "{field} {found} is over the limit of {limit}"),
            Reason::Unknown { field, found } => write!(f, "{field} {found} is unknown"),
            Reason::Bits { field, unknown } => {
                write!(f, "{field} has the bits {unknown:#x}, which it cannot have")
            }
            Reason::NoId { field } => write!(f, "{field} is -1, which is no id"),
            Reason::Reference {
                field,
                found,
                objects,
            } => write!(f, "{field} is {found}, but there are {objects} objects"),
            Reason::Multiple { field, found, of } => {
                write!(f, "{field} {found:#x} is no multiple of {of:#x}")
            }
            Reason::Address { field, found } => {
                write!(f, "{field} {found:#x} is beyond what a process can have")
            }
            Reason::Below {
                field,
                found,
                limit,
            } => write!(f, "{field} {found:#x} is below {limit:#x}"),
            Reason::FileType { found } => {
                write!(f, "mode {found:#o} is not that of this kind of file")
            }
            Reason::RelativePath => f.write_str("the path is not absolute"),
            Reason::NulInText => f.write_str("there is a NUL in it"),
            Reason::HugeSize { found } => {
                write!(f, "nr_pages {found} is not the size of a huge page")
            }
            Reason::PageCount { found, expected } => {
                write!(f, "the extents have {found} pages, not {expected}")
            }
            Reason::BulkChecksum { found, computed } => {
                write!(f, "crc is {found:#010x}, but the data has {computed:#010x}")
            }
            Reason::WrongObject {
                field,
                found,
                expected,
            } => write!(f, "{field} is {found}, which is no {expected}"),
            Reason::WrongTask {
                field,
                found,
                expected,
            } => write!(f, "{field} is {found}, which is no {expected}"),
            Reason::Taken { field, found } => {
                write!(f, "{field} {found} is that of a task before it")
            }
            Reason::NoThread => f.write_str("threads live on, but none follows"),
            Reason::OutsideObject { end, size } => {
                write!(f, "the data ends at {end}, but the object has {size} bytes")
            }
            Reason::OutsideMapping { start } => {
                write!(
                    f,
                    "the extent at {start:#x} is not within one private mapping"
                )
            }
            Reason::NotMapped {
                field,
                found,
                expected,
            } => write!(f, "{field} {found:#x} is not {expected}"),
            Reason::OtherKernel { field, found } => {
                write!(f, "{field} {found} is not that of this kernel")
            }
            Reason::Checksum { found, computed } => {
                write!(
                    f,
                    "cksum is {found:#010x}, but the image has {computed:#010x}"
                )
            }
            Reason::Protocol => f.write_str("read in the wrong order"),
        }
    }
}

/// Which record of an image is not taken, and why.
///
/// Printed: `image offset 240: TASK: task_comm_len 5000 is over the limit of 4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Bytes from the begin of the image to the header of the record.
    pub offset: u64,
    /// Type of the record, 0 if its header was not read.
    pub record: i16,
    /// What is wrong with it.
    pub reason: Reason,
}

impl Refusal {
    /// Returns the error that stands for this.
    pub const fn errno(&self) -> Errno {
        self.reason.errno()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image offset {}: ", self.offset)?;
        match (self.record, name_of(self.record)) {
            (_, Some(name)) => write!(f, "{name}: ")?,
            (0, None) => (),
            (number, None) => write!(f, "record type {number}: ")?,
        }
        fmt::Display::fmt(&self.reason, f)
    }
}

impl core::error::Error for Refusal {}
