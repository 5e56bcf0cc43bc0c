// SPDX-License-Identifier: GPL-2.0

//! How much memory the machine has left.

use std::fs;
use std::io;

use crate::case::PAGE;

/// Looked at, this file has each CPU add what it has counted to the sum.
const REFRESH: &str = "/proc/sys/vm/stat_refresh";

/// Bytes that nobody uses: what the kernel takes for itself in whatever way, it takes from these.
///
/// `MemFree` of `/proc/meminfo` will not do: it leaves out the pages that each CPU keeps at hand,
/// which may be more than what is looked for.
pub(crate) fn free() -> io::Result<i64> {
    // Only root may. Without it, the figure is a little out of date.
    let _ = fs::read(REFRESH);
    let text = fs::read_to_string("/proc/zoneinfo")?;

    parse(&text).ok_or_else(|| io::Error::other("/proc/zoneinfo does not tell the free pages"))
}

fn parse(text: &str) -> Option<i64> {
    let page = i64::try_from(PAGE).ok()?;
    let mut pages: Option<i64> = None;

    for line in text.lines() {
        let mut words = line.split_whitespace();
        if matches!(words.next(), Some("nr_free_pages" | "count:")) {
            let count: i64 = words.next()?.parse().ok()?;
            pages = Some(pages.unwrap_or(0).checked_add(count)?);
        }
    }
    pages?.checked_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_pages_and_those_at_hand() {
        let text = "\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 3307
  pages free     3840
        boost    0
      nr_free_pages 3840
  pagesets
    cpu: 0
              count:    7
              high:     14
    cpu: 1
              count:    2
Node 0, zone    DMA32
      nr_free_pages 100
";
        assert_eq!(parse(text), Some((3840 + 7 + 2 + 100) * 4096));
        assert_eq!(parse("Node 0, zone      DMA\n"), None);
        assert_eq!(parse("nr_free_pages many\n"), None);
        assert!(free().unwrap() > 0);
    }
}
