// SPDX-License-Identifier: GPL-2.0

//! What the compiler refuses because of the code that `#[derive(Record)]` generates.
//!
//! How a compiler words such an error differs from version to version. So, other than in
//! `tools/macros/tests/ui`, only the words that are told by `//~` in the source have to be in it.

use std::{
    env, fs,
    path::Path,
    process::{
        Command,
        Output, //
    },
};

#[test]
fn refused_by_the_compiler() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layout");
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();

    let mut failures = Vec::new();
    let mut names: Vec<_> = fs::read_dir(sources)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in &names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} has no [[example]] in Cargo.toml"
        );
        let source = fs::read_to_string(path).unwrap();
        let expected: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        assert!(
            !expected.is_empty(),
            "{name} does not say what is wrong with it"
        );

        let output = build(name);
        if output.status.success() {
            failures.push(format!("{name}: compiles"));
        }
        let messages = String::from_utf8_lossy(&output.stderr);
        for message in expected {
            if !messages.contains(message) {
                failures.push(format!("{name}: no \"{message}\" in:\n{messages}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{} records refused", names.len());
}

/// Builds it, rather than only checks it: what it depends on has been built for this test.
fn build(example: &str) -> Output {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--features=refused"])
        .args(["--package=ckpt_image", "--example", example])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // The messages are compared as text.
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .unwrap()
}
