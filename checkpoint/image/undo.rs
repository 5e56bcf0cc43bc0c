// SPDX-License-Identifier: GPL-2.0

//! What semop(2) with `SEM_UNDO` has left to undo.

use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout, //
};

use super::{
    Context,
    Reason,
    Validate, //
};
use crate::{
    uapi,
    Record, //
};

/// `USHRT_MAX` and 1: semop(2) knows no more.
const NSEMS_MAX: u32 = 65536;

/// What there is to undo of those that have one list; `CR_HDR_SEM_UNDO` follow.
///
/// C: `struct cr_hdr_sem_undo_list`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SEM_UNDO_LIST, abi = cr_hdr_sem_undo_list)]
pub struct SemUndoList {
    /// Sets of semaphores.
    pub nr_undos: u32,
    /// 0
    pub reserved: u32,
}

impl Validate for SemUndoList {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("nr_undos", self.nr_undos, 0, uapi::CR_SEM_UNDOS_MAX)
    }
}

/// A set of semaphores, ascending by `semid`, which is not in the image; `CR_HDR_SEMADJ` follow.
///
/// C: `struct cr_hdr_sem_undo`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SEM_UNDO, abi = cr_hdr_sem_undo)]
pub struct SemUndo {
    /// When it was made, or changed by semctl(2), in seconds.
    pub sem_ctime: i64,
    /// Its number.
    pub semid: i32,
    /// Its key.
    pub key: i32,
    /// Who made it, by the ids that the checkpointer sees.
    pub cuid: u32,
    /// Likewise.
    pub cgid: u32,
    /// How many semaphores it has, at most 65536.
    pub sem_nsems: u32,
    /// Of how many there is something to undo, not 0.
    pub nr_adjs: u32,
}

impl Validate for SemUndo {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        Reason::unless_in("semid", self.semid, 0, i32::MAX)?;
        Reason::unless_in("sem_nsems", self.sem_nsems, 1, NSEMS_MAX)?;
        Reason::unless_in("nr_adjs", self.nr_adjs, 1, self.sem_nsems)
    }
}

/// What there is to undo of a semaphore, ascending by `sem_num`.
///
/// C: `struct cr_hdr_semadj`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
#[derive(Record, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[record(type = CR_HDR_SEMADJ, abi = cr_hdr_semadj)]
pub struct SemAdj {
    /// Its number in the set.
    pub sem_num: u32,
    /// What is added to its value in the end, not 0.
    pub semadj: i32,
}

impl Validate for SemAdj {
    fn validate(&self, _context: &Context<'_>) -> Result<(), Reason> {
        if self.semadj == 0 {
            return Reason::unless_in("semadj", self.semadj, 1, i64::MAX);
        }
        Reason::unless_in(
            "semadj",
            self.semadj,
            i64::from(i16::MIN),
            i64::from(i16::MAX),
        )
    }
}
