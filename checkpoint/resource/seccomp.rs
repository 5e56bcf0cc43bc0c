// SPDX-License-Identifier: GPL-2.0

//! Which system calls a task may make.
//!
//! Filters of the caller stay, as they do over execve(2): a restart is no way out of them. Filters
//! that the caller has got from the same hand as the process of the image, which are the first of
//! both, are not installed twice.
//!
//! An interrupted system call that is issued again passes the filters again, as it does after a signal.
//! Whether seccomp has mitigated speculation is said where the controls of speculation are.

use kernel::{
    prelude::*,
    task::{
        creds::seccomp::{
            Filter,
            Filtering, //
        },
        CurrentTask, //
    },
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

/// `SECCOMP_MODE_*`
const MODE_DISABLED: u32 = 0;
const MODE_STRICT: u32 = 1;
const MODE_FILTER: u32 = 2;

/// No task has more instructions, in all of its filters.
const INSNS_MAX: usize = 1 << 15;

pub(crate) struct SeccompState;

/// What was found, or what an image says.
#[derive(Default)]
pub(crate) struct Seccomp {
    mode: u32,
    filters: KVVec<Filter>,
    /// How many instructions there are in all filters.
    insns: usize,
    /// No program that is executed gains privileges: filters take that.
    no_new_privs: bool,
    /// The time stamp counter cannot be read: strict mode brings that.
    no_tsc: bool,
}

/// What the caller is going to have.
pub(crate) enum Prepared {
    /// What it has.
    Same,
    Strict,
    Filters(Filtering),
}

impl Seccomp {
    /// Adds instructions to the last filter. More than any task may have are counted only.
    fn add(&mut self, words: impl Iterator<Item = u64>) -> Result {
        let Some(filter) = self.filters.last_mut() else {
            return Ok(());
        };
        for word in words {
            self.insns = self.insns.saturating_add(1);
            if self.insns <= INSNS_MAX {
                filter.insns.push(word, GFP_KERNEL_ACCOUNT)?;
            }
        }
        Ok(())
    }

    /// Makes the filters that the caller has not got.
    fn filter(&self, cx: &mut Prepare<'_>) -> Result<Filtering> {
        let mut filtering = Filtering::new(cx.caller);
        // What cannot be looked at is not the same.
        let own = cx.caller.seccomp_filters()?.unwrap_or_default();
        let same = match self.filters.get(..own.len()) {
            Some(first) if *first == *own => own.len(),
            _ => 0,
        };

        if same < self.filters.len() && !cx.caller.may_filter(self.no_new_privs) {
            return Err(cx.fail(
                EACCES,
                format_args!("seccomp: filters take no_new_privs or CAP_SYS_ADMIN"),
            ));
        }
        for (number, filter) in self.filters.iter().enumerate().skip(same) {
            filtering.push(filter).map_err(|e| {
                let number = number + 1;
                if e == EINVAL {
                    cx.fail(e, format_args!("seccomp: filter {number} is no program"))
                } else {
                    cx.fail(e, format_args!("seccomp: filter {number}: {e:?}"))
                }
            })?;
        }
        Ok(filtering)
    }
}

impl Resource for SeccompState {
    const SCOPE: Scope = Scope::Thread;

    type Found = Seccomp;
    type Image = Seccomp;
    type Prepared = Prepared;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let mut found = Seccomp {
            mode: cx.task.seccomp_mode(),
            ..Default::default()
        };

        match found.mode {
            MODE_DISABLED | MODE_STRICT => (),
            MODE_FILTER => match cx.task.seccomp_filters()? {
                Ok(filters) if filters.len() <= uapi::CR_FILTERS_MAX as usize => {
                    found.filters = filters;
                }
                Ok(filters) => {
                    let count = filters.len();
                    return Err(cx.refuse(format_args!("having {count} seccomp filters")));
                }
                Err(what) => return Err(cx.refuse(format_args!("{what}"))),
            },
            // It has made a call that it may not make, and ends.
            mode => return Err(cx.refuse(format_args!("seccomp mode {mode}"))),
        }
        Ok(found)
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&image::Seccomp {
            mode: found.mode,
            nr_filters: found.filters.len() as u32,
        })?;
        for filter in found.filters.iter() {
            to.record(&image::Filter {
                flags: if filter.log { uapi::CR_FILTER_LOG } else { 0 },
                nr_insns: filter.insns.len() as u32,
            })?;
            for insns in filter.insns.chunks(uapi::CR_WORDS_MAX as usize) {
                to.bytes(Kind::Insns, insns.as_bytes())?;
            }
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Creds(creds) => image.no_new_privs = creds.no_new_privs != 0,
            Item::TaskAttrs(attrs) => image.no_tsc = attrs.flags & uapi::CR_ATTR_NO_TSC != 0,
            Item::Seccomp(seccomp) => image.mode = seccomp.mode,
            Item::Filter(filter) => image.filters.push(
                Filter {
                    log: filter.flags & uapi::CR_FILTER_LOG != 0,
                    insns: KVVec::new(),
                },
                GFP_KERNEL_ACCOUNT,
            )?,
            Item::Insns(bytes) => image.add(image::u64s(bytes))?,
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        if image.insns > INSNS_MAX {
            return Err(cx.fail(
                ENOMEM,
                format_args!(
                    "seccomp: {} instructions, {INSNS_MAX} are the most",
                    image.insns
                ),
            ));
        }
        match image.mode {
            MODE_STRICT if !cx.caller.may_be_strict() => Err(cx.fail(
                EINVAL,
                format_args!("seccomp: strict mode, but the caller has filters"),
            )),
            MODE_STRICT if !image.no_tsc => Err(cx.fail(
                EINVAL,
                format_args!("seccomp: strict mode, but the time stamp counter can be read"),
            )),
            MODE_STRICT => Ok(Prepared::Strict),
            MODE_FILTER => image.filter(cx).map(Prepared::Filters),
            _ => Ok(Prepared::Same),
        }
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        match prepared {
            Prepared::Same => (),
            Prepared::Strict => caller.be_strict(),
            Prepared::Filters(filters) => filters.commit(caller),
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_seccomp)]
mod tests {
    use super::*;

    /// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`, as a word on a machine that begins with the
    /// lowest byte.
    const ALLOW: u64 = 0x7fff_0000_0000_0006;

    fn filter(insns: &[u64]) -> Result<Filter> {
        let mut program = KVVec::new();

        program.extend_from_slice(insns, GFP_KERNEL)?;
        Ok(Filter {
            log: false,
            insns: program,
        })
    }

    #[test]
    fn instructions_belong_to_the_last_filter() -> Result {
        let mut image = Seccomp::default();

        image.add([ALLOW].into_iter())?;
        assert!(image.insns == 0);
        image.filters.push(filter(&[])?, GFP_KERNEL)?;
        image.add([ALLOW; 3].into_iter())?;
        assert!(image.insns == 3);
        assert!(image.filters.iter().all(|filter| filter.insns.len() == 3));
        Ok(())
    }

    #[test]
    fn too_many_instructions_take_no_memory() -> Result {
        let mut image = Seccomp::default();

        image.filters.push(filter(&[])?, GFP_KERNEL)?;
        image.add(core::iter::repeat_n(ALLOW, INSNS_MAX + 5))?;
        assert!(image.insns == INSNS_MAX + 5);
        assert!(image
            .filters
            .iter()
            .all(|filter| filter.insns.len() == INSNS_MAX));
        Ok(())
    }

    #[test]
    fn a_program_is_checked() -> Result {
        let mut filters = Filtering::new(current!());

        filters.push(&filter(&[ALLOW])?)?;
        // It does not return, has no instruction, or one that there is not.
        assert!(filters.push(&filter(&[0])?) == Err(EINVAL));
        assert!(filters.push(&filter(&[])?) == Err(EINVAL));
        assert!(filters.push(&filter(&[0xffff, ALLOW])?) == Err(EINVAL));
        filters.push(&filter(&[ALLOW])?)
    }
}
