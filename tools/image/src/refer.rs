// SPDX-License-Identifier: GPL-2.0

//! The checks on an image that take memory of what was before.
//!
//! The code of the kernel keeps no list of objects or mappings while it checks an image; those who
//! restore them have one. Here, what they check is checked by itself.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use crate::{
    image::{
        Data,
        Extents,
        File,
        Item,
        Lock,
        Reason,
        Vma, //
    },
    uapi, //
};

/// What others may refer to.
#[derive(Clone, Copy, Debug)]
enum Object {
    /// A pipe, how many bytes it holds, and for how many of them there was data.
    Pipe { size: u64, filled: u64 },
    /// Shared memory, and how many bytes it has.
    Shm { size: u64 },
    /// An open file, of this kind, and whether there may be locks on it.
    File { kind: u32, lockable: bool },
}

/// Holds each record against what it refers to.
#[derive(Clone, Debug, Default)]
pub struct References {
    objects: Vec<Object>,
    /// The files that have a descriptor.
    with_fd: BTreeSet<u32>,
    /// Where the mappings begin whose pages can be in an image, and where they end.
    private: BTreeMap<u64, u64>,
    page_size: u32,
}

impl References {
    /// Begins an image.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a record that has been taken by a [`Checker`](crate::image::Checker), in the order of
    /// the image.
    pub fn take(&mut self, item: &Item<'_>) -> Result<(), Reason> {
        match item {
            Item::Head(head) => self.page_size = head.page_size,
            Item::Pipe(pipe) => self.objects.push(Object::Pipe {
                size: pipe.size.into(),
                filled: 0,
            }),
            Item::Shm(shm) => self.objects.push(Object::Shm { size: shm.size }),
            Item::File(file) => self.file(file)?,
            Item::Fs(fs) => {
                self.path("cwd", fs.cwd)?;
                if fs.root != 0 {
                    self.path("root", fs.root)?;
                }
            }
            Item::Fd(fd) => {
                self.any_file("objref", fd.objref)?;
                self.with_fd.insert(fd.objref);
            }
            Item::Lock(lock) => self.lock(lock)?,
            Item::Mm(mm) => self.path("exe", mm.exe)?,
            Item::Vma(vma) => self.vma(vma)?,
            Item::Extents(extents) => self.extents(*extents)?,
            Item::Data(data) => self.data(data)?,
            _ => (),
        }
        Ok(())
    }

    fn object(&self, objref: u32) -> Option<Object> {
        let index = usize::try_from(objref).ok()?.checked_sub(1)?;
        self.objects.get(index).copied()
    }

    fn file(&mut self, file: &File) -> Result<(), Reason> {
        if let Some(found) = file.target_object() {
            let object = self.object(found);
            let (right, expected) = match file.kind {
                uapi::CR_FILE_SHM => (matches!(object, Some(Object::Shm { .. })), "SHM"),
                _ => (matches!(object, Some(Object::Pipe { .. })), "PIPE"),
            };
            if !right {
                return Err(Reason::WrongObject {
                    field: "target",
                    found,
                    expected,
                });
            }
        }
        self.objects.push(Object::File {
            kind: file.kind,
            lockable: file.can_be_locked(),
        });
        Ok(())
    }

    /// Returns the kind of the file `objref`.
    fn any_file(&self, field: &'static str, found: u32) -> Result<u32, Reason> {
        match self.object(found) {
            Some(Object::File { kind, .. }) => Ok(kind),
            _ => Err(Reason::WrongObject {
                field,
                found,
                expected: "FILE",
            }),
        }
    }

    /// Refuses what is not the file of a path.
    fn path(&self, field: &'static str, found: u32) -> Result<(), Reason> {
        if self.any_file(field, found)? == uapi::CR_FILE_PATH {
            return Ok(());
        }
        Err(Reason::WrongObject {
            field,
            found,
            expected: "FILE with a path only",
        })
    }

    /// Refuses a lock on what cannot have one. That of a process goes when the process closes a
    /// descriptor of the file, so there is one.
    fn lock(&self, lock: &Lock) -> Result<(), Reason> {
        let found = lock.objref;
        let object = self.object(found);
        let expected = match object {
            Some(Object::File { lockable: true, .. })
                if lock.kind != uapi::CR_LOCK_POSIX || self.with_fd.contains(&found) =>
            {
                return Ok(())
            }
            Some(Object::File { lockable: true, .. }) => "FILE with a descriptor",
            Some(Object::File { .. }) => "FILE that can be locked",
            _ => "FILE",
        };
        Err(Reason::WrongObject {
            field: "objref",
            found,
            expected,
        })
    }

    fn vma(&mut self, vma: &Vma) -> Result<(), Reason> {
        if vma.kind == uapi::CR_MAPPING_FILE {
            let kind = self.any_file("objref", vma.objref)?;
            let mappable = [uapi::CR_FILE_REG, uapi::CR_FILE_CHR, uapi::CR_FILE_SHM];
            if !mappable.contains(&kind) {
                return Err(Reason::WrongObject {
                    field: "objref",
                    found: vma.objref,
                    expected: "FILE that can be mapped",
                });
            }
        }
        let of_process = [uapi::CR_MAPPING_ANON, uapi::CR_MAPPING_FILE].contains(&vma.kind);
        if of_process && vma.flags & u64::from(uapi::CR_VMA_SHARED) == 0 {
            self.private.insert(vma.start, vma.end);
        }
        Ok(())
    }

    fn extents(&self, extents: Extents<'_>) -> Result<(), Reason> {
        for extent in extents.iter() {
            let mapping = self.private.range(..=extent.start).next_back();
            if mapping.is_none_or(|(_, &end)| extent.end(self.page_size) > end) {
                return Err(Reason::OutsideMapping {
                    start: extent.start,
                });
            }
        }
        Ok(())
    }

    fn data(&mut self, data: &Data) -> Result<(), Reason> {
        let index = usize::try_from(data.objref).ok();
        let object = index
            .and_then(|index| index.checked_sub(1))
            .and_then(|index| self.objects.get_mut(index));
        // The checker has refused what is over the limits.
        let end = data.offset.saturating_add(data.len);
        let size = match object {
            Some(Object::Shm { size }) => *size,
            Some(Object::Pipe { size, filled }) => {
                if data.offset != *filled {
                    return Err(Reason::NotEqual {
                        field: "offset",
                        found: i64::try_from(data.offset).unwrap_or(i64::MAX),
                        expected: i64::try_from(*filled).unwrap_or(i64::MAX),
                    });
                }
                *filled = end;
                *size
            }
            _ => {
                return Err(Reason::WrongObject {
                    field: "objref",
                    found: data.objref,
                    expected: "PIPE or SHM",
                })
            }
        };
        if end > size {
            return Err(Reason::OutsideObject { end, size });
        }
        Ok(())
    }
}
