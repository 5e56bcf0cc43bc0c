// SPDX-License-Identifier: GPL-2.0

//! Who may checkpoint and restart, and what the kernel's log hears of it.
//!
//! C headers: [`include/linux/capability.h`](srctree/include/linux/capability.h),
//! [`include/linux/printk.h`](srctree/include/linux/printk.h)

use crate::{
    bindings,
    prelude::*, //
};

/// Tells whether the current task has `CAP_CHECKPOINT_RESTORE` or `CAP_SYS_ADMIN` in the initial
/// user namespace.
///
/// As each use of a capability it is audited, and marks the task as having used its privileges.
pub fn capable() -> bool {
    // SAFETY: `init_user_ns` is static, and the function reads the credentials of the current task.
    unsafe { bindings::checkpoint_restore_ns_capable(&raw mut bindings::init_user_ns) }
}

/// Writes a line to the kernel's log where dynamic debug asks for it.
///
/// To see the lines: `echo 'file rust/helpers/checkpoint.c +p' > /proc/dynamic_debug/control`.
pub fn debug_line(line: &[u8]) {
    let Ok(len) = c_int::try_from(line.len()) else {
        return;
    };

    // SAFETY: `line` is valid for reads of `len` bytes, and the format reads no more than that.
    unsafe { bindings::checkpoint_pr_debug(line.as_ptr().cast(), len) };
}
