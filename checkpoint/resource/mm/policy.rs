// SPDX-License-Identifier: GPL-2.0

//! NUMA policies: of mappings, by mbind(2), and of the task, by set_mempolicy(2).

use kernel::{
    mm::{
        policy::{
            self,
            TaskPolicy, //
        },
        rebuild::Rebuild,
        snapshot::AddressSpace, //
    },
    prelude::*, //
};
use zerocopy::{
    FromBytes,
    IntoBytes, //
};

use crate::{
    image::Policy,
    resource::{
        Collect,
        Prepare, //
    },
    uapi, //
};

use super::Mappings;

/// Finds all policies, that of the task first.
pub(super) fn collect(cx: &mut Collect<'_>, space: &AddressSpace) -> Result<KVVec<Policy>> {
    let mut policies = KVVec::new();
    let mut end = 0;

    // Otherwise it is that of a thread, which has it itself.
    if cx.member()?.is_alive() {
        if let Some(found) = of_task(cx)? {
            policies.push(found, GFP_KERNEL_ACCOUNT)?;
        }
    }
    while let Some(found) = space.policy_above(end)? {
        if policies.len() >= uapi::CR_POLICIES_MAX as usize {
            return Err(cx.refuse(format_args!(
                "more than {} memory policies",
                uapi::CR_POLICIES_MAX
            )));
        }
        end = found.end();
        policies.push(read(&found)?, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(policies)
}

/// Finds the policy of the task, if set_mempolicy(2) gave it one.
pub(in crate::resource) fn of_task(cx: &Collect<'_>) -> Result<Option<Policy>> {
    policy::Policy::of_task(cx.task)
        .map(|found| read(&found))
        .transpose()
}

/// Makes a record of what the kernel has.
fn read(found: &policy::Policy) -> Result<Policy> {
    Policy::read_from_bytes(found.bytes()).map_err(|_| EINVAL)
}

/// Gives all mappings their policies, before there are pages.
pub(super) fn set(
    cx: &mut Prepare<'_>,
    space: &mut Rebuild,
    policies: &[Policy],
    mappings: &Mappings,
) -> Result {
    for policy in policies.iter().filter(|policy| !policy.is_of_task()) {
        let (start, end) = (policy.start, policy.end);

        if mappings.containing(start).is_none_or(|vma| vma.end < end) {
            return Err(cx.fail(
                EINVAL,
                format_args!("memory policy of {start:x}-{end:x}: it is for no mapping"),
            ));
        }
        space
            .set_policy(&policy::Policy::from_bytes(policy.as_bytes())?)
            .map_err(|e| unset(cx, e, format_args!("memory policy of {start:x}-{end:x}")))?;
    }
    Ok(())
}

/// Gives the caller the policy of the task, or that of a task which has none.
pub(in crate::resource) fn begin(cx: &mut Prepare<'_>, policies: &[Policy]) -> Result<TaskPolicy> {
    let mut own = policies.iter().filter(|policy| policy.is_of_task());
    let policy = match own.next() {
        Some(policy) => Some(policy::Policy::from_bytes(policy.as_bytes())?),
        None => None,
    };

    if own.next().is_some() {
        return Err(cx.fail(EINVAL, format_args!("memory policy: the task has two")));
    }
    TaskPolicy::begin(cx.caller, policy.as_ref())
        .map_err(|e| unset(cx, e, format_args!("memory policy")))
}

/// Logs why a policy cannot be set.
fn unset(cx: &mut Prepare<'_>, error: Error, what: core::fmt::Arguments<'_>) -> Error {
    if error == EINVAL {
        return cx.fail(
            error,
            format_args!("{what}: there are no such nodes for the caller: {error:?}"),
        );
    }
    cx.fail(error, format_args!("{what}: {error:?}"))
}
