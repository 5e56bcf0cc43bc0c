// SPDX-License-Identifier: GPL-2.0

//! What all records have in common: the header, the traits, and fields as data.
//!
//! C header: [`include/uapi/linux/checkpoint_hdr.h`](srctree/include/uapi/linux/checkpoint_hdr.h)

use core::{
    fmt,
    mem::{
        align_of,
        offset_of,
        size_of, //
    },
    slice,
};

use zerocopy::FromBytes as _;
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    Expect,
    Extents,
    Kind,
    Reason,
    SharedExtents, //
};
use crate::uapi;

/// The end of what a process can map: `TASK_SIZE_MAX` of x86-64 with four levels of page tables,
/// beyond which nothing is mapped unless it is asked for.
pub(super) const USER_END: u64 = 0x7fff_ffff_f000;

/// No page is larger than a quarter of that.
const HUGE_SHIFT_MAX: u32 = USER_END.ilog2().saturating_sub(1);

/// Payloads are padded with zeros to a multiple of this many bytes.
const ALIGN: usize = uapi::CR_ALIGN as usize;

/// What every record begins with.
///
/// C: `struct cr_hdr`
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// `CR_HDR_*`; [`Kind::from_number`](super::Kind::from_number) tells what it stands for.
    pub kind: i16,
    /// Bytes of payload, without the padding behind it. Negative in no valid image.
    pub len: i16,
    /// Number of the object this record belongs to, 0 if to none.
    pub parent: u32,
}

// The header is no record, so that the derive macro is of no use to it.
const _: () = {
    assert!(size_of::<Header>() == size_of::<uapi::cr_hdr>());
    assert!(align_of::<Header>() == align_of::<uapi::cr_hdr>());
    assert!(offset_of!(Header, kind) == offset_of!(uapi::cr_hdr, type_));
    assert!(offset_of!(Header, len) == offset_of!(uapi::cr_hdr, len));
    assert!(offset_of!(Header, parent) == offset_of!(uapi::cr_hdr, parent));
    assert!(ALIGN.is_power_of_two() && Header::SIZE % ALIGN == 0);
};
const _: fn(&uapi::cr_hdr) = |abi| {
    let uapi::cr_hdr { type_, len, parent } = abi;
    let _: (&i16, &i16, &u32) = (type_, len, parent);
};

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = size_of::<Header>();

    /// Returns the header of a record that is `R`.
    pub const fn of<R: Record>(parent: u32) -> Self {
        Self {
            kind: R::TYPE,
            // The derive macro asserts that this is CR_LEN_MAX at most.
            len: R::LEN as i16,
            parent,
        }
    }

    /// Returns the header of a record that is `text`.
    pub const fn text(text: Text<'_>, parent: u32) -> Self {
        Self {
            kind: Kind::String.number(),
            // `Text` has CR_LEN_MAX bytes at most.
            len: text.0.len() as i16,
            parent,
        }
    }

    /// Returns the header of a record that is `payload`.
    pub const fn of_payload(payload: Payload<'_>, parent: u32) -> Self {
        Self {
            kind: payload.kind.number(),
            // `Payload` has CR_LEN_MAX bytes at most.
            len: payload.bytes.len() as i16,
            parent,
        }
    }

    /// Makes a header of its bytes in an image; any bytes will do.
    pub fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        zerocopy::transmute!(*bytes)
    }

    /// Returns the bytes of payload, [`None`] if the header says that they are negative.
    pub fn payload_len(&self) -> Option<usize> {
        usize::try_from(self.len).ok()
    }

    /// Returns the bytes of payload and of the padding behind it, 0 if the length is negative.
    ///
    /// At most `CR_LEN_MAX` + 1.
    pub fn padded_len(&self) -> usize {
        let len = self.payload_len().unwrap_or(0);
        len.saturating_add(padding_len(len))
    }
}

/// Returns the bytes of padding behind a payload of `len` bytes.
pub(super) fn padding_len(len: usize) -> usize {
    // ALIGN is a power of two.
    len.wrapping_neg() & ALIGN.wrapping_sub(1)
}

/// A payload with a fixed layout.
///
/// To be derived: `#[derive(Record)]` in `rust/macros/record.rs` holds the struct against the C
/// header at compile time.
///
/// # Examples
///
/// ```ignore
/// /// C: `struct cr_hdr_tail`
/// #[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[record(type = CR_HDR_TAIL, abi = cr_hdr_tail)]
/// #[repr(C, align(8))]
/// pub struct Tail {
///     pub magic: u64,
///     pub cksum: u64,
/// }
/// ```
pub trait Record:
    zerocopy::FromBytes + zerocopy::IntoBytes + zerocopy::Immutable + zerocopy::KnownLayout
{
    /// What [`Header::kind`] is for this record.
    const TYPE: i16;
    /// The name of the type in the C header, without `CR_HDR_`.
    const NAME: &'static str;
    /// Bytes of payload.
    const LEN: u16;
    /// The fields, by ascending offset. There are no bytes between them.
    const FIELDS: &'static [Field];
}

/// A record that knows which of its values are valid.
pub trait Validate: Record {
    /// Refuses values that no kernel writes, or that this one could not restore.
    ///
    /// Fields with a name that begins with `reserved` need no check here: they are refused before
    /// if they are not 0.
    fn validate(&self, context: &Context<'_>) -> Result<(), Reason>;
}

/// What a record may have to be held against.
pub struct Context<'a> {
    /// What the reader demands.
    pub expect: &'a Expect<'a>,
    /// CRC-32C of the image up to the header of this record.
    pub crc: u32,
    /// Bytes per page of the kernel that wrote the image; 1 as long as that is not known.
    pub page_size: u32,
    /// How many objects there are before this record.
    pub objects: u32,
}

impl Context<'_> {
    /// Refuses a number that is not that of an object before this record.
    pub(super) fn unless_object(&self, field: &'static str, found: u32) -> Result<(), Reason> {
        if (1..=self.objects).contains(&found) {
            return Ok(());
        }
        Err(Reason::Reference {
            field,
            found,
            objects: self.objects,
        })
    }

    /// Refuses the number of an object that is not 1 more than that of the object before.
    pub(super) fn unless_next_object(&self, objref: u32) -> Result<(), Reason> {
        let next = self.objects.saturating_add(1);
        Reason::unless_in("objref", objref, 1, uapi::CR_OBJECTS_MAX)?;
        Reason::unless_equal("objref", objref, next)
    }

    /// Refuses an address that is not that of a page.
    pub(super) fn unless_pages(&self, field: &'static str, found: u64) -> Result<(), Reason> {
        Reason::unless_multiple(field, found, self.page_size)
    }

    /// Refuses what is not the size of huge pages; it has to be 0 where there are none.
    pub(super) fn unless_page_shift(&self, found: u32, huge: bool) -> Result<(), Reason> {
        let (min, max) = match huge {
            true => (self.page_size.ilog2().saturating_add(1), HUGE_SHIFT_MAX),
            false => (0, 0),
        };
        Reason::unless_in("page_shift", found, min, max)
    }

    /// Refuses what is not a range of whole pages that a process can map.
    pub(super) fn unless_range(
        &self,
        start_field: &'static str,
        start: u64,
        end_field: &'static str,
        end: u64,
    ) -> Result<(), Reason> {
        self.unless_pages(start_field, start)?;
        self.unless_pages(end_field, end)?;
        Reason::unless_address(start_field, start)?;
        if end > USER_END {
            return Err(Reason::Address {
                field: end_field,
                found: end,
            });
        }
        Reason::unless_not_below(end_field, end, start.saturating_add(1))
    }
}

/// Makes a value of the payload of a record, and validates it.
pub(super) fn decode<R: Validate>(payload: &[u8], context: &Context<'_>) -> Result<R, Reason> {
    // A copy, so that it is of no importance how the reader's buffer is aligned.
    let record = R::read_from_bytes(payload).map_err(|_| Reason::Length {
        found: payload.len(),
        expected: usize::from(R::LEN),
    })?;

    for field in R::FIELDS.iter().filter(|field| field.is_reserved()) {
        if field
            .bytes(payload)
            .is_some_and(|bytes| bytes.iter().any(|&byte| byte != 0))
        {
            return Err(Reason::Reserved { field: field.name });
        }
    }
    record.validate(context)?;
    Ok(record)
}

/// The payload of a `CR_HDR_STRING`: bytes, of which there are `CR_LEN_MAX` at most.
///
/// # Invariants
///
/// The length fits into [`Header::len`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Returns `bytes` as text, [`None`] if there are too many of them.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > uapi::CR_LEN_MAX as usize {
            return None;
        }
        // INVARIANT: CR_LEN_MAX is the largest number of 16 bits with a sign.
        Some(Self(bytes))
    }

    /// Returns the bytes.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The payload of a record that has no fixed layout: bytes, of which there are `CR_LEN_MAX` at most.
///
/// # Invariants
///
/// The length fits into [`Header::len`], and `kind` has no fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Returns `bytes` as the payload of a record of this kind.
    ///
    /// [`None`] if there are too many of them, or if that kind has a fixed layout.
    pub const fn new(kind: Kind, bytes: &'a [u8]) -> Option<Self> {
        if kind.payload_len().is_some() || bytes.len() > uapi::CR_LEN_MAX as usize {
            return None;
        }
        // INVARIANT: Both have just been checked.
        Some(Self { kind, bytes })
    }

    /// Returns the bytes.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Returns the numbers of 32 bits that are in `bytes`, such as those of `CR_HDR_GROUPS`.
pub fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> + Clone + '_ {
    bytes
        .chunks_exact(size_of::<u32>())
        .filter_map(|number| u32::read_from_bytes(number).ok())
}

/// Returns the numbers of 64 bits that are in `bytes`, such as those of `CR_HDR_AUXV`.
pub fn u64s(bytes: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
    bytes
        .chunks_exact(size_of::<u64>())
        .filter_map(|number| u64::read_from_bytes(number).ok())
}

/// A field of `struct utsname` in an image: `CR_UTS_LEN` bytes, padded with NULs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UtsText(pub [u8; uapi::CR_UTS_LEN as usize]);

impl UtsText {
    /// Returns `text` up to its first NUL, cut to the size of the field.
    pub fn new(text: &[u8]) -> Self {
        let mut field = [0; uapi::CR_UTS_LEN as usize];
        for (to, from) in field.iter_mut().zip(until_nul(text)) {
            *to = *from;
        }
        Self(field)
    }
}

impl fmt::Debug for UtsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for UtsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Value::Text(&self.0), f)
    }
}

/// Returns the bytes of `text` before its first NUL.
pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

/// A field of a record, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in the C header.
    pub name: &'static str,
    /// Bytes from the begin of the payload.
    pub offset: usize,
    /// Bytes; 0 if [`FieldKind::is_rest`].
    pub size: usize,
    /// What the bytes are.
    pub kind: FieldKind,
}

impl Field {
    /// Returns whether the field is there only to fill space, and has to be 0.
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with("reserved")
    }

    /// Returns the bytes of this field in `payload`, [`None`] if that is too short.
    pub fn bytes<'p>(&self, payload: &'p [u8]) -> Option<&'p [u8]> {
        let rest = payload.get(self.offset..)?;
        if self.kind.is_rest() {
            return Some(rest);
        }
        rest.get(..self.size)
    }

    /// Returns the value of this field in `payload`, [`None`] if that is too short.
    pub fn value<'p>(&self, payload: &'p [u8]) -> Option<Value<'p>> {
        let bytes = self.bytes(payload)?;
        match self.kind {
            FieldKind::Unsigned => unsigned(bytes).map(Value::Unsigned),
            FieldKind::Signed => signed(bytes).map(Value::Signed),
            FieldKind::Text | FieldKind::Rest => Some(Value::Text(bytes)),
            FieldKind::Array { signed, width } => Some(Value::Array(Values {
                bytes,
                signed,
                width,
            })),
            FieldKind::RestNumbers { width } => Some(Value::Array(Values {
                bytes,
                signed: false,
                width,
            })),
            FieldKind::RestExtents => Some(Value::Extents(Extents::new(bytes))),
            FieldKind::RestSharedExtents => Some(Value::SharedExtents(SharedExtents::new(bytes))),
            FieldKind::RestBytes => Some(Value::Bytes(bytes)),
        }
    }

    /// Returns the type that the C header gives this field: `__u32`, `char[64]`.
    pub fn c_type(&self) -> impl fmt::Display {
        CType(*self)
    }
}

/// What the bytes of a [`Field`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `__u8`, `__u16`, `__u32` or `__u64`.
    Unsigned,
    /// `__s8`, `__s16`, `__s32` or `__s64`.
    Signed,
    /// `char[]`: bytes to be read as text, which ends at the first NUL or with the field.
    Text,
    /// The rest of the payload, which is text.
    Rest,
    /// An array of numbers.
    Array {
        /// Whether the numbers have a sign.
        signed: bool,
        /// Bytes of each number.
        width: usize,
    },
    /// The rest of the payload, which is numbers without a sign.
    RestNumbers {
        /// Bytes of each number.
        width: usize,
    },
    /// The rest of the payload, which is `struct cr_extent`.
    RestExtents,
    /// The rest of the payload, which is `struct cr_shared_extent`.
    RestSharedExtents,
    /// The rest of the payload, which this module does not look into.
    RestBytes,
}

impl FieldKind {
    /// Returns whether the field takes up all of the payload from where it begins.
    pub const fn is_rest(self) -> bool {
        matches!(
            self,
            FieldKind::Rest
                | FieldKind::RestNumbers { .. }
                | FieldKind::RestExtents
                | FieldKind::RestSharedExtents
                | FieldKind::RestBytes
        )
    }
}

/// A type that the field of a record may have.
///
/// Any bytes are a valid value of it, it has no padding, and it is the same on every machine.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a field in a record",
    label = "not a type with the same size, and any bytes as its value, on every machine",
    note = "a field of a record is a fixed-width integer or an array of them"
)]
pub trait FieldType: zerocopy::FromBytes + zerocopy::IntoBytes + zerocopy::Immutable {
    /// What the bytes are.
    const KIND: FieldKind;
}

macro_rules! field_types {
    ($kind:ident, $signed:literal: $($type:ty)*) => {$(
        impl FieldType for $type {
            const KIND: FieldKind = FieldKind::$kind;
        }

        impl<const N: usize> FieldType for [$type; N] {
            const KIND: FieldKind = FieldKind::Array {
                signed: $signed,
                width: size_of::<$type>(),
            };
        }
    )*};
}

field_types!(Unsigned, false: u8 u16 u32 u64);
field_types!(Signed, true: i8 i16 i32 i64);

/// [`Field::c_type`]
struct CType(Field);

impl fmt::Display for CType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { size, kind, .. } = self.0;
        let bits = |bytes: usize| bytes.saturating_mul(8);
        match kind {
            FieldKind::Unsigned => write!(f, "__u{}", bits(size)),
            FieldKind::Signed => write!(f, "__s{}", bits(size)),
            FieldKind::Text => write!(f, "char[{size}]"),
            FieldKind::Rest => f.write_str("char[]"),
            FieldKind::RestNumbers { width } => write!(f, "__u{}[]", bits(width)),
            FieldKind::RestExtents => f.write_str("struct cr_extent[]"),
            FieldKind::RestSharedExtents => f.write_str("struct cr_shared_extent[]"),
            FieldKind::RestBytes => f.write_str("__u8[]"),
            FieldKind::Array { signed, width } => {
                let sign = if signed { 's' } else { 'u' };
                let count = size.checked_div(width).unwrap_or(0);
                write!(f, "__{sign}{}[{count}]", bits(width))
            }
        }
    }
}

/// The value of a field.
///
/// Printed, numbers are decimal, and text is in quotes up to its first NUL, with everything
/// escaped that is not printable ASCII.
#[derive(Clone, Debug)]
pub enum Value<'p> {
    /// A number.
    Unsigned(u64),
    /// A number.
    Signed(i64),
    /// The bytes of a text, with the NULs at its end.
    Text(&'p [u8]),
    /// Some numbers.
    Array(Values<'p>),
    /// Some pages in a row, some more in a row, and so on.
    Extents(Extents<'p>),
    /// Likewise, of which each is told where else it is.
    SharedExtents(SharedExtents<'p>),
    /// Bytes of which only the number is told.
    Bytes(&'p [u8]),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(number) => fmt::Display::fmt(number, f),
            Value::Signed(number) => fmt::Display::fmt(number, f),
            Value::Text(text) => write!(f, "\"{}\"", until_nul(text).escape_ascii()),
            Value::Array(values) => {
                f.write_str("[")?;
                let mut before = "";
                for value in values.clone() {
                    f.write_str(before)?;
                    fmt::Display::fmt(&value, f)?;
                    before = ", ";
                }
                f.write_str("]")
            }
            Value::Extents(extents) => {
                let mut before = "";
                for extent in extents.iter() {
                    let huge = if extent.is_huge() { " (huge)" } else { "" };
                    let (start, nr_pages) = (extent.start, extent.nr_pages);
                    write!(f, "{before}{start:#x}+{nr_pages}{huge}")?;
                    before = ", ";
                }
                Ok(())
            }
            Value::SharedExtents(extents) => {
                let mut before = "";
                for extent in extents.iter() {
                    let (start, nr_pages) = (extent.start, extent.nr_pages);
                    write!(f, "{before}{start:#x}+{nr_pages}")?;
                    let (task, start) = (extent.from_task, extent.from_start);
                    write!(f, " (task {task}, {start:#x})")?;
                    before = ", ";
                }
                Ok(())
            }
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// Iterates over the numbers of an array.
#[derive(Clone, Debug)]
pub struct Values<'p> {
    bytes: &'p [u8],
    signed: bool,
    width: usize,
}

impl<'p> Iterator for Values<'p> {
    type Item = Value<'p>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, rest) = self.bytes.split_at_checked(self.width)?;
        self.bytes = rest;
        if self.signed {
            signed(number).map(Value::Signed)
        } else {
            unsigned(number).map(Value::Unsigned)
        }
    }
}

/// Returns the number that `bytes` are, in the byte order of this machine.
fn unsigned(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        1 => u8::read_from_bytes(bytes).ok().map(u64::from),
        2 => u16::read_from_bytes(bytes).ok().map(u64::from),
        4 => u32::read_from_bytes(bytes).ok().map(u64::from),
        8 => u64::read_from_bytes(bytes).ok(),
        _ => None,
    }
}

/// Returns the number with a sign that `bytes` are, in the byte order of this machine.
fn signed(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        1 => i8::read_from_bytes(bytes).ok().map(i64::from),
        2 => i16::read_from_bytes(bytes).ok().map(i64::from),
        4 => i32::read_from_bytes(bytes).ok().map(i64::from),
        8 => i64::read_from_bytes(bytes).ok(),
        _ => None,
    }
}

/// Iterates over the fields of a payload and their values.
#[derive(Clone, Debug)]
pub struct Description<'p> {
    fields: slice::Iter<'static, Field>,
    payload: &'p [u8],
}

impl<'p> Description<'p> {
    pub(super) fn new(fields: &'static [Field], payload: &'p [u8]) -> Self {
        Self {
            fields: fields.iter(),
            payload,
        }
    }
}

impl<'p> Iterator for Description<'p> {
    type Item = (&'static Field, Value<'p>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        field.value(self.payload).map(|value| (field, value))
    }
}
