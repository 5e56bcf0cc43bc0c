// SPDX-License-Identifier: GPL-2.0

//! How bytes, times and sizes are written for people.

use std::fmt::Write as _;

/// Bytes as text that is safe to print: an image may hold anything, a terminal obeys escape
/// sequences. Bytes that are not UTF-8 become `\xNN`, characters that do not print `\u{N}` (or
/// `\n` and the like), a backslash `\\`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '"' => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Bytes up to the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or(bytes)
}

/// Seconds since 1970 as a date and time in UTC.
pub(crate) fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Beyond that the year does not fit the usual four digits; such a clock is nonsense.
    if days > 2_932_896 {
        return "after the year 9999".into();
    }
    // Years that begin in March put the leap day last; 719468 days lie between 0000-03-01 and
    // 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + later;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Nanoseconds as seconds, with days, hours and minutes where there are some.
pub(crate) fn duration(nanos: u64) -> String {
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    let mut text = String::new();
    if days > 0 {
        let _ = write!(text, "{days}d ");
    }
    if seconds >= 3600 {
        let _ = write!(text, "{hours}h ");
    }
    if seconds >= 60 {
        let _ = write!(text, "{minutes}m ");
    }
    let _ = write!(text, "{}.{nanos:09} s", seconds % 60);
    text
}

/// `count` of `what`, with an s unless it is one.
pub(crate) fn count(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Lines of 16 bytes as `hexdump -C` writes them; `offset` is that of the first byte.
pub(crate) fn hexdump(mut offset: u64, bytes: &[u8]) -> String {
    let mut text = String::new();
    for row in bytes.chunks(16) {
        let mut hex = String::new();
        for (i, byte) in row.iter().enumerate() {
            let _ = write!(hex, "{}{byte:02x} ", if i == 8 { " " } else { "" });
        }
        let ascii: String = row
            .iter()
            .map(|&byte| match byte {
                b' '..=b'~' => char::from(byte),
                _ => '.',
            })
            .collect();
        let _ = writeln!(text, "{offset:08x}  {hex:<49} |{ascii}|");
        offset += row.len() as u64;
    }
    text
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(escape(b"bash"), "bash");
        assert_eq!(escape("Grüße \"x\" 'y'".as_bytes()), "Grüße \"x\" 'y'");
        assert_eq!(escape(b"\x1b[2J\n\\\xff\x80"), r"\u{1b}[2J\n\\\xff\x80");
        assert_eq!(escape("\u{202e}".as_bytes()), r"\u{202e}");
    }

    #[test]
    fn text_ends_at_the_nul() {
        assert_eq!(until_nul(b"ab\0cd\0"), b"ab");
        assert_eq!(until_nul(b"\0"), b"");
        assert_eq!(until_nul(b"abc"), b"abc");
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_795_354_245), "2026-11-22 13:30:45 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(date(253_402_300_799), "9999-12-31 23:59:59 UTC");
        assert_eq!(date(253_402_300_800), "after the year 9999");
        assert_eq!(date(u64::MAX), "after the year 9999");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(0), "0.000000000 s");
        assert_eq!(duration(1_234_567), "0.001234567 s");
        assert_eq!(duration(61_000_000_000), "1m 1.000000000 s");
        assert_eq!(duration(86_400_000_000_000), "1d 0h 0m 0.000000000 s");
        assert_eq!(duration(u64::MAX), "213503d 23h 34m 33.709551615 s");
    }

    #[test]
    fn dump() {
        assert_eq!(
            hexdump(0x10, b"0123456789abcdef\0"),
            "00000010  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n\
             00000020  00                                                |.|\n"
        );
    }

    #[test]
    fn counts() {
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(0, "record"), "0 records");
    }
}
