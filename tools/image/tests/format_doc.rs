// SPDX-License-Identifier: GPL-2.0

//! Documentation/checkpoint/image-format.rst says of every field what the code knows of it.
//!
//! A record has a section titled `NAME (number)`, in which the first `list-table` has a row for
//! each field: offset, size, type, name, meaning. There are more tables: of `struct cr_hdr`, of
//! the limits, and of flags and kinds, which are held against the C header.

use ckpt_image::{
    image::Kind,
    uapi,
    ImageBuilder, //
};
use std::{
    fs,
    path::PathBuf, //
};

const FILE: &str = "Documentation/checkpoint/image-format.rst";

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn document() -> String {
    let path = repository().join(FILE);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns whether `line` underlines a title.
fn is_underline(line: &str) -> bool {
    let mut chars = line.chars();
    match chars.next() {
        Some(first) if "=-~^\"'`#*+.:".contains(first) => {
            line.len() >= 3 && chars.all(|c| c == first)
        }
        _ => false,
    }
}

/// Returns the lines from behind the title up to the next one.
fn section<'a>(document: &'a str, title: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<_> = document.lines().collect();
    let is_title = |at: usize| {
        let next = lines.get(at + 1).is_some_and(|line| is_underline(line));
        next && !lines[at].is_empty() && !lines[at].starts_with(' ') && !is_underline(lines[at])
    };
    let begin = (0..lines.len()).find(|&at| is_title(at) && lines[at] == title)?;
    let end = (begin + 1..lines.len()).find(|&at| is_title(at));
    Some(lines[begin + 2..end.unwrap_or(lines.len())].to_vec())
}

/// Returns the rows of the first `list-table`, without its head.
fn table(lines: &[&str]) -> Option<Vec<Vec<String>>> {
    let directive = ".. list-table::";
    let begin = lines.iter().position(|l| l.trim().starts_with(directive))?;
    let indent = lines[begin].find('.')?;
    let body = lines[begin + 1..]
        .iter()
        .take_while(|line| line.trim().is_empty() || line.find(|c| c != ' ') > Some(indent));

    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in body {
        let line = line.trim();
        let (cell, new_row) = match (line.strip_prefix("* - "), line.strip_prefix("- ")) {
            (Some(cell), _) => (cell, true),
            (None, Some(cell)) => (cell, false),
            // A cell that goes on, or an option of the table.
            (None, None) => {
                if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                    cell.push(' ');
                    cell.push_str(line);
                }
                continue;
            }
        };
        if new_row {
            rows.push(Vec::new());
        }
        rows.last_mut()?.push(cell.to_owned());
    }
    for cell in rows.iter_mut().flatten() {
        *cell = cell.trim().replace("``", "");
    }
    if rows.is_empty() {
        return None;
    }
    rows.remove(0);
    Some(rows)
}

/// Returns the rows of every `list-table` of the document, without the heads.
fn all_rows(document: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = document.lines().collect();
    (0..lines.len())
        .filter(|&at| lines[at].trim().starts_with(".. list-table::"))
        .filter_map(|at| table(&lines[at..]))
        .flatten()
        .collect()
}

/// Compares a table of the document, but for its last column, which tells what it means.
fn compare(document: &str, title: &str, expected: &[Vec<String>], wrong: &mut Vec<String>) {
    let Some(lines) = section(document, title) else {
        wrong.push(format!("no section \"{title}\""));
        return;
    };
    let Some(rows) = table(&lines) else {
        wrong.push(format!("no list-table in \"{title}\""));
        return;
    };
    for index in 0..rows.len().max(expected.len()) {
        let (found, expected) = match (rows.get(index), expected.get(index)) {
            (Some(found), Some(expected)) => (found, expected),
            (None, expected) => {
                wrong.push(format!("{title}: no row for {expected:?}"));
                continue;
            }
            (found, None) => {
                wrong.push(format!("{title}: a row too many: {found:?}"));
                continue;
            }
        };
        let Some((meaning, rest)) = found.split_last() else {
            continue;
        };
        if rest != expected.as_slice() {
            wrong.push(format!("{title}: {rest:?} should be {expected:?}"));
        }
        if meaning.is_empty() {
            wrong.push(format!("{title}: {expected:?} has no meaning"));
        }
    }
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

fn check(document: &str) -> Vec<String> {
    let mut wrong = Vec::new();

    let header = [
        row([&0, &2, &"__s16", &"type"]),
        row([&2, &2, &"__s16", &"len"]),
        row([&4, &4, &"__u32", &"parent"]),
    ];
    compare(document, "Header", &header, &mut wrong);

    for kind in Kind::ALL {
        let rows: Vec<_> = kind
            .fields()
            .iter()
            .map(|field| {
                let size: &dyn ToString = match field.kind.is_rest() {
                    true => &"len",
                    false => &field.size,
                };
                row([&field.offset, size, &field.c_type(), &field.name])
            })
            .collect();
        let title = format!("{} ({})", kind.name(), kind.number());
        compare(document, &title, &rows, &mut wrong);
    }

    let extent = [
        row([&0, &8, &"__u64", &"start"]),
        row([&8, &4, &"__u32", &"nr_pages"]),
        row([&12, &4, &"__u32", &"flags"]),
    ];
    compare_second(document, Kind::Extents, &extent, &mut wrong);
    let extent = [
        row([&0, &8, &"__u64", &"start"]),
        row([&8, &8, &"__u64", &"from_start"]),
        row([&16, &4, &"__u32", &"nr_pages"]),
        row([&20, &4, &"__u32", &"from_task"]),
    ];
    compare_second(document, Kind::SharedExtents, &extent, &mut wrong);

    check_constants(document, &mut wrong);
    check_header(document, &mut wrong);
    wrong
}

/// Compares the second table of the section of a record.
fn compare_second(document: &str, kind: Kind, expected: &[Vec<String>], wrong: &mut Vec<String>) {
    let title = format!("{} ({})", kind.name(), kind.number());
    let rows = section(document, &title).and_then(|lines| {
        let first = lines.iter().position(|l| l.contains("list-table::"))?;
        table(&lines[first + 1..])
    });
    let rows: Vec<_> = rows
        .unwrap_or_default()
        .into_iter()
        .map(|mut row| {
            row.pop();
            row
        })
        .collect();
    if rows != expected {
        wrong.push(format!("{title}: {rows:?} should be {expected:?}"));
    }
}

/// Every number that the C header defines has a row with its value and meaning.
fn check_header(document: &str, wrong: &mut Vec<String>) {
    let path = repository().join("include/uapi/linux/checkpoint_hdr.h");
    let header = fs::read_to_string(&path).unwrap();
    let rows = all_rows(document);
    let mut found = 0;
    for line in header.lines() {
        let mut words = line.split_whitespace();
        let (Some("#define"), Some(name), Some(value)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // What is calculated of others is in the text.
        let Some(value) = number(value) else {
            if name.starts_with("CR_") && !document.contains(name) {
                wrong.push(format!("{name} is not in the document"));
            }
            continue;
        };
        if name.ends_with("_SHIFT") {
            continue;
        }
        found += 1;
        match rows.iter().find(|row| row[0] == name) {
            Some(row) if row.len() == 3 && !row[2].is_empty() => {
                if number(&row[1]) != Some(value) {
                    wrong.push(format!("{row:?} should be {value} ({value:#x})"));
                }
            }
            _ => wrong.push(format!("no row for {name} with its meaning")),
        }
    }
    assert!(found > 120, "{found}");
}

/// The constants may stand in any order and be written as it suits them.
fn check_constants(document: &str, wrong: &mut Vec<String>) {
    let title = "Limits and constants";
    let Some(rows) = section(document, title).as_deref().and_then(table) else {
        wrong.push(format!("no list-table in \"{title}\""));
        return;
    };
    for (name, value) in [
        ("CR_VERSION", uapi::CR_VERSION.into()),
        ("CR_UTS_LEN", uapi::CR_UTS_LEN.into()),
        ("CR_ALIGN", uapi::CR_ALIGN.into()),
        ("CR_LEN_MAX", uapi::CR_LEN_MAX.into()),
        ("CR_COMM_LEN_MAX", uapi::CR_COMM_LEN_MAX.into()),
        ("CR_PATH_LEN_MAX", uapi::CR_PATH_LEN_MAX.into()),
        ("CR_NAME_LEN_MAX", uapi::CR_NAME_LEN_MAX.into()),
        ("CR_EXTENTS_MAX", uapi::CR_EXTENTS_MAX.into()),
        ("CR_PAGES_MAX", uapi::CR_PAGES_MAX.into()),
        ("CR_DATA_LEN_MAX", uapi::CR_DATA_LEN_MAX.into()),
        ("CR_OBJECTS_MAX", uapi::CR_OBJECTS_MAX.into()),
        ("CR_FDS_MAX", uapi::CR_FDS_MAX.into()),
        ("CR_LOCKS_MAX", uapi::CR_LOCKS_MAX.into()),
        ("CR_VMAS_MAX", uapi::CR_VMAS_MAX.into()),
        ("CR_PENDING_MAX", uapi::CR_PENDING_MAX.into()),
        ("CR_GROUPS_MAX", uapi::CR_GROUPS_MAX.into()),
        ("CR_FILTERS_MAX", uapi::CR_FILTERS_MAX.into()),
        ("CR_INSNS_MAX", uapi::CR_INSNS_MAX.into()),
        ("CR_TIMERS_MAX", uapi::CR_TIMERS_MAX.into()),
        ("CR_OWNERS_MAX", uapi::CR_OWNERS_MAX.into()),
        ("CR_EPOLL_ITEMS_MAX", uapi::CR_EPOLL_ITEMS_MAX.into()),
        ("CR_WATCHES_MAX", uapi::CR_WATCHES_MAX.into()),
        ("CR_POLICIES_MAX", uapi::CR_POLICIES_MAX.into()),
        ("CR_GUARDS_MAX", uapi::CR_GUARDS_MAX.into()),
        ("CR_AIO_MAX", uapi::CR_AIO_MAX.into()),
        ("CR_SEM_UNDOS_MAX", uapi::CR_SEM_UNDOS_MAX.into()),
        ("CR_TASKS_MAX", uapi::CR_TASKS_MAX.into()),
        ("CR_AFFINITY_LEN_MAX", uapi::CR_AFFINITY_LEN_MAX.into()),
        ("CR_LABEL_LEN_MAX", uapi::CR_LABEL_LEN_MAX.into()),
        ("CR_WORDS_MAX", uapi::CR_WORDS_MAX.into()),
        ("CR_NR_LIMITS", uapi::CR_NR_LIMITS.into()),
        ("CR_LDT_MAX", uapi::CR_LDT_MAX.into()),
        ("CHECKPOINT_MAGIC_HEAD", uapi::CHECKPOINT_MAGIC_HEAD),
        ("CHECKPOINT_MAGIC_TAIL", uapi::CHECKPOINT_MAGIC_TAIL),
    ] {
        let Some(row) = rows.iter().find(|row| row[0] == name) else {
            wrong.push(format!("{title}: no row for {name}"));
            continue;
        };
        let found = row.get(1).and_then(|text| number(text));
        if found != Some(value) {
            wrong.push(format!("{title}: {row:?} should be {value} ({value:#x})"));
        }
        if row.get(2).is_none_or(|meaning| meaning.is_empty()) {
            wrong.push(format!("{title}: {name} has no meaning"));
        }
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[test]
fn document_has_every_field() {
    let wrong = check(&document());
    assert!(wrong.is_empty(), "{FILE}:\n{}", wrong.join("\n"));
}

/// The check would see it if the document was wrong.
#[test]
fn every_wrong_row_is_seen() {
    let document = document();
    for (right, wrong) in [
        ("TASK (101)", "TASK (102)"),
        ("__s32", "__u32"),
        ("exit_signal", "exitsignal"),
        ("char[64]", "char[65]"),
        ("4096", "4097"),
        ("THREAD (102)", "THRAED (102)"),
        ("struct cr_extent[]", "struct cr_extent[1]"),
        ("nr_pages\n     - How many", "pages\n     - How many"),
        (
            "``CR_VMA_SEALED``\n     - 0x10000",
            "``CR_VMA_SEALED``\n     - 0x1000",
        ),
        ("``CR_FILE_INHERIT``\n", "``CR_FILE_OTHER``\n"),
        ("CR_NO_TIMEOUT", "CR_NOTIMEOUT"),
        ("65536", "65537"),
    ] {
        assert!(document.contains(right), "no {right} in {FILE}");
        assert!(
            !check(&document.replace(right, wrong)).is_empty(),
            "{wrong}"
        );
    }
}

/// `uapi.h` repeats the magic numbers that a patch puts into the kernel's `magic.h`.
#[test]
fn magic_numbers_are_those_of_the_kernel() {
    // In an exported tree, the patches are applied.
    let mut sources = vec![repository().join("include/uapi/linux/magic.h")];
    for entry in fs::read_dir(repository().join("patches"))
        .into_iter()
        .flatten()
    {
        sources.push(entry.unwrap().path());
    }
    for (name, value) in [
        ("CHECKPOINT_MAGIC_HEAD", uapi::CHECKPOINT_MAGIC_HEAD),
        ("CHECKPOINT_MAGIC_TAIL", uapi::CHECKPOINT_MAGIC_TAIL),
    ] {
        let found: Vec<_> = sources
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|text| {
                text.lines()
                    .map(|line| line.strip_prefix('+').unwrap_or(line))
                    .filter_map(|line| {
                        let mut words = line.split_whitespace();
                        let define = (words.next()?, words.next()?);
                        let value = words.next()?.trim_end_matches(['U', 'L']);
                        (define == ("#define", name)).then(|| number(value))?
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(found, [value], "{name}");
    }
}

/// The example is an image.
#[test]
fn example_is_the_smallest_image() {
    let document = document();
    let example = section(&document, "Example").unwrap();
    let mut bytes = Vec::new();
    for line in example {
        let Some((offset, rest)) = line.trim().split_once("  ") else {
            continue;
        };
        let Some((hex, _)) = rest.split_once('|') else {
            continue;
        };
        assert_eq!(usize::from_str_radix(offset, 16), Ok(bytes.len()), "{line}");
        for byte in hex.split_whitespace() {
            bytes.push(u8::from_str_radix(byte, 16).unwrap());
        }
    }
    assert_eq!(bytes, ImageBuilder::new().build());
}
