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
        Aio,
        Checker,
        Data,
        EpollItem,
        Extents,
        File,
        Inotify,
        Item,
        Kind,
        Lock,
        Pages,
        Reason,
        Refusal,
        Task,
        Tree,
        Vma,
        Watch, //
    },
    uapi, //
};

/// What others may refer to.
#[derive(Clone, Copy, Debug)]
enum Object {
    /// A pipe, how many bytes it holds, and for how many of them there was data.
    Pipe { size: u64, filled: u64 },
    /// Shared memory, how many bytes it has, and of what huge pages it is.
    Shm { size: u64, page_shift: u32 },
    /// A deleted file, or a deleted directory, and how many bytes it has.
    Inode { regular: bool, size: u64 },
    /// An open file.
    File(OpenFile),
}

/// An open file.
#[derive(Clone, Copy, Debug)]
struct OpenFile {
    /// `CR_FILE_*`
    kind: u32,
    /// Whether there may be locks on it.
    lockable: bool,
    /// Of the huge pages that its shared memory is of; 0 if it is of none.
    page_shift: u32,
    /// For how many bytes there may be data, and for how many there was.
    size: u64,
    filled: u64,
}

/// Bytes of the largest `struct inotify_event`: its name has `NAME_MAX` bytes, and NULs up to a
/// multiple of 16.
const EVENT_MAX: u64 = 16 + 256;

/// Holds each record against what it refers to.
#[derive(Clone, Debug, Default)]
pub struct References {
    objects: Vec<Object>,
    /// The tasks so far, where in the image they are, and how many there are to be.
    tasks: Vec<Task>,
    offsets: Vec<u64>,
    nr_tasks: u32,
    /// The files that have a descriptor in the last table.
    with_fd: BTreeSet<u32>,
    /// Where the mappings of the last address space begin, and where they end.
    mappings: BTreeMap<u64, u64>,
    /// Where its rings of io_setup(2) begin that are no context's yet.
    rings: BTreeSet<u64>,
    /// Of each task that came with an address space, those mappings whose pages can be in an image.
    private: BTreeMap<u32, BTreeMap<u64, u64>>,
    /// The task whose address space the next extents are of.
    pages_of: u32,
    page_size: u32,
}

impl References {
    /// Begins an image.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a record that `checker` has just taken, in the order of the image.
    pub fn take(&mut self, item: &Item<'_>, checker: &mut Checker<'_>) -> Result<(), Refusal> {
        if let Item::Task(task) = item {
            self.offsets.push(checker.record_offset());
            self.tasks.push(*task);
            return self.tree(checker);
        }
        self.item(item)
            .map_err(|reason| checker.refuse_last(reason))
    }

    /// Checks all tasks, when the last has come.
    fn tree(&self, checker: &mut Checker<'_>) -> Result<(), Refusal> {
        if self.tasks.len() < self.nr_tasks as usize {
            return Ok(());
        }
        let mut by_pid = vec![0; self.tasks.len()];
        match Tree::check(&self.tasks, &mut by_pid) {
            Ok(_) => Ok(()),
            Err((index, reason)) => {
                let offset = self.offsets.get(index).copied().unwrap_or_default();
                Err(checker.refuse_at(offset, Kind::Task, reason))
            }
        }
    }

    fn item(&mut self, item: &Item<'_>) -> Result<(), Reason> {
        match item {
            Item::Head(head) => {
                self.page_size = head.page_size;
                self.nr_tasks = head.nr_tasks;
            }
            Item::Pipe(pipe) => self.objects.push(Object::Pipe {
                size: pipe.size.into(),
                filled: 0,
            }),
            Item::Shm(shm) => self.objects.push(Object::Shm {
                size: shm.size,
                page_shift: shm.page_shift,
            }),
            Item::Inode(inode) => self.objects.push(Object::Inode {
                regular: inode.is_regular(),
                size: inode.size,
            }),
            Item::Inotify(inotify) => self.inotify(inotify),
            Item::File(file) => self.file(file)?,
            Item::Fs(fs) => {
                self.path("cwd", fs.cwd)?;
                if fs.root != 0 {
                    self.path("root", fs.root)?;
                }
            }
            Item::Files(_) => self.with_fd.clear(),
            Item::Fd(fd) => {
                self.any_file("objref", fd.objref)?;
                self.with_fd.insert(fd.objref);
            }
            Item::Lock(lock) => self.lock(lock)?,
            Item::Owner(owner) => drop(self.any_file("objref", owner.objref)?),
            Item::EpollItem(item) => self.epoll_item(item)?,
            Item::Watch(watch) => self.watch(watch)?,
            Item::Mm(mm) => {
                self.path("exe", mm.exe)?;
                self.mappings.clear();
                self.rings.clear();
                self.private
                    .insert(self.tasks.len() as u32, BTreeMap::new());
            }
            Item::Vma(vma) => self.vma(vma)?,
            Item::Policy(policy) if policy.is_of_task() => (),
            Item::Policy(policy) => self.within_mapping(policy.start, policy.end)?,
            Item::Guard(guard) => self.within_mapping(guard.start, guard.end)?,
            Item::Aio(aio) => self.aio(aio)?,
            Item::Pages(pages) => self.pages(pages)?,
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
        let mut page_shift = 0;
        if let Some(found) = file.target_object() {
            let object = self.object(found);
            let (right, expected) = match (file.kind, object) {
                (uapi::CR_FILE_SHM, Some(Object::Shm { page_shift: of, .. })) => {
                    page_shift = of;
                    (true, "SHM")
                }
                (uapi::CR_FILE_SHM, _) => (false, "SHM"),
                (uapi::CR_FILE_REG, _) => (
                    matches!(object, Some(Object::Inode { regular: true, .. })),
                    "INODE of a file",
                ),
                (uapi::CR_FILE_DIR, _) => (
                    matches!(object, Some(Object::Inode { regular: false, .. })),
                    "INODE of a directory",
                ),
                (uapi::CR_FILE_PATH, _) => (matches!(object, Some(Object::Inode { .. })), "INODE"),
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
        self.objects.push(Object::File(OpenFile {
            kind: file.kind,
            lockable: file.can_be_locked(),
            page_shift,
            size: 0,
            filled: 0,
        }));
        Ok(())
    }

    /// Notes how much data there may be of the file before.
    fn inotify(&mut self, inotify: &Inotify) {
        if let Some(Object::File(file)) = self.objects.last_mut() {
            file.size = u64::from(inotify.nr_events).saturating_mul(EVENT_MAX);
        }
    }

    /// Returns the file `objref`.
    fn any_file(&self, field: &'static str, found: u32) -> Result<OpenFile, Reason> {
        match self.object(found) {
            Some(Object::File(file)) => Ok(file),
            _ => Err(Reason::WrongObject {
                field,
                found,
                expected: "FILE",
            }),
        }
    }

    /// Refuses what is not a file of this kind.
    fn of_kind(
        &self,
        field: &'static str,
        found: u32,
        kind: u32,
        expected: &'static str,
    ) -> Result<(), Reason> {
        if self.any_file(field, found)?.kind == kind {
            return Ok(());
        }
        Err(Reason::WrongObject {
            field,
            found,
            expected,
        })
    }

    /// Refuses what is not the file of a path.
    fn path(&self, field: &'static str, found: u32) -> Result<(), Reason> {
        self.of_kind(field, found, uapi::CR_FILE_PATH, "FILE with a path only")
    }

    fn epoll_item(&self, item: &EpollItem) -> Result<(), Reason> {
        let epoll = "FILE of epoll";
        self.of_kind("objref", item.objref, uapi::CR_FILE_EPOLL, epoll)?;
        // One with a path only has no events.
        let target = self.any_file("target", item.target)?;
        if item.target == item.objref || target.kind == uapi::CR_FILE_PATH {
            return Err(Reason::WrongObject {
                field: "target",
                found: item.target,
                expected: "FILE that can be waited for",
            });
        }
        Ok(())
    }

    fn watch(&self, watch: &Watch) -> Result<(), Reason> {
        let inotify = "FILE of inotify";
        self.of_kind("objref", watch.objref, uapi::CR_FILE_INOTIFY, inotify)?;
        self.path("target", watch.target)
    }

    /// Refuses a lock on what cannot have one. That of a process goes when the process closes a
    /// descriptor of the file, so there is one.
    fn lock(&self, lock: &Lock) -> Result<(), Reason> {
        let found = lock.objref;
        let object = self.object(found);
        let expected = match object {
            Some(Object::File(OpenFile { lockable: true, .. }))
                if lock.kind != uapi::CR_LOCK_POSIX || self.with_fd.contains(&found) =>
            {
                return Ok(())
            }
            Some(Object::File(OpenFile { lockable: true, .. })) => "FILE with a descriptor",
            Some(Object::File(_)) => "FILE that can be locked",
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
            let file = self.any_file("objref", vma.objref)?;
            let mappable = match file.kind {
                uapi::CR_FILE_REG | uapi::CR_FILE_CHR => true,
                // The memory has the pages that it has.
                uapi::CR_FILE_SHM => file.page_shift == vma.page_shift,
                _ => false,
            };
            if !mappable {
                return Err(Reason::WrongObject {
                    field: "objref",
                    found: vma.objref,
                    expected: "FILE that can be mapped",
                });
            }
        }
        self.mappings.insert(vma.start, vma.end);
        let lost = u64::from(uapi::CR_VMA_SHARED | uapi::CR_VMA_DROPPABLE);
        let has_pages = match vma.kind {
            uapi::CR_MAPPING_ANON | uapi::CR_MAPPING_FILE => vma.flags & lost == 0,
            uapi::CR_MAPPING_AIO => self.rings.insert(vma.start),
            _ => false,
        };
        if has_pages {
            let mut spaces = self.private.values_mut();
            // That of the last task that came with one.
            if let Some(space) = spaces.next_back() {
                space.insert(vma.start, vma.end);
            }
        }
        Ok(())
    }

    fn within_mapping(&self, start: u64, end: u64) -> Result<(), Reason> {
        let mapping = self.mappings.range(..=start).next_back();
        if mapping.is_some_and(|(_, &mapped)| end <= mapped) {
            return Ok(());
        }
        Err(Reason::NotMapped {
            field: "start",
            found: start,
            expected: "within one mapping",
        })
    }

    fn aio(&mut self, aio: &Aio) -> Result<(), Reason> {
        if self.rings.remove(&aio.id) {
            return Ok(());
        }
        Err(Reason::NotMapped {
            field: "id",
            found: aio.id,
            expected: "where a ring is mapped",
        })
    }

    fn pages(&mut self, pages: &Pages) -> Result<(), Reason> {
        if !self.private.contains_key(&pages.task) {
            return Err(Reason::WrongTask {
                field: "task",
                found: pages.task,
                expected: "number of a task that came with an address space",
            });
        }
        self.pages_of = pages.task;
        Ok(())
    }

    fn extents(&self, extents: Extents<'_>) -> Result<(), Reason> {
        let space = self.private.get(&self.pages_of);
        for extent in extents.iter() {
            let mapping = space.and_then(|space| space.range(..=extent.start).next_back());
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
        let (size, filled) = match object {
            Some(Object::Shm { size, .. }) => (*size, None),
            Some(Object::Inode {
                regular: true,
                size,
            }) => (*size, None),
            Some(Object::Pipe { size, filled }) => (*size, Some(filled)),
            Some(Object::File(file)) if file.kind == uapi::CR_FILE_INOTIFY => {
                (file.size, Some(&mut file.filled))
            }
            _ => {
                return Err(Reason::WrongObject {
                    field: "objref",
                    found: data.objref,
                    expected: "object with contents",
                })
            }
        };
        // What is read in a row has no gaps.
        if let Some(filled) = filled {
            if data.offset != *filled {
                return Err(Reason::NotEqual {
                    field: "offset",
                    found: i64::try_from(data.offset).unwrap_or(i64::MAX),
                    expected: i64::try_from(*filled).unwrap_or(i64::MAX),
                });
            }
            *filled = end;
        }
        if end > size {
            return Err(Reason::OutsideObject { end, size });
        }
        Ok(())
    }
}
