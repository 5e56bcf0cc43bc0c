// SPDX-License-Identifier: GPL-2.0

//! As much of an image as it takes to know in which pieces restart(2) reads it.

use std::fmt;

/// Bytes of `struct cr_hdr`.
const HEADER: usize = 8;

/// An image that is not made of records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where the record begins.
    offset: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the image has no whole record at offset {}", self.offset)
    }
}

/// Returns how many bytes each read of `image` takes: of each record the header, then the payload
/// with its padding.
pub(crate) fn pieces(image: &[u8]) -> Result<Vec<usize>, Malformed> {
    let mut pieces = Vec::new();
    let mut rest = image;

    while !rest.is_empty() {
        let malformed = Malformed {
            offset: image.len() - rest.len(),
        };
        let Some(&[_, _, low, high, ..]) = rest.first_chunk::<HEADER>() else {
            return Err(malformed);
        };
        let len = usize::try_from(i16::from_ne_bytes([low, high]))
            .ok()
            .map(|len| len.next_multiple_of(8));
        let Some(len) = len.filter(|len| HEADER + len <= rest.len()) else {
            return Err(malformed);
        };
        pieces.push(HEADER);
        if len > 0 {
            pieces.push(len);
        }
        rest = &rest[HEADER + len..];
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(len: i16) -> Vec<u8> {
        let mut record = vec![1, 0];
        record.extend(len.to_ne_bytes());
        record.resize(
            HEADER + usize::try_from(len).unwrap().next_multiple_of(8),
            0,
        );
        record
    }

    #[test]
    fn header_and_padded_payload_of_each_record() {
        let image = [record(24), record(0), record(3)].concat();
        assert_eq!(pieces(&image), Ok(vec![8, 24, 8, 8, 8]));
        assert_eq!(pieces(&[]), Ok(vec![]));
    }

    #[test]
    fn image_that_ends_in_a_record() {
        let mut image = [record(24), record(16)].concat();
        image.pop();
        assert_eq!(pieces(&image), Err(Malformed { offset: 32 }));
        assert_eq!(pieces(&image[..35]), Err(Malformed { offset: 32 }));
    }

    #[test]
    fn negative_length() {
        assert_eq!(
            pieces(&[1, 0, 0xff, 0xff, 0, 0, 0, 0]),
            Err(Malformed { offset: 0 })
        );
    }
}
