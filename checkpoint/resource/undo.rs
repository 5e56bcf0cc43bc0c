// SPDX-License-Identifier: GPL-2.0

//! What semop(2) with `SEM_UNDO` has left to undo when a process ends.
//!
//! Semaphores are not in an image. Like a lock on a file, what is held of them is given back when a
//! process is killed, and taken again when it is restored: of the same set, by the right of the
//! restarter, and only if nobody has to be waited for. What lowers a value is taken before what raises
//! one, for which others may wait.
//!
//! A list may be that of several tasks. It comes with the first.

use kernel::{
    prelude::*,
    task::{
        undo::Undoing,
        CurrentTask, //
    },
    uapi,
};

use crate::{
    image::{
        self,
        Item, //
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
};

pub(crate) struct UndoState;

/// What there is to undo of a set.
pub(crate) struct Undo {
    set: image::SemUndo,
    adjs: KVVec<image::SemAdj>,
}

/// What an image says.
#[derive(Default)]
pub(crate) struct Image {
    undos: KVVec<Undo>,
}

/// What is committed.
pub(crate) struct Prepared {
    undos: KVVec<Undo>,
    undoing: Undoing,
}

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_sem_undo, nr_adjs: usize) -> image::SemUndo {
    image::SemUndo {
        sem_ctime: from.sem_ctime,
        semid: from.semid,
        key: from.key,
        cuid: from.cuid,
        cgid: from.cgid,
        sem_nsems: from.sem_nsems,
        // At most as many as there are semaphores.
        nr_adjs: nr_adjs as u32,
    }
}

/// Checks that a set is there, and is the one of the image.
fn check(cx: &mut Prepare<'_>, set: &image::SemUndo) -> Result {
    let semid = set.semid;

    match cx.caller.semaphores(semid) {
        Ok(now) if record(&now, set.nr_adjs as usize) == *set => Ok(()),
        Ok(_) => Err(cx.fail(
            ESTALE,
            format_args!("semaphore set {semid}: it is another one than at the checkpoint"),
        )),
        Err(e) if e == EIDRM => Err(cx.fail(
            e,
            format_args!("semaphore set {semid}: it is not there any more"),
        )),
        Err(e) => Err(e),
    }
}

/// Does again what there is to undo: what lowers values, or what raises them.
fn take(cx: &mut Prepare<'_>, undoing: &Undoing, undos: &[Undo], raises: bool) -> Result {
    for undo in undos {
        let semid = undo.set.semid;
        let mut taken = false;

        for adj in undo.adjs.iter().filter(|adj| (adj.semadj < 0) == raises) {
            let num = adj.sem_num;
            // No value can be raised by more than there is in 15 bits.
            let Some(op) = adj
                .semadj
                .checked_neg()
                .and_then(|op| i16::try_from(op).ok())
            else {
                return Err(cx.fail(
                    ERANGE,
                    format_args!(
                        "semaphore set {semid}: semaphore {num}: it cannot be raised so far"
                    ),
                ));
            };
            let num = u16::try_from(num)?;

            if !taken {
                check(cx, &undo.set)?;
                taken = true;
            }
            undoing
                .take(semid, num, op)
                .map_err(|e| not_taken(cx, semid, num, op, e))?;
        }
        // It may have been made anew, with the same number, since.
        if taken {
            check(cx, &undo.set)?;
        }
    }
    Ok(())
}

/// Logs why a semaphore cannot be taken.
fn not_taken(cx: &mut Prepare<'_>, semid: i32, num: u16, op: i16, error: Error) -> Error {
    match error {
        e if e == EAGAIN => cx.fail(
            e,
            format_args!(
                "semaphore set {semid}: semaphore {num}: it is in use: its value is below {}",
                -i32::from(op)
            ),
        ),
        e if e == EACCES => cx.fail(
            e,
            format_args!("semaphore set {semid}: semaphore {num}: the caller may not change it"),
        ),
        e => cx.fail(
            e,
            format_args!("semaphore set {semid}: semaphore {num}: it cannot be changed: {e:?}"),
        ),
    }
}

impl Resource for UndoState {
    const SCOPE: Scope = Scope::Thread;

    /// [`None`] if the task has no list, or that of another.
    type Found = Option<KVVec<Undo>>;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let member = cx.member()?;
        let mut undos = KVVec::new();
        let mut semid = -1;

        if member.kin.sysvsem == 0 || member.sysvsem != 0 {
            return Ok(None);
        }
        while let Some(next) = cx.task.undo_behind(semid) {
            semid = next;
            let undo = match cx.task.undo(semid) {
                Ok(undo) => undo,
                // Somebody has removed it.
                Err(e) if e == EIDRM => continue,
                Err(e) => return Err(e),
            };
            let mut adjs = KVVec::new();

            for (sem_num, &semadj) in (0..).zip(&undo.semadj).filter(|(_, &semadj)| semadj != 0) {
                let semadj = semadj.into();

                adjs.push(image::SemAdj { sem_num, semadj }, GFP_KERNEL_ACCOUNT)?;
            }
            if adjs.is_empty() {
                continue;
            }
            if undos.len() >= uapi::CR_SEM_UNDOS_MAX as usize {
                return Err(cx.refuse(format_args!(
                    "SEM_UNDO with more than {} sets",
                    uapi::CR_SEM_UNDOS_MAX
                )));
            }
            let set = record(&undo.set, adjs.len());
            undos.push(Undo { set, adjs }, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Some(undos))
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let Some(undos) = found else {
            return Ok(());
        };

        to.record(&image::SemUndoList {
            nr_undos: undos.len() as u32,
            reserved: 0,
        })?;
        for undo in undos {
            to.record(&undo.set)?;
            undo.adjs.iter().try_for_each(|adj| to.record(adj))?;
        }
        Ok(())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::SemUndo(set) => image.undos.push(
                Undo {
                    set: *set,
                    adjs: KVVec::new(),
                },
                GFP_KERNEL_ACCOUNT,
            )?,
            Item::SemAdj(adj) => {
                if let Some(undo) = image.undos.last_mut() {
                    undo.adjs.push(*adj, GFP_KERNEL_ACCOUNT)?;
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let undos = image.undos;

        if undos.is_empty() {
            return Ok(None);
        }
        // By now there is a list: see `task.rs`.
        let undoing = Undoing::new(cx.caller);

        take(cx, &undoing, &undos, false)?;
        Ok(Some(Prepared { undos, undoing }))
    }

    fn complete(prepared: &mut Self::Prepared, cx: &mut Prepare<'_>) -> Result {
        match prepared {
            Some(prepared) => take(cx, &prepared.undoing, &prepared.undos, true),
            None => Ok(()),
        }
    }

    fn commit(prepared: Self::Prepared, _caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            prepared.undoing.keep();
        }
    }
}
