// SPDX-License-Identifier: GPL-2.0

//! `ckpt inspect`

mod common;

use ckpt_image::{reseal, ImageBuilder};
use common::{
    ckpt, expected, flip, process, run, sample, Files, SIZE, STRING, TAIL, TASK, TASK_STATS,
};
use serde_json::json;

#[test]
fn table() {
    let done = run(ckpt(["inspect", "-"]).write_stdin(sample()));
    expected("inspect.txt", &done.code(0).quiet().out);
}

#[test]
fn a_file_is_as_good_as_a_pipe() {
    let files = Files::new();
    let file = files.add("image", &sample());
    let from_file = run(ckpt(["inspect"]).arg(file)).code(0).quiet();
    let from_pipe = run(ckpt(["inspect", "-"]).write_stdin(sample()));
    assert_eq!(from_file.out, from_pipe.out);
}

#[test]
fn raw() {
    let done = run(ckpt(["inspect", "--raw", "-"]).write_stdin(sample()));
    expected("inspect-raw.txt", &done.code(0).quiet().out);
}

#[test]
fn raw_has_every_byte() {
    let image = sample();
    let done = run(ckpt(["inspect", "--raw", "-"]).write_stdin(image.clone())).code(0);
    let mut bytes = Vec::new();
    for line in done.out.lines().filter(|line| !line.starts_with('#')) {
        let (offset, rest) = line.split_at(8);
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), bytes.len());
        let (hex, _) = rest.split_once('|').unwrap();
        bytes.extend(
            hex.split_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).unwrap()),
        );
    }
    assert_eq!(bytes, image);
}

#[test]
fn json() {
    let done = run(ckpt(["inspect", "--json", "-"]).write_stdin(sample()))
        .code(0)
        .quiet();
    expected("inspect.json", &done.out);
    let json = done.json();
    assert_eq!(json["schema"], "ckpt.inspect.v1");
    assert_eq!(json["ok"], true);
    let records = json["images"][0]["records"].as_array().unwrap();
    let offsets: Vec<_> = records.iter().map(|r| r["offset"].clone()).collect();
    assert_eq!(
        offsets,
        [0, TASK, STRING, TASK_STATS, TAIL].map(|o| json!(o))
    );
}

#[test]
fn json_with_raw() {
    let image = sample();
    let done = run(ckpt(["inspect", "--json", "--raw", "-"]).write_stdin(image.clone())).code(0);
    let json = done.json();
    let hex: String = json["images"][0]["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["raw"].as_str().unwrap())
        .collect();
    assert_eq!(hex.len(), 2 * image.len());
    assert!(hex.starts_with("0100f00000000000"));
}

#[test]
fn what_is_refused_is_shown() {
    let mut builder = ImageBuilder::new();
    builder.tasks[0].task.exit_state = 16;
    let done = run(ckpt(["inspect", "-"]).write_stdin(builder.build()));
    let done = done
        .code(1)
        .complaint("standard input: image offset 248: TASK: exit_state 16 is unknown");
    expected("inspect-refused.txt", &done.out);
}

#[test]
fn json_of_what_is_refused() {
    let done = run(ckpt(["inspect", "--json", "-"]).write_stdin(flip(&sample(), STRING + 9)))
        .code(1)
        .quiet();
    let json = done.json();
    assert_eq!(json["ok"], false);
    let image = &json["images"][0];
    assert_eq!(image["ok"], false);
    assert_eq!(image["error"]["kind"], "invalid");
    assert_eq!(image["error"]["offset"], TAIL);
    assert_eq!(image["error"]["record"], "TAIL");
    assert!(image["error"]["message"]
        .as_str()
        .unwrap()
        .contains("cksum"));
    let ok: Vec<_> = image["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["ok"])
        .collect();
    assert_eq!(ok, [true, true, true, true, false]);
}

#[test]
fn no_escape_sequence_reaches_the_terminal() {
    let image = ImageBuilder::new().comm(b"\x1b[2J\xffx\0").build();
    let done = run(ckpt(["inspect", "-"]).write_stdin(image)).code(0);
    assert!(done.out.contains(r#""\u{1b}[2J\xffx""#), "{}", done.out);
    assert!(!done.out.contains('\x1b'));
}

#[test]
fn unknown_record() {
    let mut image = sample();
    image[TASK] = 77;
    reseal(&mut image);
    let done = run(ckpt(["inspect", "-"]).write_stdin(image.clone()))
        .code(1)
        .complaint("standard input: image offset 248: record type 77: unknown record type");
    assert!(done.out.contains("? (77)"), "{}", done.out);
    // What is behind it need not be records.
    assert!(!done.out.contains("STRING"), "{}", done.out);

    let done = run(ckpt(["inspect", "--json", "-"]).write_stdin(image)).code(1);
    let record = &done.json()["images"][0]["records"][1];
    assert_eq!(record["type"], 77);
    assert_eq!(record["name"], serde_json::Value::Null);
    assert_eq!(record["fields"], json!({}));
}

#[test]
fn record_of_an_object() {
    let mut image = sample();
    image[TASK + 4] = 9;
    let done = run(ckpt(["inspect", "-"]).write_stdin(image)).code(1);
    assert!(done.out.contains("(parent)              9"), "{}", done.out);
}

#[test]
fn reserved_fields_are_shown_if_they_hold_something() {
    let mut builder = ImageBuilder::process();
    assert!(!run(ckpt(["inspect", "-"]).write_stdin(builder.build()))
        .out
        .contains("reserved"));
    builder.tasks[0]
        .parts
        .as_mut()
        .expect("the sample is a process")
        .creds
        .reserved = 3;
    assert!(run(ckpt(["inspect", "-"]).write_stdin(builder.build()))
        .out
        .contains("reserved              3"));
}

#[test]
fn every_truncation() {
    let image = sample();
    for len in 0..SIZE {
        let done = run(ckpt(["inspect", "--json", "-"]).write_stdin(&image[..len])).code(1);
        let json = done.json();
        let error = &json["images"][0]["error"];
        assert_eq!(error["kind"], "truncated", "{len}: {error}");
    }
}

#[test]
fn not_an_image() {
    let done = run(ckpt(["inspect", "-"]).write_stdin("#!/bin/sh\necho hello\n"));
    done.code(1)
        .stdout("")
        .complaint("standard input: not a checkpoint image");
}

#[test]
fn images_one_behind_the_other() {
    let image = sample();
    let files = Files::new();
    let two = files.add("two", &[image.clone(), image].concat());

    let done = run(ckpt(["inspect"]).arg(&two)).code(0);
    assert!(
        done.out.ends_with("; 488 more bytes not looked at\n"),
        "{}",
        done.out
    );
    assert_eq!(done.out.matches("HEAD").count(), 1);

    let done = run(ckpt(["inspect", "--all"]).arg(&two)).code(0).quiet();
    assert_eq!(done.out.matches("HEAD").count(), 2);
    assert!(done.out.contains("\n# from byte 488\n"), "{}", done.out);

    let json = run(ckpt(["inspect", "--all", "--json"]).arg(&two))
        .code(0)
        .json();
    assert_eq!(json["images"][0]["start"], 0);
    assert_eq!(json["images"][1]["start"], SIZE);
    assert_eq!(json["images"].as_array().unwrap().len(), 2);
}

#[test]
fn io_errors() {
    let files = Files::new();
    run(ckpt(["inspect", "none"]).current_dir(files.path()))
        .code(3)
        .stdout("")
        .complaint("none: No such file or directory");
    run(ckpt(["inspect", "."]).current_dir(files.path()))
        .code(3)
        .stdout("")
        .complaint(".: Is a directory");
    for path in ["none", "."] {
        let done = run(ckpt(["inspect", "--json", path]).current_dir(files.path())).code(3);
        let image = &done.json()["images"][0];
        assert_eq!(image["image"], path);
        assert_eq!(image["error"]["kind"], "io");
    }
}

#[test]
fn a_whole_process() {
    let done = run(ckpt(["inspect", "-"]).write_stdin(process()));
    expected("inspect-process.txt", &done.code(0).quiet().out);

    let done = run(ckpt(["inspect", "--json", "-"]).write_stdin(process()));
    let json = done.code(0).quiet().json();
    let image = &json["images"][0];
    assert_eq!(image["totals"]["mappings"], 11);
    assert_eq!(image["totals"]["pages"], 4);
    let bulk: Vec<_> = image["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| record.get("bulk"))
        .map(|bulk| (bulk["kind"].as_str().unwrap(), bulk["bytes"].clone()))
        .collect();
    assert_eq!(
        bulk,
        [
            ("data", json!(11)),
            ("data", json!(4096)),
            ("data", json!(100)),
            ("data", json!(32)),
            ("pages", json!(12288)),
            ("pages", json!(4096))
        ]
    );
}

#[test]
fn summary() {
    run(ckpt(["inspect", "--summary", "-"]).write_stdin(process()))
        .code(0)
        .quiet()
        .stdout(&format!(
            "# 1 task, 11 mappings, 14 descriptors, 15 open files, 1 pipe, 1 shared memory object, \
             1 deleted file, 2 timers, 3 signal actions, 2 pending signals, 4 pages, \
             4239 bytes of data\n\
             # {} bytes in 125 records; all checks passed\n",
            process().len()
        ));
    run(ckpt(["inspect", "--summary", "-"]).write_stdin(sample()))
        .code(0)
        .quiet()
        .stdout("# 488 bytes in 5 records; all checks passed\n");
}

/// What is in memory and pipes may be secret, and is not for a terminal.
#[test]
fn bulk_data_is_never_shown() {
    for args in [&["inspect", "-"][..], &["inspect", "--raw", "-"]] {
        let done = run(ckpt(args).write_stdin(process())).code(0);
        assert!(done.out.contains("11 bytes of object 1"), "{}", done.out);
        assert!(!done.out.contains("in the pipe"), "{}", done.out);
    }
}

#[test]
fn changed_pages() {
    let image = process();
    let done = run(ckpt(["inspect", "-"]).write_stdin(flip(&image, image.len() - 1000))).code(1);
    assert!(done.err.contains(": PAGES: crc is 0x"), "{}", done.err);
    let done = run(ckpt(["inspect", "-"]).write_stdin(&image[..image.len() - 1000])).code(1);
    assert!(
        done.err.contains(": PAGES: the image ends after"),
        "{}",
        done.err
    );
}

#[test]
fn a_whole_tree() {
    let image = ImageBuilder::tree().build();
    let done = run(ckpt(["inspect", "--summary", "-"]).write_stdin(image.clone()));
    expected("inspect-tree.txt", &done.code(0).quiet().out);
    // The same is below the records.
    let all = run(ckpt(["inspect", "-"]).write_stdin(image.clone())).code(0);
    let summary = run(ckpt(["inspect", "--summary", "-"]).write_stdin(image.clone()));
    assert!(all.out.ends_with(&summary.out), "{}", all.out);
    assert!(all.out.contains("1 page of task 4\n"), "{}", all.out);

    let json = run(ckpt(["inspect", "--json", "-"]).write_stdin(image))
        .code(0)
        .json();
    let tasks = json["images"][0]["tasks"].as_array().unwrap();
    let states: Vec<_> = tasks.iter().map(|task| task["state"].clone()).collect();
    assert_eq!(states[5..8], ["zombie", "outlived", "alive"]);
    assert_eq!(tasks[4]["ppid"], 413);
}
