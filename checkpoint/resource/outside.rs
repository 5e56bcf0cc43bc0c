// SPDX-License-Identifier: GPL-2.0

//! The outside of the tree: what the tasks share with others, and who these are.
//!
//! What is shared would be cut: each side would go on with what it has, and never hear of the other
//! again. So it is refused, by what it is and who else has it. What a path leads to is no such thing,
//! nor is what the restarter provides by rule: standard streams, and with `CHECKPOINT_INHERIT` what is
//! behind a descriptor. With `CHECKPOINT_CONTAINER` these are refused, too, and so is whatever leads to
//! another process.
//!
//! That something is shared shows by counting references, which others may take for a moment, too. So
//! this is where one begins to look for who has it: in what all other tasks have. That takes a while on
//! a busy machine, and is done only if something was found, or for a container.
//!
//! Locks: none is held here.

use kernel::{
    fmt::{
        self,
        Display, //
    },
    fs::{
        state::{
            outside::{
                self,
                Search,
                Shared, //
            },
            table::Descriptor,
            Seen, //
        },
        File, //
    },
    prelude::*,
    rbtree::RBTree,
    str::CString,
    sync::aref::ARef,
    task::Task,
    time::{
        delay::fsleep,
        Delta, //
    },
    uapi, //
};

use crate::{
    image,
    resource::{
        object::{
            Kept,
            Use, //
        },
        Collect, //
    },
    tree::Tree, //
};

/// How often to look whether a reference that nobody has has gone, and how long to wait in between.
const LOOKS: usize = 20;
const PAUSE: Delta = Delta::from_millis(1);

/// `F_SEAL_SHRINK`, `F_SEAL_GROW`, `F_SEAL_WRITE`: nobody can change memory that has these.
const SEALED: u32 = 0x2 | 0x4 | 0x8;

/// What is known of the outside.
pub(crate) struct Outside {
    /// Nothing may be shared, or be left to the restarter.
    container: bool,
    /// What tasks and address spaces of the tree are known by, ascending.
    tasks: KVVec<usize>,
    spaces: KVVec<usize>,
    /// The open files of all descriptors, until they have been looked at.
    files: KVVec<ARef<File>>,
    /// How many descriptors and mappings the tree has of an open file.
    uses: RBTree<usize, usize>,
    /// Who has what, by its address.
    holders: RBTree<usize, ARef<Task>>,
    /// Open files that somebody has who has no descriptor of it.
    lost: RBTree<usize, ()>,
    /// What is refused of these when all has been looked at: the place of the task, and the reason.
    late: KVVec<(usize, CString)>,
}

impl Outside {
    /// What is known before anything has been looked at.
    pub(crate) fn new(tree: &Tree, container: bool) -> Result<Self> {
        let mut tasks = KVVec::with_capacity(tree.members().len(), GFP_KERNEL)?;
        let mut spaces = KVVec::with_capacity(tree.members().len(), GFP_KERNEL)?;

        for member in tree.members() {
            tasks.push(member.task.id(), GFP_KERNEL)?;
            spaces.push(member.kin.mm, GFP_KERNEL)?;
        }
        tasks.sort_unstable();
        spaces.sort_unstable();
        Ok(Self {
            container,
            tasks,
            spaces,
            files: KVVec::new(),
            uses: RBTree::new(),
            holders: RBTree::new(),
            lost: RBTree::new(),
            late: KVVec::new(),
        })
    }

    /// Tells whether nothing may be shared, or be left to the restarter.
    pub(crate) fn is_container(&self) -> bool {
        self.container
    }

    /// Tells whether a task is none of the tree.
    fn is_outside(&self, task: &Task) -> bool {
        self.tasks.binary_search(&task.id()).is_err()
    }

    /// Counts a descriptor or a mapping of an open file. Returns whether it is the first.
    fn count(&mut self, file: &File) -> Result<bool> {
        let address = file.as_ptr() as usize;

        if let Some(uses) = self.uses.get_mut(&address) {
            *uses = uses.saturating_add(1);
            return Ok(false);
        }
        self.uses.try_create_and_insert(address, 1, GFP_KERNEL)?;
        Ok(true)
    }

    /// Counts the descriptors of a table.
    pub(crate) fn count_table(&mut self, table: &[Descriptor]) -> Result {
        for descriptor in table {
            if self.count(&descriptor.file)? {
                self.files.push(descriptor.file.clone(), GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// Counts a mapping.
    pub(crate) fn count_mapping(&mut self, file: &File) -> Result {
        self.count(file).map(drop)
    }

    fn uses(&self, file: &File) -> usize {
        self.uses
            .get(&(file.as_ptr() as usize))
            .copied()
            .unwrap_or(0)
    }

    /// Looks for who has what, and notes it.
    fn search(&mut self, search: Search) -> Result {
        if search.is_empty() {
            return Ok(());
        }
        search.run(&self.tasks, &mut self.holders)
    }

    /// Returns who has an open file, by a descriptor or in another way.
    fn holder(&self, file: &File) -> Option<Holder<'_>> {
        let address = file.as_ptr() as usize;

        match self.holders.get(&address) {
            Some(task) => Some(Holder::Task(task)),
            None => self.lost.get(&address).map(|()| Holder::Nobody),
        }
    }
}

/// Who has something, for the log.
enum Holder<'a> {
    Task(&'a Task),
    /// It has no descriptor: the open file is in a message that nobody has received, or the kernel
    /// uses it.
    Nobody,
}

impl Display for Holder<'_> {
    /// Writes as much as the caller may know: /proc may hide a task.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("somebody who has no descriptor of it"),
            Self::Task(task) if !task.may_look_at() => {
                f.write_str("a task that the caller may not look at")
            }
            Self::Task(task) => match task.vpid() {
                0 => f.write_str("a task of another pid namespace"),
                pid => f.write_fmt(format_args!("task {pid} ({})", task.comm())),
            },
        }
    }
}

/// What an open file is called.
fn name_of(seen: &Seen) -> &str {
    match seen.kind() {
        uapi::CR_FILE_PIPE => "pipe",
        uapi::CR_FILE_FIFO => "FIFO",
        uapi::CR_FILE_SHM => "shared memory",
        uapi::CR_FILE_EPOLL => "epoll",
        uapi::CR_FILE_EVENTFD => "eventfd",
        uapi::CR_FILE_SIGNALFD => "signalfd",
        uapi::CR_FILE_TIMERFD => "timerfd",
        uapi::CR_FILE_INOTIFY => "inotify",
        uapi::CR_FILE_PIDFD => "pidfd",
        uapi::CR_FILE_TTY => "terminal",
        uapi::CR_FILE_DIR => "directory",
        uapi::CR_FILE_CHR => "device",
        // What has a module of its own, or none.
        0 => match seen.unsupported().map_or(Ok(""), |what| what.to_str()) {
            Ok("") | Err(_) => core::str::from_utf8(seen.name()).unwrap_or("open file"),
            Ok(what) => what,
        },
        _ => "file",
    }
}

/// Logs that something of the outside keeps the tree from being saved.
fn fail(cx: &mut Collect<'_>, what: fmt::Arguments<'_>) -> Error {
    cx.fail(EOPNOTSUPP, what)
}

/// Looks for who else has what is behind the descriptors of all tables, before any of their files are
/// collected.
pub(crate) fn survey(cx: &mut Collect<'_>) -> Result {
    let files = core::mem::take(&mut cx.outside.files);
    let mut search = Search::default();
    let mut suspects = KVVec::new();

    for (place, file) in files.iter().enumerate() {
        let shared = Shared::look(file);
        let address = file.as_ptr() as usize;

        if shared.is_pipe() && cx.objects.leads_outside(file)? {
            search.add(shared.inode())?;
        }
        let is_suspect = shared.has_state() && has_more(cx, file);

        if cx.outside.container || is_suspect {
            search.add(address)?;
        }
        if is_suspect {
            suspects.push(place, GFP_KERNEL)?;
        }
    }
    cx.outside.search(search)?;

    for file in suspects.iter().filter_map(|place| files.get(*place)) {
        if cx.outside.holder(file).is_none() && is_lost(cx, file) {
            cx.outside
                .lost
                .try_create_and_insert(file.as_ptr() as usize, (), GFP_KERNEL)?;
        }
    }
    Ok(())
}

/// Tells whether there are more references to an open file than those of its descriptors, of which
/// each has been looked at, and those of this call.
fn has_more(cx: &Collect<'_>, file: &File) -> bool {
    let own = 2 * cx.outside.uses(file) + 1;

    Shared::look(file).references() > own + cx.argument_uses(file)
}

/// Tells whether it stays so that there are more references to an open file.
fn is_lost(cx: &Collect<'_>, file: &File) -> bool {
    (0..LOOKS).all(|_| {
        fsleep(PAUSE);
        has_more(cx, file)
    })
}

/// Looks at the file of a descriptor: refuses what is shared, or lets the restarter provide it.
///
/// `record` has what is known of the file so far.
pub(crate) fn check_file(
    cx: &mut Collect<'_>,
    file: &File,
    seen: &Seen,
    record: &mut image::File,
    of: Use,
) -> Result {
    let name = name_of(seen);
    let is_given = matches!(
        record.kind,
        uapi::CR_FILE_INHERIT | uapi::CR_FILE_IMAGE | uapi::CR_FILE_EXTERNAL
    );

    if cx.outside.container {
        return check_whole(cx, file, record, name, of);
    }
    if is_given || !Shared::look(file).has_state() {
        return Ok(());
    }
    if cx.outside.holder(file).is_none() {
        return Ok(());
    }
    match (of, record.kind) {
        (Use::Fd(fd), uapi::CR_FILE_PIPE) if cx.objects.is_standard(file) => {
            record.kind = uapi::CR_FILE_INHERIT;
            record.target = fd;
            Ok(())
        }
        (Use::Fd(_), _) if cx.inherit => {
            record.kind = uapi::CR_FILE_EXTERNAL;
            record.target = 0;
            Ok(())
        }
        _ => refuse_open(cx, file, name, of),
    }
}

/// Refuses an open file that somebody else has, if anybody has. If nobody has a descriptor of it, what
/// uses it may be refused by a name of its own yet, as asynchronous I/O: then this comes behind that.
fn refuse_open(cx: &mut Collect<'_>, file: &File, name: &str, of: Use) -> Result {
    let Some(holder) = cx.outside.holder(file) else {
        return Ok(());
    };
    let is_late = matches!(holder, Holder::Nobody);
    let what = CString::try_from_fmt(fmt!("{of}: {name}: it is shared with {holder}"))?;

    if is_late {
        let place = cx.place();

        return Ok(cx.outside.late.push((place, what), GFP_KERNEL)?);
    }
    Err(fail(cx, fmt!("{}", &*what)))
}

/// Checks that the file of a descriptor is the tree's alone, and leads to nobody else.
fn check_whole(
    cx: &mut Collect<'_>,
    file: &File,
    record: &image::File,
    name: &str,
    of: Use,
) -> Result {
    let mut reason = None;

    if matches!(
        record.kind,
        uapi::CR_FILE_INHERIT | uapi::CR_FILE_IMAGE | uapi::CR_FILE_TTY
    ) {
        return Err(fail(
            cx,
            fmt!("{of}: {name}: the restarter would have to provide it"),
        ));
    }
    refuse_open(cx, file, name, of)?;
    if let Some(task) = outside::process_of(file).filter(|task| cx.outside.is_outside(task)) {
        let holder = Holder::Task(&task);

        reason = Some(CString::try_from_fmt(fmt!("it is of {holder}"))?);
    } else if let Some(task) = owner_outside(cx, file)? {
        let holder = Holder::Task(&task);

        reason = Some(CString::try_from_fmt(fmt!("its signals go to {holder}"))?);
    } else if let Some(task) = waiter_outside(cx, file) {
        let holder = Holder::Task(&task);

        reason = Some(CString::try_from_fmt(fmt!(
            "{holder} waits for a lock on it"
        ))?);
    }
    match reason {
        None => Ok(()),
        Some(reason) => Err(fail(cx, fmt!("{of}: {name}: {}", &*reason))),
    }
}

/// Returns who gets the signals of a file, if that is nobody of the tree. The process group of the
/// first task is that of the restarter.
fn owner_outside(cx: &Collect<'_>, file: &File) -> Result<Option<ARef<Task>>> {
    let Some((task, group)) = outside::owner_of(file) else {
        return Ok(None);
    };
    let root = cx.tree.members().first().ok_or(EINVAL)?;
    let is_own = group && task.kin().pgid == root.kin.pgid && task.kin().pid_ns == root.kin.pid_ns;

    Ok(Some(task).filter(|task| !is_own && cx.outside.is_outside(task)))
}

/// Returns who waits for a lock that was taken by a file, if that is nobody of the tree.
fn waiter_outside(cx: &Collect<'_>, file: &File) -> Option<ARef<Task>> {
    outside::waiter(file, cx.task).filter(|task| cx.outside.is_outside(task))
}

/// Refuses a pipe of which an end is outside of the tree.
pub(crate) fn other_end(cx: &mut Collect<'_>, file: &File, of: Use) -> Error {
    let inode = Shared::look(file).inode();
    let line = match cx.outside.holders.get(&inode) {
        Some(task) => {
            let holder = Holder::Task(task);

            CString::try_from_fmt(fmt!("{of}: pipe: the other end is with {holder}"))
        }
        None => CString::try_from_fmt(fmt!("{of}: pipe: the other end is outside of the tree")),
    };

    match line {
        Ok(line) => fail(cx, fmt!("{}", &*line)),
        Err(e) => e,
    }
}

/// Refuses something that has an address and is shared, as a table: `what` says so, up to with whom.
/// One may go on in a check.
pub(crate) fn refuse_table(cx: &mut Collect<'_>, address: usize, what: &str) -> Result {
    let mut search = Search::default();
    search.add(address)?;
    cx.outside.search(search)?;

    let line = match cx.outside.holders.get(&address) {
        Some(task) => CString::try_from_fmt(fmt!("{what} with {}", Holder::Task(task)))?,
        None => CString::try_from_fmt(fmt!("{what} with a task outside of the tree"))?,
    };
    let refused = Err(fail(cx, fmt!("{}", &*line)));
    cx.tolerate::<()>(refused).map(drop)
}

/// Refuses memory and deleted files that somebody else has, when all tasks have been looked at, and
/// what has waited for that.
pub(crate) fn finish(cx: &mut Collect<'_>) -> Result {
    for (place, what) in core::mem::take(&mut cx.outside.late) {
        let refused = Err(cx.at(place, |cx| fail(cx, fmt!("{}", &*what))));
        cx.tolerate::<()>(refused)?;
    }

    let kept = cx.objects.kept()?;
    let mut search = Search::default();

    for object in &kept {
        look_at(cx, object, &mut search)?;
    }
    if search.is_empty() {
        return Ok(());
    }
    cx.outside.search(search)?;

    for object in &kept {
        let unshared = refuse_shared(cx, object);
        cx.tolerate(unshared)?;
    }
    Ok(())
}

/// Tells whether it shows that an object is shared.
fn shows(object: &Kept, shared: &Shared, container: bool) -> bool {
    match object.seals {
        // What nobody can change is the same for all.
        Some(seals) if seals & SEALED == SEALED => container,
        Some(_) => true,
        None => container || shared.is_written(),
    }
}

/// Adds what is to be looked for to find out whether an object is shared.
fn look_at(cx: &mut Collect<'_>, object: &Kept, search: &mut Search) -> Result {
    let Some(first) = object.files.first() else {
        return Ok(());
    };
    let shared = Shared::look(first);

    if !shows(object, &shared, cx.outside.container) {
        return Ok(());
    }
    // Each open file has the path of memory, and one more is that of this call. Others may have other
    // names of a deleted file.
    if object.seals.is_none() || cx.outside.container || shared.opens() > object.files.len() + 1 {
        search.add(shared.inode())?;
    }
    for file in &object.files {
        if cx.outside.container
            // One is that of the objects, one that of this function.
            || Shared::look(file).references() > cx.outside.uses(file) + 2
        {
            search.add(file.as_ptr() as usize)?;
        }
    }
    for space in outside::mapped_by(first, &cx.outside.spaces)? {
        search.add(space)?;
    }
    Ok(())
}

/// Refuses an object that somebody else has.
fn refuse_shared(cx: &mut Collect<'_>, object: &Kept) -> Result {
    let Some(first) = object.files.first() else {
        return Ok(());
    };
    let shared = Shared::look(first);

    if !shows(object, &shared, cx.outside.container) {
        return Ok(());
    }
    let mapped_by = outside::mapped_by(first, &cx.outside.spaces)?;
    let addresses = object.files.iter().map(|file| file.as_ptr() as usize);
    let addresses = Iterator::chain(addresses, [shared.inode()]);
    let mut addresses = Iterator::chain(addresses, mapped_by.iter().copied());
    let holder = addresses.find_map(|address| cx.outside.holders.get(&address));
    let Some(task) = holder.cloned() else {
        return Ok(());
    };

    let (place, of) = object.met.ok_or(EINVAL)?;
    let holder = Holder::Task(&task);
    let name = match object.seals {
        Some(_) => "shared memory",
        None => "a deleted file",
    };

    Err(cx.at(place, |cx| {
        fail(cx, fmt!("{of}: {name}: it is shared with {holder}"))
    }))
}
