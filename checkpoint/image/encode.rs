// SPDX-License-Identifier: GPL-2.0

//! The writing side: the bytes of an image, and the checksum over them.

use zerocopy::IntoBytes;

use super::{
    bulk::pad_len,
    record::padding_len,
    Header,
    Kind,
    Payload,
    Record,
    Tail,
    Text, //
};
use crate::crc32c;

/// What no padding behind a payload is longer than.
const ZEROS: [u8; 8] = [0; 8];

/// What no gap before a page of 4096 bytes is longer than; larger ones take several records.
static GAP: [u8; 4096] = [0; 4096];

/// Returns the zeros that stand behind `len` bytes of bulk data.
pub fn bulk_padding(len: u64) -> &'static [u8] {
    ZEROS.get(..padding_len(len as usize)).unwrap_or(&[])
}

/// Forms the records of one image, from HEAD to TAIL.
///
/// Where the bytes go is the caller's business: each function hands them to `sink`, in as many
/// pieces as it likes. An error of `sink` is returned, and ends the image: what was written up to
/// there cannot be continued.
#[derive(Debug, Default)]
pub struct Encoder {
    /// CRC-32C of everything up to here.
    crc: u32,
    /// Bytes up to here.
    offset: u64,
}

impl Encoder {
    /// Begins an image.
    pub const fn new() -> Self {
        Self { crc: 0, offset: 0 }
    }

    /// Returns how many bytes the image has so far.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes a record that belongs to object `parent`, 0 if to none.
    pub fn record<R: Record, E>(
        &mut self,
        parent: u32,
        record: &R,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.put(&Header::of::<R>(parent), record.as_bytes(), &mut sink)
    }

    /// Writes a text that belongs to object `parent`, 0 if to none.
    pub fn text<E>(
        &mut self,
        parent: u32,
        text: Text<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.put(&Header::text(text, parent), text.bytes(), &mut sink)
    }

    /// Writes a record without a fixed layout that belongs to object `parent`, 0 if to none.
    pub fn bytes<E>(
        &mut self,
        parent: u32,
        payload: Payload<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let header = Header::of_payload(payload, parent);
        self.put(&header, payload.bytes(), &mut sink)
    }

    /// Fills the image up to where a page can begin, unless one can already.
    ///
    /// To be called between what announces bulk data and the bulk data; `page_size` is that of
    /// HEAD.
    pub fn pad<E>(
        &mut self,
        page_size: u32,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(len) = pad_len(self.offset, page_size) {
            let header = Header {
                kind: Kind::Pad.number(),
                // `pad_len` gives what a record can have at most.
                len: len as i16,
                parent: 0,
            };
            self.piece(header.as_bytes(), &mut sink)?;
            let mut left = len;
            while left > 0 {
                let zeros = GAP.get(..left).unwrap_or(&GAP);
                self.piece(zeros, &mut sink)?;
                left = left.saturating_sub(zeros.len());
            }
        }
        Ok(())
    }

    /// Notes that the caller has written, or is going to write, `len` bytes of bulk data and
    /// [`bulk_padding`] behind them.
    ///
    /// They are in no checksum but that of the record which announces them.
    pub fn skip(&mut self, len: u64) {
        let padding = bulk_padding(len).len() as u64;
        self.offset = self.offset.saturating_add(len).saturating_add(padding);
    }

    /// Writes the last record, and returns how many bytes the image has.
    pub fn tail<E>(mut self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<u64, E> {
        let tail = Tail::new(self.crc);
        self.put(&Header::of::<Tail>(0), tail.as_bytes(), &mut sink)?;
        Ok(self.offset)
    }

    fn put<E>(
        &mut self,
        header: &Header,
        payload: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let padding = ZEROS.get(..padding_len(payload.len())).unwrap_or(&[]);
        for piece in [header.as_bytes(), payload, padding] {
            if !piece.is_empty() {
                self.piece(piece, sink)?;
            }
        }
        Ok(())
    }

    fn piece<E>(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        sink(piece)?;
        self.crc = crc32c(self.crc, piece);
        self.offset = self.offset.saturating_add(piece.len() as u64);
        Ok(())
    }
}
