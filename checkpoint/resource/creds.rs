// SPDX-License-Identifier: GPL-2.0

//! Credentials: who a task is, and what it may do.
//!
//! Nothing is given to anybody: the caller of restart(2) must have the credentials that the image
//! says, all of them. Keys, and what a security module keeps for a task, are the caller's.

use kernel::{
    prelude::*,
    task::CurrentTask, //
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
        Saving, //
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

/// Names the first field in which two credentials differ, with the two values.
fn difference(own: &image::Creds, image: &image::Creds) -> Option<(&'static str, u64, u64)> {
    [
        ("uid", u64::from(own.uid), u64::from(image.uid)),
        ("euid", own.euid.into(), image.euid.into()),
        ("suid", own.suid.into(), image.suid.into()),
        ("fsuid", own.fsuid.into(), image.fsuid.into()),
        ("gid", own.gid.into(), image.gid.into()),
        ("egid", own.egid.into(), image.egid.into()),
        ("sgid", own.sgid.into(), image.sgid.into()),
        ("fsgid", own.fsgid.into(), image.fsgid.into()),
        (
            "no_new_privs",
            own.no_new_privs.into(),
            image.no_new_privs.into(),
        ),
    ]
    .into_iter()
    .find(|(_, own, image)| own != image)
}

/// Likewise, for what is a set of bits.
fn set_difference(own: &image::Creds, image: &image::Creds) -> Option<(&'static str, u64, u64)> {
    [
        (
            "cap_inheritable",
            own.cap_inheritable,
            image.cap_inheritable,
        ),
        ("cap_permitted", own.cap_permitted, image.cap_permitted),
        ("cap_effective", own.cap_effective, image.cap_effective),
        ("cap_bset", own.cap_bset, image.cap_bset),
        ("cap_ambient", own.cap_ambient, image.cap_ambient),
        ("securebits", own.securebits.into(), image.securebits.into()),
    ]
    .into_iter()
    .find(|(_, own, image)| own != image)
}

/// Tells whether two lists have the same groups: order does not matter, nor how often one is there.
fn same_groups(own: &[u32], image: &[u32]) -> bool {
    own.iter().all(|group| image.contains(group)) && image.iter().all(|group| own.contains(group))
}

impl Resource for CredState {
    type Found = Credentials;
    type Image = Credentials;
    type Prepared = ();

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
            return Ok(());
        };
        let (own, groups) = cx.caller.credentials()?;
        let own = record(&own);

        if let Some((field, own, image)) = difference(&own, &creds) {
            return Err(cx.fail(
                EPERM,
                format_args!("credentials: {field} is {own}, the image has {image}"),
            ));
        }
        if let Some((field, own, image)) = set_difference(&own, &creds) {
            return Err(cx.fail(
                EPERM,
                format_args!("credentials: {field} is {own:#x}, the image has {image:#x}"),
            ));
        }
        if !same_groups(&groups, &image.groups) {
            return Err(cx.fail(
                EPERM,
                format_args!("credentials: the image has other supplementary groups"),
            ));
        }
        Ok(())
    }

    fn commit(_prepared: Self::Prepared, _caller: &CurrentTask) {}
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_creds)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_a_set() {
        assert!(same_groups(&[], &[]));
        assert!(same_groups(&[1, 2], &[2, 1, 1]));
        assert!(!same_groups(&[1], &[]));
        assert!(!same_groups(&[], &[1]));
        assert!(!same_groups(&[1, 2], &[1, 3]));
    }

    #[test]
    fn the_field_that_differs_is_named() {
        let own = image::Creds::default();
        let mut other = own;

        assert!(difference(&own, &other).is_none());
        assert!(set_difference(&own, &other).is_none());
        other.euid = 1000;
        assert!(difference(&own, &other) == Some(("euid", 0, 1000)));
        other.cap_bset = 1;
        assert!(set_difference(&own, &other) == Some(("cap_bset", 0, 1)));
    }

    #[test]
    fn a_task_has_its_own_credentials() -> Result {
        let caller = current!();
        let (creds, groups) = caller.credentials()?;
        let again = caller.credentials()?;

        assert!(difference(&record(&creds), &record(&again.0)).is_none());
        assert!(set_difference(&record(&creds), &record(&again.0)).is_none());
        assert!(same_groups(&groups, &again.1));
        Ok(())
    }
}
