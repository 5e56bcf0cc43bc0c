// SPDX-License-Identifier: GPL-2.0

//! What resources work with: the context of each step of a checkpoint and a restart.

use core::fmt;

use kernel::{
    fs::{
        state::{
            dirs::SharedDirs,
            table::{
                Descriptor,
                SharedTable, //
            }, //
        },
        File, //
    },
    mm::{
        rebuild::SharedSpace,
        snapshot::Spaces, //
    },
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        Arc, //
    },
    task::{
        attrs::Cookie,
        signals::SharedActions,
        state::Comm,
        timers::{
            ForThreads,
            Setting,
            Timers, //
        },
        CurrentTask,
        Pid,
        Task, //
    }, //
};

use crate::{
    log::Log,
    resource::{
        mm::Relatives,
        object::{
            Objects,
            Opened, //
        },
        outside::Outside,
        process,
        seccomp::Made,
        Scope, //
    },
    stream::Failure,
    tree::{
        Member,
        Tree, //
    }, //
};

/// The first half of a checkpoint: looking at everything that the tasks have, one after the other.
///
/// Each resource notes what it is going to save, with references that keep it alive, and refuses
/// what cannot be saved. Objects that may be shared, such as open files, are numbered when they are
/// first met, so that each of them is in the image once.
///
/// The tasks stand still and cannot even be killed meanwhile, so nothing here waits for more than
/// stat(2) of their files does. What comes after works on what was noted only.
pub(crate) struct Collect<'a> {
    /// The task whose turn it is. It stands still at the edge of user mode, has ended, or is the
    /// caller.
    pub(crate) task: &'a Task,
    /// The task is the caller.
    pub(crate) to_self: bool,
    /// All tasks.
    pub(crate) tree: &'a Tree,
    /// The place of the task in the tree.
    place: usize,
    /// What no image can have, the restarter is going to hand in.
    pub(crate) inherit: bool,
    /// The file that the image is written to. Without one, nothing is: every reason why no image
    /// can be taken is looked for, instead of the first only.
    image: Option<&'a File>,
    /// The objects met so far.
    pub(crate) objects: Objects,
    /// The address spaces met so far.
    pub(crate) spaces: Spaces,
    /// What is shared with others.
    pub(crate) outside: Outside,
    /// Signals of a process, when its timers have been looked at: they belong together.
    pub(crate) process: Option<process::Found>,
    /// The timers of the process, ascending by id.
    pub(crate) timers: KVVec<Setting>,
    /// The descriptors of the tables that have not been looked at, by the place of their task.
    tables: RBTree<usize, KVVec<Descriptor>>,
    /// By cookies of core scheduling, the numbers of the first tasks that have them.
    pub(super) cookies: RBTree<usize, u32>,
    log: &'a mut Log,
    /// The log has a line about why the call ends.
    logged: bool,
    /// What the first reason was, of those that were tolerated.
    tolerated: Option<Error>,
}

impl<'a> Collect<'a> {
    /// Begins to look at the tasks of a tree, of which `root` is the first.
    pub(crate) fn new(
        tree: &'a Tree,
        root: &'a Task,
        inherit: bool,
        outside: Outside,
        image: Option<&'a File>,
        log: &'a mut Log,
    ) -> Self {
        Self {
            task: root,
            to_self: false,
            tree,
            place: 0,
            inherit,
            image,
            objects: Objects::new(),
            spaces: Spaces::default(),
            outside,
            process: None,
            timers: KVVec::new(),
            tables: RBTree::new(),
            cookies: RBTree::new(),
            log,
            logged: false,
            tolerated: None,
        }
    }

    /// Turns to the task at a place of the tree.
    pub(crate) fn turn_to(&mut self, place: usize) {
        self.place = place;
    }

    /// Turns to what has a scope, if it comes with the task at this place.
    pub(super) fn has(&mut self, scope: Scope) -> bool {
        match self.tree.owner(self.place, scope) {
            Some(task) => {
                self.task = task;
                self.to_self = task.as_ptr() == current!().as_ptr();
                true
            }
            None => false,
        }
    }

    /// Returns what is known of the task in the tree.
    pub(crate) fn member(&self) -> Result<&'a Member> {
        self.tree.members().get(self.place).ok_or(EINVAL)
    }

    /// Tells whether the task is the first.
    pub(crate) fn is_root(&self) -> bool {
        self.place == 0
    }

    /// Returns the place of the task in the tree.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Does something for the task at another place, which the log names meanwhile.
    pub(crate) fn at<R>(&mut self, place: usize, what: impl FnOnce(&mut Self) -> R) -> R {
        let before = (self.place, self.task, self.to_self);

        self.place = place;
        self.has(Scope::Task);
        let result = what(self);
        (self.place, self.task, self.to_self) = before;
        result
    }

    /// Tells whether no task before this one has a descriptor table.
    pub(crate) fn is_first_table(&self) -> bool {
        (0..self.place).all(|place| self.tree.owner(place, Scope::Files).is_none())
    }

    /// Returns the number of the task in the image, 1 is the first.
    pub(crate) fn number(&self) -> u32 {
        // At most CR_TASKS_MAX.
        self.place as u32 + 1
    }

    /// Puts aside the descriptors of the table that comes with this task.
    pub(super) fn put_table(&mut self, table: KVVec<Descriptor>) -> Result {
        self.tables
            .try_create_and_insert(self.place, table, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Takes the descriptors that were put aside.
    pub(super) fn take_table(&mut self) -> KVVec<Descriptor> {
        self.tables.remove(&self.place).unwrap_or_default()
    }

    /// Tells whether `file` is what the image is written to.
    pub(crate) fn is_image(&self, file: &File) -> bool {
        self.image
            .is_some_and(|image| image.as_ptr() == file.as_ptr())
    }

    /// Returns how many references to `file` are those of arguments of the call.
    pub(crate) fn argument_uses(&self, file: &File) -> usize {
        usize::from(self.is_image(file)) + usize::from(self.log.is(file))
    }

    /// Lets one reason not hide the next: if nothing is going to be written, what was refused, and
    /// logged, becomes [`None`]. Who uses this goes on as well as it can without.
    pub(crate) fn tolerate<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if self.image.is_none() && self.logged => {
                self.logged = false;
                self.tolerated.get_or_insert(e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Refuses something, as [`refuse`](Self::refuse), after which one may go on in a check.
    pub(crate) fn refuse_further(&mut self, what: fmt::Arguments<'_>) -> Result {
        let refused = Err(self.refuse(what));
        self.tolerate::<()>(refused).map(drop)
    }

    /// The end of it: an error, which is logged, if any was tolerated.
    pub(crate) fn verdict(&mut self) -> Result {
        match self.tolerated {
            None => Ok(()),
            Some(e) => {
                self.logged = true;
                Err(e)
            }
        }
    }

    /// Logs that the task has something that cannot be saved, and returns the error for it.
    pub(crate) fn refuse(&mut self, what: fmt::Arguments<'_>) -> Error {
        self.fail(EOPNOTSUPP, format_args!("{what} is not supported"))
    }

    /// Logs what is wrong with the task, and returns `error`.
    pub(crate) fn fail(&mut self, error: Error, what: fmt::Arguments<'_>) -> Error {
        self.log.task(self.task, what);
        self.logged = true;
        error
    }

    /// Logs an error that nobody has logged: one that has nothing to do with what the task has,
    /// such as that of an allocation.
    pub(crate) fn ended(&mut self, error: Error) -> Error {
        if self.logged {
            return error;
        }
        self.fail(error, format_args!("{error:?}"))
    }
}

/// The second half of a checkpoint: writing.
pub(crate) struct Saving<'a> {
    /// All objects.
    pub(crate) objects: &'a Objects,
    /// All address spaces.
    pub(crate) spaces: &'a Spaces,
}

/// A file that sends signals, which tell of a descriptor.
pub(crate) struct SignalFd {
    /// The file.
    pub(crate) objref: u32,
    /// The first descriptor that was found, in any table.
    pub(crate) fd: Option<u32>,
    /// It does so because of `O_ASYNC`, not of a lease.
    pub(crate) asynchronous: bool,
}

impl SignalFd {
    pub(crate) fn new(objref: u32, asynchronous: bool) -> Self {
        Self {
            objref,
            fd: None,
            asynchronous,
        }
    }
}

/// What all tasks of a restart have in common, up to its commit.
pub(crate) struct Restart<'a> {
    /// `RESTART_*`
    pub(crate) flags: u32,
    /// The file that the image is read from.
    image: &'a File,
    /// What the objects of the image have become.
    objects: Opened,
    /// The tasks by their pid in the image.
    tasks: RBTree<Pid, ARef<Task>>,
    /// Files that send signals.
    signal_fds: KVVec<SignalFd>,
    /// The descriptor tables, by the number of the task that they came with.
    tables: RBTree<u32, SharedTable>,
    /// Likewise where paths begin.
    dirs: RBTree<u32, SharedDirs>,
    /// Timers, by the number that the image has for their process.
    timers: RBTree<Pid, ForThreads>,
    /// Cookies of core scheduling, by the number of the first task that has it.
    cookies: RBTree<u32, Arc<Cookie>>,
    /// Filters of system calls, in the order in which they were made.
    filters: KVVec<Made>,
    /// The new address spaces, which may have pages in common.
    relatives: Relatives,
    /// Likewise the address spaces.
    spaces: RBTree<u32, SharedSpace>,
    /// Likewise the tables of what signals do.
    actions: RBTree<u32, SharedActions>,
    /// Who has a list for `SEM_UNDO`, likewise.
    undo: RBTree<u32, ARef<Task>>,
    log: &'a mut Log,
    /// The log has a line about why the call ends.
    logged: bool,
}

impl<'a> Restart<'a> {
    /// Begins a restart.
    pub(crate) fn new(flags: u32, image: &'a File, log: &'a mut Log) -> Self {
        Self {
            flags,
            image,
            objects: Opened::default(),
            tasks: RBTree::new(),
            signal_fds: KVVec::new(),
            tables: RBTree::new(),
            dirs: RBTree::new(),
            timers: RBTree::new(),
            cookies: RBTree::new(),
            filters: KVVec::new(),
            relatives: Relatives::default(),
            spaces: RBTree::new(),
            actions: RBTree::new(),
            undo: RBTree::new(),
            log,
            logged: false,
        }
    }

    /// Checks that the threads are in the image that timers are for. `tasks` are the numbers of all, each
    /// with that of its process.
    pub(crate) fn check_timers(&mut self, tasks: impl Iterator<Item = (Pid, Pid)>) -> Result {
        let mut processes = RBTree::<Pid, Pid>::new();

        if !self.timers.iter().any(|(_, timers)| timers.names_threads()) {
            return Ok(());
        }
        for (pid, tgid) in tasks {
            processes.try_create_and_insert(pid, tgid, GFP_KERNEL_ACCOUNT)?;
        }
        let found = self.timers.iter().find_map(|(process, timers)| {
            timers
                .unclaimed(|tid| processes.get(&tid) == Some(process))
                .map(|(id, tid)| (*process, id, tid))
        });
        match found {
            None => Ok(()),
            Some((process, id, tid)) => Err(self.fail(
                EINVAL,
                format_args!("task {process}: timer {id}: it has no thread {tid}"),
            )),
        }
    }

    /// Notes that a task of the image is made.
    pub(crate) fn made(&mut self, pid: Pid, task: &Task) -> Result {
        self.tasks
            .try_create_and_insert(pid, task.into(), GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    /// Tells whether a file is to be opened by the task with a number.
    pub(crate) fn opens_late(&self, number: u32) -> bool {
        self.objects.opens_late(number)
    }

    /// Logs why the restart ends, and returns `error`.
    pub(crate) fn fail(&mut self, error: Error, what: fmt::Arguments<'_>) -> Error {
        self.log.line(what);
        self.logged = true;
        error
    }

    /// Logs an error that nobody has logged, and returns it as one that is.
    pub(crate) fn ended(&mut self, error: Error) -> Failure {
        if !self.logged {
            self.log.line(format_args!("{error:?}"));
        }
        Failure::Logged(error)
    }

    /// Lets go of all that tasks have by now: none of them is to find it in use when it runs.
    pub(crate) fn let_go(&mut self) {
        self.objects = Opened::default();
        self.tables = RBTree::new();
        self.dirs = RBTree::new();
        self.timers = RBTree::new();
        self.cookies = RBTree::new();
        self.filters = KVVec::new();
        self.relatives = Relatives::default();
        self.spaces = RBTree::new();
        self.actions = RBTree::new();
        self.undo = RBTree::new();
        self.tasks = RBTree::new();
    }
}

/// A task of a restart, up to its commit. It is the current one.
pub(crate) struct Prepare<'a> {
    /// The task, which becomes one of the image.
    pub(crate) caller: &'a CurrentTask,
    /// `RESTART_*`
    pub(crate) flags: u32,
    /// The file that the image is read from.
    pub(crate) image: &'a File,
    /// What the objects of the image have become.
    pub(crate) objects: &'a mut Opened,
    /// The tasks by their pid in the image, as far as they are made.
    pub(crate) tasks: &'a RBTree<Pid, ARef<Task>>,
    /// Files that send signals.
    pub(crate) signal_fds: &'a mut KVVec<SignalFd>,
    /// The descriptor tables, by the number of the task that they came with.
    pub(crate) tables: &'a mut RBTree<u32, SharedTable>,
    /// Likewise where paths begin.
    pub(crate) dirs: &'a mut RBTree<u32, SharedDirs>,
    /// The new address spaces, which may have pages in common.
    pub(crate) relatives: &'a mut Relatives,
    /// Likewise the address spaces.
    pub(crate) spaces: &'a mut RBTree<u32, SharedSpace>,
    /// Likewise the tables of what signals do.
    pub(crate) actions: &'a mut RBTree<u32, SharedActions>,
    /// Who has a list for `SEM_UNDO`, likewise.
    pub(crate) undo: &'a mut RBTree<u32, ARef<Task>>,
    /// What the timers of the process have become, if the task leads it.
    pub(crate) timers: Timers,
    /// Likewise of all processes, by the numbers that the image has for these.
    pub(crate) shared_timers: &'a mut RBTree<Pid, ForThreads>,
    /// The number that the image has for the process of the task.
    pub(crate) tgid: Pid,
    /// Cookies of core scheduling, by the number of the first task that has it.
    pub(crate) cookies: &'a mut RBTree<u32, Arc<Cookie>>,
    /// What filters of system calls were made of, for tasks before this.
    pub(crate) filters: &'a mut KVVec<Made>,
    /// Number of the task in the image, 1 is the first.
    pub(crate) number: u32,
    /// What the image calls the task; [`None`] if that is clear.
    name: Option<(Pid, Comm)>,
    log: &'a mut Log,
    logged: &'a mut bool,
}

impl<'a> Prepare<'a> {
    /// Begins to get `caller` ready. Without a name, the log does not tell the task.
    pub(crate) fn new(
        caller: &'a CurrentTask,
        number: u32,
        name: Option<(Pid, Comm)>,
        restart: &'a mut Restart<'_>,
    ) -> Self {
        Self {
            caller,
            flags: restart.flags,
            image: restart.image,
            objects: &mut restart.objects,
            tasks: &restart.tasks,
            signal_fds: &mut restart.signal_fds,
            tables: &mut restart.tables,
            dirs: &mut restart.dirs,
            relatives: &mut restart.relatives,
            spaces: &mut restart.spaces,
            actions: &mut restart.actions,
            undo: &mut restart.undo,
            timers: Timers::default(),
            shared_timers: &mut restart.timers,
            tgid: 0,
            cookies: &mut restart.cookies,
            filters: &mut restart.filters,
            number,
            name,
            log: restart.log,
            logged: &mut restart.logged,
        }
    }

    /// Logs why the restart ends, and returns `error`.
    pub(crate) fn fail(&mut self, error: Error, what: fmt::Arguments<'_>) -> Error {
        match &self.name {
            None => self.log.line(what),
            Some((pid, comm)) => self.log.line(format_args!("task {pid} ({comm}): {what}")),
        }
        *self.logged = true;
        error
    }

    /// Returns the timers of the process, which have sent some of the pending signals.
    pub(crate) fn process_timers(&self) -> Option<&ForThreads> {
        self.shared_timers.get(&self.tgid)
    }

    /// Tells whether the task is the first of the image.
    pub(crate) fn is_root(&self) -> bool {
        self.number == 1
    }
}
