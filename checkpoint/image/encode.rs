// SPDX-License-Identifier: GPL-2.0

//! The writing side: the bytes of an image, and the checksum over them.

use zerocopy::IntoBytes;

use super::{
    record::padding_len,
    Header,
    Record,
    Tail,
    Text, //
};
use crate::crc32c;

/// What no padding is longer than.
const ZEROS: [u8; 8] = [0; 8];

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
            if piece.is_empty() {
                continue;
            }
            sink(piece)?;
            self.crc = crc32c(self.crc, piece);
            self.offset = self.offset.saturating_add(piece.len() as u64);
        }
        Ok(())
    }
}
