// SPDX-License-Identifier: GPL-2.0

//! What the tests of the command share.

#![allow(dead_code, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use assert_cmd::Command;
use ckpt_image::ImageBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// Offsets of the records of [`sample`].
pub(crate) const TASK: usize = 248;
pub(crate) const STRING: usize = TASK + 80;
pub(crate) const TASK_STATS: usize = STRING + 24;
pub(crate) const TAIL: usize = TASK_STATS + 112;
pub(crate) const SIZE: usize = TAIL + 24;

pub(crate) fn ckpt<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = cargo_bin_cmd!("ckpt");
    command.args(args);
    command
}

pub(crate) fn sample() -> Vec<u8> {
    ImageBuilder::new().build()
}

/// The image of a whole process.
pub(crate) fn process() -> Vec<u8> {
    ImageBuilder::process().build()
}

/// Changes a byte in a copy of `image`.
pub(crate) fn flip(image: &[u8], at: usize) -> Vec<u8> {
    let mut image = image.to_vec();
    image[at] ^= 1;
    image
}

/// A folder for files, and the files in it.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command; everything that it says must be text, and it must not be killed.
pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Done {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.code, expected,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        self
    }

    /// Checks that nothing was said on standard error.
    #[track_caller]
    pub(crate) fn quiet(self) -> Self {
        assert_eq!(self.err, "");
        self
    }

    /// Checks what was said on standard error, which is one line and nothing else.
    #[track_caller]
    pub(crate) fn complaint(self, expected: &str) -> Self {
        assert_eq!(self.err, format!("ckpt: {expected}\n"));
        self
    }

    #[track_caller]
    pub(crate) fn stdout(self, expected: &str) -> Self {
        assert_eq!(self.out, expected);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Compares with a file in `tests/expected`; with `UPDATE_EXPECTED` set, writes the file.
#[track_caller]
pub(crate) fn expected(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expected")
        .join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(
        found, expected,
        "{name} is not as expected; if it should be so, set UPDATE_EXPECTED and run again"
    );
}
