// SPDX-License-Identifier: GPL-2.0

//! What watches over a task: the label that a security module gave to it, and the login that the
//! audit subsystem counts it to.
//!
//! C headers: [`include/linux/security.h`](srctree/include/linux/security.h),
//! [`include/linux/audit.h`](srctree/include/linux/audit.h)

use crate::{
    bindings,
    error::to_result,
    prelude::*,
    task::{
        CurrentTask,
        Task, //
    },
    uapi, //
};

/// What stands for no login uid.
const NO_UID: u32 = u32::MAX;

/// A login, as the audit subsystem knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user who logged in, in the user namespace of the current task.
    pub uid: u32,
    /// The number of the session.
    pub session: u32,
}

impl Task {
    /// Returns the label that a security module gave to the task, empty if there is none.
    ///
    /// # Errors
    ///
    /// `E2BIG` if it has more than `CR_LABEL_LEN_MAX` bytes; whatever the module answers.
    #[doc(alias = "security_getprocattr")]
    pub fn label(&self) -> Result<KVec<u8>> {
        let get = |label: &mut [u8]| {
            // SAFETY: `self` is a valid task, and the slice has as many bytes as the function is
            // told.
            unsafe {
                bindings::checkpoint_label_get(
                    self.as_ptr(),
                    label.as_mut_ptr().cast(),
                    label.len() as u32,
                )
            }
        };

        // Mostly there is none, and no need of memory.
        if get(&mut []) == 0 {
            return Ok(KVec::new());
        }
        let max = uapi::CR_LABEL_LEN_MAX as usize;
        let mut label = KVec::from_elem(0u8, max, GFP_KERNEL_ACCOUNT)?;
        let len = get(&mut label);
        to_result(len.min(0))?;
        label.truncate(len as usize);
        Ok(label)
    }

    /// Returns the login that the task is counted to, if there is one.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if its user has no number in the user namespace of the current task.
    #[doc(alias = "audit_get_loginuid")]
    pub fn login(&self) -> Result<Option<Login>> {
        let mut login = Login { uid: 0, session: 0 };

        // SAFETY: `self` is a valid task, and the pointers are those of local variables.
        let set = unsafe {
            bindings::checkpoint_loginuid_get(self.as_ptr(), &mut login.uid, &mut login.session)
        };
        to_result(set.min(0))?;
        Ok((set != 0).then_some(login))
    }
}

/// A login uid that the current task may set.
///
/// # Invariants
///
/// If there is one, the current task was permitted to set it.
#[derive(Default)]
pub struct PreparedLogin(Option<u32>);

impl PreparedLogin {
    /// Finds out whether the current task may have the login uid `uid`, or none.
    ///
    /// # Errors
    ///
    /// `EPERM` if it may not, `EINVAL` if it is no user in its user namespace.
    pub fn new(_task: &CurrentTask, uid: Option<u32>) -> Result<Self> {
        let uid = uid.unwrap_or(NO_UID);

        // SAFETY: The function has no requirements.
        let changes = unsafe { bindings::checkpoint_loginuid_prepare(uid) };
        to_result(changes.min(0))?;
        // INVARIANT: The function has checked it.
        Ok(Self((changes != 0).then_some(uid)))
    }

    /// Sets the login uid, if it has to change. The session gets a new number.
    pub fn commit(self, _task: &CurrentTask) {
        if let Some(uid) = self.0 {
            // SAFETY: By the invariant of the type the current task was permitted to do so.
            unsafe { bindings::checkpoint_loginuid_commit(uid) };
        }
    }
}
