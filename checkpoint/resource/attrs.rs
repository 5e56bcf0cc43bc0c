// SPDX-License-Identifier: GPL-2.0

//! What prctl(2), setsid(2) and files in `/proc/PID` set for a task.
//!
//! Each of these is checked by the rules of the call that sets it, before anything is changed. What
//! a machine decides and no program, such as speculation that is never allowed, is that of the
//! machine.
//!
//! A task that shared its core with chosen others only, by `PR_SCHED_CORE`, shares it with nobody
//! afterwards, until it says so: it gets a cookie of its own. A caller that has a cookie keeps it if
//! the image has none: somebody may count on it.
//!
//! A task that led its session or its process group leads one again, unless the caller has a
//! controlling terminal: job control is then up to whoever started the caller. Nor does a caller
//! that leads a group get a session, for which setsid(2) is the rule.
//!
//! The label of a security module says what a task may do, and is given by the rules of the module:
//! the caller must have the same. A login that the audit subsystem counted the task to is set, if
//! the caller may do that; without one, whoever restarts it is accountable.

use kernel::{
    prelude::*,
    task::{
        attrs::{
            Attrs,
            Cookie, //
        },
        creds::security::PreparedLogin,
        CurrentTask, //
    },
};

use crate::{
    image::{
        self,
        Item,
        Text,
        Value, //
    },
    resource::{
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
    },
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
    uapi, //
};

pub(crate) struct AttrState;

/// What of job control a task leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Leads {
    session: bool,
    group: bool,
}

impl Leads {
    fn of(task: &image::Task) -> Self {
        Self {
            session: task.pid == task.sid,
            group: task.pid == task.pgid,
        }
    }
}

/// What was found.
pub(crate) struct Found {
    attrs: image::TaskAttrs,
    label: KVec<u8>,
}

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    attrs: Option<image::TaskAttrs>,
    label: KVec<u8>,
    /// The next text is the label.
    label_follows: bool,
    leads: Leads,
}

/// What is committed.
pub(crate) struct Prepared {
    attrs: Attrs,
    cookie: Option<Cookie>,
    login: Option<PreparedLogin>,
    leads: Leads,
}

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_task_attrs) -> image::TaskAttrs {
    image::TaskAttrs {
        oom_score_adj: from.oom_score_adj,
        oom_score_adj_min: from.oom_score_adj_min,
        pdeath_signal: from.pdeath_signal,
        flags: from.flags,
        spec_store_bypass: from.spec_store_bypass,
        spec_indirect_branch: from.spec_indirect_branch,
        spec_l1d_flush: from.spec_l1d_flush,
        loginuid: from.loginuid,
        sessionid: from.sessionid,
        label_len: from.label_len,
    }
}

/// The other way round.
fn attrs(from: &image::TaskAttrs) -> uapi::cr_hdr_task_attrs {
    uapi::cr_hdr_task_attrs {
        oom_score_adj: from.oom_score_adj,
        oom_score_adj_min: from.oom_score_adj_min,
        pdeath_signal: from.pdeath_signal,
        flags: from.flags,
        spec_store_bypass: from.spec_store_bypass,
        spec_indirect_branch: from.spec_indirect_branch,
        spec_l1d_flush: from.spec_l1d_flush,
        loginuid: from.loginuid,
        sessionid: from.sessionid,
        label_len: from.label_len,
    }
}

/// Adds the login of a task to its attributes.
fn find_login(cx: &mut Collect<'_>, attrs: &mut image::TaskAttrs) -> Result {
    let login = cx.task.login().map_err(|e| {
        if e == EOVERFLOW {
            cx.refuse(format_args!(
                "a login uid without a number in the caller's user namespace"
            ))
        } else {
            cx.fail(e, format_args!("login uid: {e:?}"))
        }
    })?;

    if let Some(login) = login {
        attrs.flags |= uapi::CR_ATTR_LOGINUID;
        attrs.loginuid = login.uid;
        attrs.sessionid = login.session;
    }
    Ok(())
}

/// Checks that the caller has the label of the image, if that has one.
fn check_label(cx: &mut Prepare<'_>, label: &[u8]) -> Result {
    if label.is_empty() {
        return Ok(());
    }
    let own = cx
        .caller
        .label()
        .map_err(|e| cx.fail(e, format_args!("label of a security module: {e:?}")))?;

    if own.as_slice() != label {
        return Err(cx.fail(
            EPERM,
            format_args!(
                "label of a security module is {}, the image has {}",
                Value::Text(&own),
                Value::Text(label)
            ),
        ));
    }
    Ok(())
}

impl Resource for AttrState {
    const SCOPE: Scope = Scope::Thread;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let task = cx.task;
        let label = task
            .label()
            .map_err(|e| cx.fail(e, format_args!("label of a security module: {e:?}")))?;
        let mut attrs = record(&task.attrs());

        attrs.label_len = label.len() as u32;
        find_login(cx, &mut attrs)?;
        Ok(Found { attrs, label })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.attrs)?;
        if !found.label.is_empty() {
            to.text(Text::new(&found.label).ok_or(EINVAL)?)?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        let label_follows = core::mem::take(&mut image.label_follows);

        match item {
            Item::Task(task) => image.leads = Leads::of(task),
            Item::TaskAttrs(attrs) => {
                image.attrs = Some(*attrs);
                image.label_follows = attrs.label_len() != 0;
            }
            Item::Text(label) if label_follows => {
                image.label.extend_from_slice(label, GFP_KERNEL_ACCOUNT)?
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(saved) = image.attrs else {
            return Ok(None);
        };

        check_label(cx, &image.label)?;
        let login = if saved.flags & uapi::CR_ATTR_LOGINUID != 0 {
            let uid = saved.loginuid;
            let login = PreparedLogin::new(cx.caller, Some(uid))
                .map_err(|e| cx.fail(e, format_args!("login uid {uid}: {e:?}")))?;
            Some(login)
        } else {
            None
        };
        let attrs = Attrs::new(attrs(&saved))
            .map_err(|(e, what)| cx.fail(e, format_args!("{what}: {e:?}")))?;
        let cookie = if saved.flags & uapi::CR_ATTR_CORE_SCHED != 0 {
            let cookie = Cookie::new().map_err(|e| {
                cx.fail(
                    e,
                    format_args!("prctl(PR_SCHED_CORE): {e:?}: not on this machine"),
                )
            })?;
            Some(cookie)
        } else {
            None
        };

        Ok(Some(Prepared {
            attrs,
            cookie,
            login,
            // The others get theirs from whoever makes them.
            leads: match cx.is_root() {
                true => image.leads,
                false => Leads::default(),
            },
        }))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        let Some(prepared) = prepared else {
            return;
        };

        caller.set_attrs(&prepared.attrs);
        if let Some(cookie) = &prepared.cookie {
            caller.set_cookie(cookie);
        }
        if let Some(login) = prepared.login {
            login.commit(caller);
        }
        caller.lead(prepared.leads.session, prepared.leads.group);
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_attrs)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut uapi::cr_hdr_task_attrs)) -> Option<(Error, &'static str)> {
        let mut attrs = current!().attrs();

        change(&mut attrs);
        Attrs::new(attrs).err()
    }

    #[test]
    fn a_task_may_have_its_own_attributes() {
        let own = record(&current!().attrs());

        assert!(Attrs::new(attrs(&own)).is_ok());
    }

    #[test]
    fn values_that_no_task_has_are_refused() {
        let speculation = "PR_SPEC_STORE_BYPASS of prctl(PR_SET_SPECULATION_CTRL)";

        assert!(refused(|a| a.oom_score_adj = 1001) == Some((EINVAL, "oom_score_adj")));
        assert!(refused(|a| a.oom_score_adj_min = -1001) == Some((EINVAL, "oom_score_adj")));
        assert!(refused(|a| a.pdeath_signal = 65) == Some((EINVAL, "prctl(PR_SET_PDEATHSIG)")));
        assert!(
            refused(|a| {
                a.flags |= uapi::CR_ATTR_MCE_EARLY;
                a.flags &= !uapi::CR_ATTR_MCE_SET;
            }) == Some((EINVAL, "prctl(PR_MCE_KILL)"))
        );
        // Two settings at once; none; one that does not exist.
        assert!(refused(|a| a.spec_store_bypass = 7) == Some((EINVAL, speculation)));
        assert!(refused(|a| a.spec_store_bypass = 1) == Some((EINVAL, speculation)));
        assert!(refused(|a| a.spec_store_bypass = 1 << 31) == Some((EINVAL, speculation)));
    }

    #[test]
    fn a_leader_has_its_own_number() {
        let task = |pid, pgid, sid| image::Task {
            pid,
            pgid,
            sid,
            ..image::Task::default()
        };

        assert!(!Leads::of(&task(3, 2, 1)).session && !Leads::of(&task(3, 2, 1)).group);
        assert!(Leads::of(&task(3, 3, 1)).group && !Leads::of(&task(3, 3, 1)).session);
        assert!(Leads::of(&task(3, 3, 3)).group && Leads::of(&task(3, 3, 3)).session);
    }
}
