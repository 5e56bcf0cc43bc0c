// SPDX-License-Identifier: GPL-2.0

//! The restart pipeline: read and check all records, make the tasks and get everything ready, let bulk
//! data stream into place, commit.
//!
//! The caller becomes the first task of the image. All others are made by the one that is their parent,
//! or by the leader of their group, with their numbers. Each gets ready what is its own, in its own
//! context, while the caller waits for it.
//!
//! Up to the commit the caller is as it was, and an error leaves it so: what was made ready is given
//! back by dropping it, and the tasks are gone before the call returns. The commit cannot fail.
//!
//! Locks: none is held here.

use kernel::{
    fs::rw::{
        Direction,
        StreamFile, //
    },
    prelude::*,
    sync::aref::ARef,
    task::{
        crew::{
            self,
            Claim,
            End,
            Gate,
            Leaving,
            Relation,
            Used,
            Worker, //
        },
        state::Comm,
        CurrentTask,
        Pid,
        Task, //
    },
    uts::UtsName, //
};

use crate::{
    image::{
        self,
        BulkKind,
        Expect,
        Item,
        Shared,
        Tree, //
    },
    jobs::Jobs,
    log::Log,
    resource::{
        object,
        task,
        usage,
        CommonImages,
        CommonPrepared,
        Prepare,
        Restart,
        TaskImages,
        TaskPrepared, //
    },
    stream::{
        running_kernel,
        BulkReader,
        Failure,
        ImageReader,
        Transport, //
    },
    uapi, //
};

/// What restart(2) does once its flags are checked. Returns what the caller finds in its return
/// value register: that of the process in the image, if there is one, else 0.
pub(crate) fn restart(crid: c_int, fd: c_int, flags: c_ulong, log: &mut Log) -> Result<c_long> {
    let file =
        StreamFile::from_fd(fd, Direction::Read).map_err(|unfit| log.unfit("fd", fd, unfit))?;
    let caller = current!();

    if crid < 0 {
        log.line(format_args!("crid {crid}: negative"));
        return Err(EINVAL);
    }
    if !caller.is_single_threaded() {
        log.task(caller, format_args!("the caller has more than one thread"));
        return Err(EINVAL);
    }

    // Whoever saves the caller already gets it as it is now.
    let _claim = Claim::new(caller)?;
    let mut cx = Restart::new(flags as u32, file.file(), log);
    let result = rebuild(&file, crid, caller, &mut cx);
    drop(cx);
    result.map_err(|failure| {
        if !matches!(failure, Failure::Logged(_)) {
            log.line(format_args!("{failure}"));
        }
        failure.error()
    })
}

/// A task of the image.
struct Said {
    task: image::Task,
    /// Where its record begins.
    offset: u64,
    comm: Option<Comm>,
    /// The next text is the comm.
    name_is_next: bool,
    /// What it had used up.
    stats: Option<KBox<image::TaskStats>>,
    usage: Option<KBox<image::Usage>>,
    images: KBox<TaskImages>,
}

/// What an image says.
struct Images {
    /// The image has more than the name of a task.
    is_process: bool,
    common: KBox<CommonImages>,
    tasks: KVVec<Said>,
}

impl Images {
    /// Reads all records up to the first bulk data. Has no side effects but the position of the file.
    fn read<T: Transport>(from: &mut ImageReader<'_, T>) -> Result<Self, Failure> {
        let mut images = Self {
            is_process: false,
            common: CommonImages::new()?,
            tasks: KVVec::new(),
        };
        let mut tasks = 0;

        // What is said of objects is shown to the first task as well.
        images.begin()?;
        while !from.at_bulk() {
            let offset = from.offset();
            let Some(item) = from.next()? else {
                break;
            };

            if let Item::Task(_) = item {
                tasks += 1;
                if tasks > images.tasks.len() {
                    images.begin()?;
                }
            }
            images.is_process |= matches!(item, Item::Creds(_));
            images.common.take(&item)?;
            if let Some(said) = images.tasks.last_mut() {
                if let Item::Task(_) = item {
                    said.offset = offset;
                }
                said.take(&item)?;
            }
        }
        Ok(images)
    }

    /// Begins with another task.
    fn begin(&mut self) -> Result {
        Ok(self.tasks.push(
            Said {
                task: image::Task::default(),
                offset: 0,
                comm: None,
                name_is_next: false,
                stats: None,
                usage: None,
                images: TaskImages::new()?,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }
}

impl Said {
    fn take(&mut self, item: &Item<'_>) -> Result {
        if let (true, Item::Text(name)) = (self.name_is_next, item) {
            self.comm = Some(Comm::new(name));
        }
        self.name_is_next = false;
        if let Item::Task(task) = item {
            self.task = *task;
            self.name_is_next = true;
        }
        match item {
            Item::TaskStats(stats) => self.stats = Some(KBox::new(*stats, GFP_KERNEL_ACCOUNT)?),
            Item::Usage(usage) => self.usage = Some(KBox::new(*usage, GFP_KERNEL_ACCOUNT)?),
            _ => (),
        }
        self.images.take(item)
    }

    /// What the log calls the task.
    fn name(&self) -> Option<(Pid, Comm)> {
        self.comm.map(|comm| (self.task.pid, comm))
    }
}

/// How a task is made.
struct Plan {
    /// The place of the task that makes it, [`None`] for the caller.
    maker: Option<usize>,
    relation: Relation,
    task: image::Task,
    name: Option<(Pid, Comm)>,
    /// What it had used up.
    stats: Option<KBox<image::TaskStats>>,
    usage: Option<KBox<image::Usage>>,
}

impl Plan {
    /// Tells whether the task has ended, and threads of its process live.
    fn is_outlived(&self) -> bool {
        self.task.is_process() && !self.task.is_alive()
    }

    /// Tells whether the task is not complete before all others are made: bulk data may be for it, or
    /// it may refer to those that come behind it by numbers that they have not got yet.
    fn is_late(&self, flags: u32) -> bool {
        self.task.has_mm() || self.task.has_files() || flags & uapi::RESTART_NEW_PIDS != 0
    }
}

/// Returns the place of a task with a number, 1 is the first.
fn place_of(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

/// Finds out how all tasks are made; the first is not. Nothing is made yet.
fn plan<T: Transport>(
    cx: &mut Restart<'_>,
    caller: &Task,
    images: &mut Images,
    from: &mut ImageReader<'_, T>,
) -> Result<(KVVec<Plan>, Jobs), Failure> {
    let nr = images.tasks.len();
    let mut tasks = KVVec::with_capacity(nr, GFP_KERNEL_ACCOUNT).map_err(Error::from)?;
    let mut by_pid = KVVec::from_elem(0, nr, GFP_KERNEL_ACCOUNT).map_err(Error::from)?;

    for said in &images.tasks {
        tasks
            .push(said.task, GFP_KERNEL_ACCOUNT)
            .map_err(Error::from)?;
    }
    let tree = Tree::check(&tasks, &mut by_pid).map_err(|(place, why)| {
        from.refuse_task(images.tasks.get(place).map_or(0, |said| said.offset), why)
    })?;

    plan_all(cx, caller, images, &tree, &tasks).map_err(|e| cx.ended(e))
}

/// As [`plan`], of tasks that are a tree.
fn plan_all(
    cx: &mut Restart<'_>,
    caller: &Task,
    images: &mut Images,
    tree: &Tree<'_>,
    tasks: &[image::Task],
) -> Result<(KVVec<Plan>, Jobs)> {
    let mut plans = KVVec::<Plan>::with_capacity(tasks.len(), GFP_KERNEL_ACCOUNT)?;

    check_vforks(cx, tree, tasks)?;
    for (place, (said, task)) in images.tasks.iter_mut().zip(tasks).enumerate() {
        let pid = task.pid;
        let maker = match task.is_leader() {
            true => tree.parent(place),
            false => tree.leader(place),
        };
        let relation = match (task.is_leader(), maker) {
            (false, _) => Relation::Thread,
            (true, None) => Relation::Child { sighand: false },
            (true, Some(maker)) => {
                let sighand = |place| tree.owner(place, Shared::Sighand);

                Relation::Child {
                    sighand: task.sighand != 0 && sighand(place) == sighand(maker),
                }
            }
        };

        if place != 0 && cx.flags & uapi::RESTART_NEW_PIDS == 0 {
            check_pid(cx, pid)?;
        }
        plans.push(
            Plan {
                maker: maker.and_then(|place| place.checked_sub(1)),
                relation,
                task: *task,
                name: said.name(),
                stats: said.stats.take(),
                usage: said.usage.take(),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    let jobs = Jobs::check(cx, caller, tree, tasks)?;
    Ok((plans, jobs))
}

/// Checks that nobody has a number that a task of the image is going to have.
fn check_pid(cx: &mut Restart<'_>, pid: Pid) -> Result {
    match Task::taken(pid) {
        None => Ok(()),
        Some(by) => Err(cx.fail(EEXIST, format_args!("task {pid}: the pid is taken by {by}"))),
    }
}

/// Checks that no two tasks wait for one by vfork(2).
fn check_vforks(cx: &mut Restart<'_>, tree: &Tree<'_>, tasks: &[image::Task]) -> Result {
    let mut waited = KVVec::from_elem(false, tasks.len(), GFP_KERNEL_ACCOUNT)?;

    for task in tasks.iter().filter(|task| task.vfork != 0) {
        let place = tree
            .find(task.vfork)
            .and_then(|place| waited.get_mut(place));
        let waited = place.ok_or(EINVAL)?;

        if core::mem::replace(waited, true) {
            return Err(cx.fail(
                EINVAL,
                format_args!(
                    "task {}: vfork: another waits for task {}",
                    task.pid, task.vfork
                ),
            ));
        }
    }
    Ok(())
}

/// What a task of the image is going to be committed from.
#[derive(Default)]
struct State(Option<KBox<TaskPrepared>>);

impl crew::Member for State {
    fn commit(&mut self, task: &CurrentTask) {
        if let Some(prepared) = &mut self.0 {
            prepared.commit(task);
        }
    }

    fn start(self, task: &CurrentTask) {
        if let Some(prepared) = self.0 {
            prepared.start(task);
        }
    }
}

/// All tasks that are ready to become those of the image.
///
/// Workers are dropped before what the caller has, the last one first: each is made by one before it.
struct Crew {
    workers: KVVec<Option<Worker<State>>>,
    /// Those that have the numbers of groups and sessions without a leader.
    places: KVVec<Worker<State>>,
    /// Those that have ended, with the places of what is known of them; threads of their processes
    /// live.
    leaving: KVVec<(Leaving, usize)>,
    root: Option<(KBox<CommonPrepared>, KBox<TaskPrepared>)>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        while self.workers.pop().is_some() {}
    }
}

impl Crew {
    /// Makes all tasks and gets them ready.
    fn prepare(
        caller: &CurrentTask,
        images: Images,
        plans: &[Plan],
        jobs: &Jobs,
        cx: &mut Restart<'_>,
    ) -> Result<Self> {
        let mut tasks = images.tasks.into_iter();
        let root = tasks.next().ok_or(EINVAL)?;
        let mut own = Prepare::new(caller, 1, None, cx);
        let common = images.common.prepare(&mut own)?;
        let root_pid = root.task.pid;
        let root = root.images.prepare(&mut own)?;
        cx.made(root_pid, caller)?;
        let mut crew = Self {
            workers: KVVec::with_capacity(plans.len(), GFP_KERNEL_ACCOUNT)?,
            places: jobs.places(cx)?,
            leaving: KVVec::new(),
            root: Some((common, root)),
        };
        let outlived = plans.iter().filter(|plan| plan.is_outlived());
        crew.leaving.reserve(outlived.count(), GFP_KERNEL_ACCOUNT)?;

        // At most CR_TASKS_MAX; the first task is none of these.
        for (number, (said, plan)) in (2..).zip(tasks.zip(plans.iter().skip(1))) {
            let worker = crew.make(number, said.images, plan, cx)?;

            crew.workers.push(Some(worker), GFP_KERNEL_ACCOUNT)?;
        }
        cx.check_timers(plans.iter().map(|plan| (plan.task.pid, plan.task.tgid)))?;
        Ok(crew)
    }

    /// Returns the worker that is at a place among all of them.
    fn worker(&mut self, place: usize) -> Result<&mut Worker<State>> {
        self.workers
            .get_mut(place)
            .and_then(Option::as_mut)
            .ok_or(EINVAL)
    }

    /// Makes a task and gets it ready.
    fn make(
        &mut self,
        number: u32,
        images: KBox<TaskImages>,
        plan: &Plan,
        cx: &mut Restart<'_>,
    ) -> Result<Worker<State>> {
        let (pid, relation) = (plan.task.pid, plan.relation);
        let own_pid = (cx.flags & uapi::RESTART_NEW_PIDS == 0).then_some(pid);
        let name = plan.name;
        let is_complete = !plan.is_late(cx.flags);
        let restart = &mut *cx;
        let create = move || {
            Worker::<State>::create(relation, own_pid, move |task, state| {
                let mut cx = Prepare::new(task, number, name, restart);
                let mut prepared = images.prepare(&mut cx)?;

                if is_complete {
                    prepared.complete(&mut cx)?;
                }
                state.0 = Some(prepared);
                Ok(())
            })
        };
        let made = match plan.maker {
            None => create(),
            Some(place) => self.worker(place)?.run(move |_, _| create())?,
        };

        match made {
            Ok((worker, Ok(()))) => {
                cx.made(pid, worker.task())?;
                Ok(worker)
            }
            Ok((_, Err(e))) => Err(e),
            Err(e) if e == EEXIST => Err(cx.fail(e, format_args!("task {pid}: the pid is taken"))),
            Err(e) if e == EPERM => Err(cx.fail(
                e,
                format_args!("task {pid}: the caller may not choose its pid"),
            )),
            Err(e) => Err(cx.fail(e, format_args!("task {pid}: it cannot be made: {e:?}"))),
        }
    }

    /// Hands a run of bulk data to the resource that it is for.
    fn fill<T: Transport + Sync>(
        &mut self,
        mut bulk: BulkReader<'_, '_, T>,
    ) -> Result<(), Failure> {
        let place = match bulk.bulk().kind {
            BulkKind::Pages { task, .. } | BulkKind::Shared { task } => place_of(task),
            BulkKind::Data { .. } => None,
        };
        let taken = match place.and_then(|place| place.checked_sub(1)) {
            None => match &mut self.root {
                Some((common, root)) => common.fill(&mut bulk)? || root.fill(&mut bulk)?,
                None => false,
            },
            Some(place) => match self.worker(place) {
                Err(_) => false,
                Ok(worker) => {
                    let bulk = &mut bulk;

                    worker.run(move |_, state| match &mut state.0 {
                        Some(prepared) => prepared.fill(bulk),
                        None => Ok(false),
                    })??
                }
            },
        };

        if !taken {
            return Err(bulk.unclaimed());
        }
        bulk.finish()
    }

    /// Does the last steps that may fail.
    fn complete(&mut self, caller: &CurrentTask, plans: &[Plan], cx: &mut Restart<'_>) -> Result {
        // Each before somebody may need it.
        let workers = self.workers.iter_mut().zip(plans.iter().skip(1));
        for (number, (worker, plan)) in (2..).zip(workers) {
            let (Some(worker), true) = (worker, cx.opens_late(number)) else {
                continue;
            };
            let (restart, name) = (&mut *cx, plan.name);

            worker.run(move |task, _| {
                object::open_late(&mut Prepare::new(task, number, name, restart))
            })??;
        }
        let mut own = Prepare::new(caller, 1, None, cx);
        if let Some((common, root)) = &mut self.root {
            common.complete(&mut own)?;
            root.complete(&mut own)?;
        }

        let others = self.workers.iter_mut().zip(plans.iter().skip(1));
        for (number, (worker, plan)) in (2..).zip(others) {
            let Some(worker) = worker.as_mut().filter(|_| plan.is_late(cx.flags)) else {
                continue;
            };
            let (restart, name) = (&mut *cx, plan.name);

            worker.run(move |task, state| match &mut state.0 {
                Some(prepared) => prepared.complete(&mut Prepare::new(task, number, name, restart)),
                None => Ok(()),
            })??;
        }
        Ok(())
    }

    /// Returns a task that the system call of another waits for, which is not the first.
    fn child(&self, plans: &[Plan], pid: Pid) -> Option<ARef<Task>> {
        if pid == 0 {
            return None;
        }
        let place = plans.iter().skip(1).position(|plan| plan.task.pid == pid)?;

        Some(self.workers.get(place)?.as_ref()?.task().into())
    }

    /// Makes every task what the image says. This cannot fail.
    fn commit(mut self, caller: &CurrentTask, plans: &[Plan], jobs: &Jobs, gate: Gate) {
        let root = self.root.take().map(|(mut common, mut root)| {
            common.commit(caller);
            root.commit(caller);
            (common, root)
        });

        for worker in self.workers.iter().flatten() {
            worker.share_namespaces(caller);
        }
        let tasks = plans.iter().map(|plan| &plan.task);
        jobs.join(caller, &self.places, tasks, &self.workers);
        self.places.clear();
        let first = plans.first().map(|plan| plan.task).unwrap_or_default();
        let vfork = self.child(plans, first.vfork);
        // The caller keeps its own accounts. Those that have ended do before anybody can wait for
        // them, and nobody has timers that count the time which others had used up.
        for (worker, plan) in self.workers.iter_mut().zip(plans.iter().skip(1)) {
            let Some(stats) = &plan.stats else {
                continue;
            };
            let used = Used {
                stats: &task::stats(stats),
                others: &plan
                    .usage
                    .as_ref()
                    .map_or_else(Default::default, |used| usage::usage(used)),
            };
            if plan.task.is_alive() || plan.is_outlived() {
                if let Some(worker) = worker.as_ref().filter(|_| plan.task.tgid != first.tgid) {
                    worker.add_usage(&used);
                }
                continue;
            }
            if let Some(worker) = worker.take() {
                worker.exit(&End {
                    code: plan.task.exit_code,
                    signal: plan.task.exit_signal,
                    flags: plan.task.flags,
                    used,
                });
            }
        }
        for place in 0..self.workers.len() {
            let Some(task) = plans.get(place + 1).map(|plan| plan.task) else {
                continue;
            };
            // It comes behind the task, and so has not been let go.
            let child = self.child(plans, task.vfork);
            let Some(worker) = self.workers.get_mut(place).and_then(Option::take) else {
                continue;
            };

            if task.is_alive() {
                worker.release(&gate, task.is_process(), child.as_deref());
                continue;
            }
            let leaving = worker.leave(&gate, task.exit_code);
            // There is room, and nothing is lost but the wait.
            let _ = self.leaving.push((leaving, place + 1), GFP_KERNEL_ACCOUNT);
        }
        gate.ready();
        if let Some((common, root)) = root {
            common.start(caller);
            root.start(caller);
        }
        while let Some((leaving, place)) = self.leaving.pop() {
            let Some(plan) = plans.get(place) else {
                continue;
            };

            leaving.wait(plan.task.exit_signal, plan.task.flags);
        }
        if !first.is_alive() {
            gate.end(first.exit_code);
        }
        gate.pass(vfork.as_deref());
    }
}

/// Reads a whole image, makes the caller what it says of the first task, and all others.
fn rebuild<T: Transport + Sync>(
    file: &T,
    crid: c_int,
    caller: &CurrentTask,
    cx: &mut Restart<'_>,
) -> Result<c_long, Failure> {
    let uts = UtsName::running();
    let mut from = ImageReader::new(
        file,
        Expect {
            kernel: Some(running_kernel(&uts)),
            crid: (crid != 0).then_some(crid),
            flags: u64::from(uapi::CHECKPOINT_FLAGS),
        },
    );
    let mut images = Images::read(&mut from)?;
    let is_process = images.is_process;
    let (plans, jobs) = plan(cx, caller, &mut images, &mut from)?;
    let others = plans.iter().skip(1);
    let gate = Gate::new(
        others
            .filter(|plan| plan.task.is_alive() || plan.is_outlived())
            .count(),
    )?;
    let mut crew = Crew::prepare(caller, images, &plans, &jobs, cx).map_err(|e| cx.ended(e))?;

    loop {
        if let Some(bulk) = from.bulk() {
            crew.fill(bulk)?;
        }
        if from.next()?.is_none() {
            break;
        }
    }
    crew.complete(caller, &plans, cx).map_err(|e| cx.ended(e))?;

    cx.let_go();
    crew.commit(caller, &plans, &jobs, gate);
    Ok(if is_process { caller.return_value() } else { 0 })
}
