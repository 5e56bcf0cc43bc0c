// SPDX-License-Identifier: GPL-2.0

//! Has bindgen translate the C header of the image format, as the kernel's build does.

use std::{
    env,
    error::Error,
    fs,
    path::PathBuf, //
};

fn main() -> Result<(), Box<dyn Error>> {
    if env::var_os("LIBCLANG_PATH").is_none() {
        if let Some(path) = newest_libclang() {
            env::set_var("LIBCLANG_PATH", path);
        }
    }

    bindgen::Builder::default()
        .header("uapi.h")
        .allowlist_file(".*/checkpoint(_hdr)?\\.h")
        .allowlist_file(".*uapi\\.h")
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|e| e.to_string())?)
        .use_core()
        .ctypes_prefix("super::ffi")
        .layout_tests(false)
        .clang_args(["-funsigned-char", "-fno-builtin"])
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .generate()?
        .write_to_file(PathBuf::from(env::var("OUT_DIR")?).join("uapi.rs"))?;
    Ok(())
}

/// Returns the folder of the newest libclang in the places where Debian puts it.
///
/// The clang-sys crate looks in more places, but not for one with a version in its path.
fn newest_libclang() -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Option<u32> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("llvm-")?.parse().ok()
    };
    // libclang.so.1, libclang-19.so.19; not libclang-cpp.so.19.1, which is another library.
    let is_libclang = |name: &str| {
        let version = name.strip_prefix("libclang-");
        name.starts_with("libclang.so")
            || version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    let has_libclang = |path: &PathBuf| {
        fs::read_dir(path).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| is_libclang(&entry.file_name().to_string_lossy()))
        })
    };

    let mut found: Vec<_> = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((version(&path)?, path.join("lib"))))
        .filter(|(_, path)| has_libclang(path))
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}
