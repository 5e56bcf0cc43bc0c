// SPDX-License-Identifier: GPL-2.0

//! Credentials: who a task is, and what it may do.
//!
//! Nothing is given to anybody. The caller of restart(2) gets the credentials that the image says if
//! it could have got them by system calls, in some order: setresuid(2) and its kin, setgroups(2),
//! capset(2), prctl(2). Otherwise the restart ends, and the log names the field.
//!
//! The caller's credentials stay what they are until the commit. So files of the image are opened by
//! the caller's rights, and count as opened by the caller ever after: a program that opened a file and
//! then gave up its privileges is restored by somebody who may open that file. Accounts, such as those
//! of pipes and watches, are the caller's for the same reason.
//!
//! Keyrings of sessions and users are the caller's, too. A keyring of a process or a thread is not in
//! an image, and the caller's ends as by execve(2).

use kernel::{
    prelude::*,
    task::{
        creds::{
            Acquired,
            Refused, //
        },
        CurrentTask, //
    }, //
};

use crate::{
    image::{
        self,
        Item,
        Kind, //
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

pub(crate) struct CredState;

/// Credentials with the supplementary groups, ascending.
#[derive(Default)]
pub(crate) struct Credentials {
    creds: Option<image::Creds>,
    groups: KVVec<u32>,
}

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_creds) -> image::Creds {
    image::Creds {
        uid: from.uid,
        euid: from.euid,
        suid: from.suid,
        fsuid: from.fsuid,
        gid: from.gid,
        egid: from.egid,
        sgid: from.sgid,
        fsgid: from.fsgid,
        securebits: from.securebits,
        ngroups: from.ngroups,
        cap_inheritable: from.cap_inheritable,
        cap_permitted: from.cap_permitted,
        cap_effective: from.cap_effective,
        cap_bset: from.cap_bset,
        cap_ambient: from.cap_ambient,
        no_new_privs: from.no_new_privs,
        reserved: 0,
    }
}

/// The opposite of [`record()`].
fn wanted(image: &image::Creds) -> uapi::cr_hdr_creds {
    uapi::cr_hdr_creds {
        uid: image.uid,
        euid: image.euid,
        suid: image.suid,
        fsuid: image.fsuid,
        gid: image.gid,
        egid: image.egid,
        sgid: image.sgid,
        fsgid: image.fsgid,
        securebits: image.securebits,
        ngroups: image.ngroups,
        cap_inheritable: image.cap_inheritable,
        cap_permitted: image.cap_permitted,
        cap_effective: image.cap_effective,
        cap_bset: image.cap_bset,
        cap_ambient: image.cap_ambient,
        no_new_privs: image.no_new_privs,
        reserved: 0,
    }
}

/// The value of a field that is a number.
fn number(creds: &image::Creds, field: &str) -> Option<u32> {
    Some(match field {
        "uid" => creds.uid,
        "euid" => creds.euid,
        "suid" => creds.suid,
        "fsuid" => creds.fsuid,
        "gid" => creds.gid,
        "egid" => creds.egid,
        "sgid" => creds.sgid,
        "fsgid" => creds.fsgid,
        "no_new_privs" => creds.no_new_privs,
        _ => return None,
    })
}

/// The value of a field that is a set of bits.
fn bits(creds: &image::Creds, field: &str) -> Option<u64> {
    Some(match field {
        "cap_inheritable" => creds.cap_inheritable,
        "cap_permitted" => creds.cap_permitted,
        "cap_effective" => creds.cap_effective,
        "cap_bset" => creds.cap_bset,
        "cap_ambient" => creds.cap_ambient,
        "securebits" => creds.securebits.into(),
        _ => return None,
    })
}

/// Logs why the caller cannot get what the image has.
fn refused(cx: &mut Prepare<'_>, why: Refused, image: &image::Creds) -> Error {
    let Refused { error, field } = why;
    let Some(field) = field else {
        return cx.fail(error, format_args!("credentials: {error:?}"));
    };
    let own = match cx.caller.credentials() {
        Ok((own, _)) => record(&own),
        Err(e) => return e,
    };

    if error == EINVAL {
        return match number(image, field) {
            Some(id) => cx.fail(
                error,
                format_args!("credentials: {field} {id}: none in the caller's user namespace"),
            ),
            None => cx.fail(
                error,
                format_args!("credentials: {field}: one is none in the caller's user namespace"),
            ),
        };
    }
    if let (Some(own), Some(image)) = (number(&own, field), number(image, field)) {
        cx.fail(
            error,
            format_args!("credentials: {field} is {own}, the image has {image}"),
        )
    } else if let (Some(own), Some(image)) = (bits(&own, field), bits(image, field)) {
        cx.fail(
            error,
            format_args!("credentials: {field} is {own:#x}, the image has {image:#x}"),
        )
    } else {
        cx.fail(
            error,
            format_args!("credentials: the image has other supplementary {field}"),
        )
    }
}

impl Resource for CredState {
    const SCOPE: Scope = Scope::Task;

    type Found = Credentials;
    type Image = Credentials;
    type Prepared = Option<Acquired>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let (creds, mut groups) = cx.task.credentials().map_err(|e| {
            if e == EXDEV {
                cx.refuse(format_args!("another user namespace than the caller's"))
            } else if e == EOVERFLOW {
                cx.refuse(format_args!(
                    "an id without a number in the caller's user namespace"
                ))
            } else {
                cx.fail(e, format_args!("credentials: {e:?}"))
            }
        })?;

        if groups.len() > uapi::CR_GROUPS_MAX as usize {
            return Err(cx.refuse(format_args!("having {} groups", groups.len())));
        }
        // The kernel sorts them by its own numbers, which another namespace may order differently.
        groups.sort_unstable();
        Ok(Credentials {
            creds: Some(record(&creds)),
            groups,
        })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        if let Some(creds) = &found.creds {
            to.record(creds)?;
        }
        if !found.groups.is_empty() {
            to.bytes(Kind::Groups, found.groups.as_slice().as_bytes())?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Creds(creds) => image.creds = Some(*creds),
            Item::Groups(bytes) => {
                for group in image::u32s(bytes) {
                    image.groups.push(group, GFP_KERNEL_ACCOUNT)?;
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let Some(creds) = image.creds else {
            return Ok(None);
        };

        Acquired::new(cx.caller, &wanted(&creds), &image.groups)
            .map(Some)
            .map_err(|why| refused(cx, why, &creds))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(acquired) = prepared {
            acquired.commit(caller);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_creds)]
mod tests {
    use super::*;

    /// The field that the current task, which is the kernel itself, cannot have as `change` makes
    /// it, or `None` if it can.
    fn missed(change: fn(&mut uapi::cr_hdr_creds)) -> Result<Option<&'static str>> {
        let caller = current!();
        let (mut creds, groups) = caller.credentials()?;

        change(&mut creds);
        match Acquired::new(caller, &creds, &groups) {
            Ok(_dropped) => Ok(None),
            Err(refused) => refused.field.map(Some).ok_or(refused.error),
        }
    }

    #[test]
    fn every_field_has_a_value() {
        let creds = image::Creds {
            fsgid: 7,
            cap_ambient: 9,
            ..Default::default()
        };

        assert!(number(&creds, "fsgid") == Some(7));
        assert!(bits(&creds, "cap_ambient") == Some(9));
        assert!(number(&creds, "cap_ambient").is_none());
        assert!(bits(&creds, "groups").is_none());
    }

    #[test]
    fn a_task_has_its_own_credentials() -> Result {
        assert!(missed(|_| ())?.is_none());
        Ok(())
    }

    #[test]
    fn who_may_everything_gets_what_is_less() -> Result {
        assert!(missed(|creds| {
            (creds.uid, creds.euid, creds.suid, creds.fsuid) = (1, 2, 3, 4);
            (creds.gid, creds.egid, creds.sgid, creds.fsgid) = (5, 6, 7, 8);
            (creds.cap_permitted, creds.cap_effective) = (3, 1);
            (creds.cap_inheritable, creds.cap_ambient) = (2, 2);
            creds.cap_bset = 3;
            creds.securebits = 0xff;
            creds.no_new_privs = 1;
        })?
        .is_none());
        Ok(())
    }

    #[test]
    fn nothing_of_the_task_changes() -> Result {
        let caller = current!();
        let before = caller.credentials()?;

        missed(|creds| creds.euid = 1000)?;
        let after = caller.credentials()?;
        assert!(record(&before.0) == record(&after.0));
        assert!(before.1.as_slice() == after.1.as_slice());
        Ok(())
    }
}
