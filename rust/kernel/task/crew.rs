// SPDX-License-Identifier: GPL-2.0

//! Making tasks that are to become what an image says.
//!
//! A [`Worker`] is a child or a thread of the task that made it. It sleeps in the kernel, except that
//! it does what its driver asks for while that waits. So what is done to "the current task" can be done
//! to it, in its own context, and of driver and workers only one runs at a time.
//!
//! A worker has a state, of which nothing leaves its context: it is made, used and dropped there.
//! Dropping the [`Worker`] drops the state and ends the task, without a trace.
//!
//! # Locking
//!
//! A driver must hold no lock that a worker takes while it waits for that.
//!
//! C header: [`include/linux/checkpoint.h`](srctree/include/linux/checkpoint.h)

use super::{
    CurrentTask,
    Pid,
    Task, //
};
use crate::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    },
    uapi, //
};
use core::{
    cell::UnsafeCell,
    ffi::c_void,
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    }, //
};

/// What a new task has in common with the one that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is another thread of the process.
    Thread,
    /// It is a child, which has the address space, for as long as it gets no other.
    Child {
        /// It has the actions of signals, too.
        sighand: bool,
    },
}

impl Relation {
    /// `CLONE_*`. A descriptor table and the like are those of the driver until they are replaced.
    fn flags(self) -> u64 {
        let common = bindings::CLONE_VM | bindings::CLONE_FS | bindings::CLONE_FILES;

        u64::from(match self {
            Self::Thread => common | bindings::CLONE_THREAD | bindings::CLONE_SIGHAND,
            Self::Child { sighand: true } => common | bindings::CLONE_SIGHAND,
            Self::Child { sighand: false } => common,
        })
    }
}

/// What a task had used up, and others that count for it.
#[derive(Clone, Copy)]
pub struct Used<'a> {
    /// The task itself.
    pub stats: &'a uapi::cr_hdr_task_stats,
    /// Threads that have ended, and children.
    pub others: &'a uapi::cr_hdr_usage,
}

/// How a task has ended.
pub struct End<'a> {
    /// What wait4(2) reports.
    pub code: i32,
    /// By which signal the parent was told.
    pub signal: i32,
    /// `CR_TASK_*`
    pub flags: u32,
    /// What it had used up.
    pub used: Used<'a>,
}

/// What a worker becomes in the end.
pub trait Member: Default {
    /// Makes the current task what the state says. This cannot fail.
    fn commit(&mut self, task: &CurrentTask);

    /// Begins what others notice, after the commit. This cannot fail either.
    fn start(self, task: &CurrentTask);
}

/// The state of a worker. It is looked at in the context of the worker alone.
struct State<T>(UnsafeCell<T>);

/// A task that was made by this one, or by another worker.
///
/// # Invariants
///
/// `raw` is what `checkpoint_worker_create()` returned, and nobody else uses it. `state` is looked
/// at, and dropped, in the context of its task only.
pub struct Worker<T: Member> {
    raw: NonNull<bindings::checkpoint_worker>,
    state: ManuallyDrop<KBox<State<T>>>,
}

// SAFETY: What is in the state does not go to another task with this; by the type invariants all
// uses of it, its drop included, are in the context of the worker. The worker may be driven by any
// task.
unsafe impl<T: Member> Send for Worker<T> {}

/// A call of a closure in another task.
struct Call<'a, T, F, R> {
    state: &'a State<T>,
    function: Option<F>,
    result: Option<R>,
}

impl<T, F: FnOnce(&CurrentTask, &mut T) -> R, R> Call<'_, T, F, R> {
    /// # Safety
    ///
    /// `call` must point to a `Call` that nobody uses meanwhile, and the current task must be the one
    /// that the state belongs to.
    unsafe extern "C" fn run(call: *mut c_void) {
        // SAFETY: By the safety requirements.
        let call = unsafe { &mut *call.cast::<Self>() };

        if let Some(function) = call.function.take() {
            // SAFETY: By the safety requirements this is the task that the state belongs to, and it
            // does one thing at a time.
            let state = unsafe { &mut *call.state.0.get() };

            call.result = Some(function(current!(), state));
        }
    }
}

impl<T: Member> Worker<T> {
    /// Makes a child or a thread of the current task, with a number of its own or one that is free,
    /// and calls `first` in it.
    ///
    /// # Errors
    ///
    /// Those of clone3(2): `EEXIST` if the number is taken, `EPERM` if the caller may not choose
    /// one, `EAGAIN` if there are too many tasks. `EINTR` if a signal arrived that cannot wait.
    pub fn create<R: Send>(
        relation: Relation,
        pid: Option<Pid>,
        first: impl FnOnce(&CurrentTask, &mut T) -> R + Send,
    ) -> Result<(Self, R)> {
        // The default of a state has nothing of any task.
        let state = KBox::new(State(UnsafeCell::new(T::default())), GFP_KERNEL_ACCOUNT)?;
        let mut call = Call {
            state: &*state,
            function: Some(first),
            result: None,
        };

        // SAFETY: The function calls `run()` in the new task once before it returns, with a pointer
        // that nobody uses meanwhile. From then on the state is that task's.
        let raw = from_err_ptr(unsafe {
            bindings::checkpoint_worker_create(
                relation.flags(),
                pid.unwrap_or(0),
                Some(run_of(&call)),
                (&raw mut call).cast(),
            )
        })?;
        let result = call.result.take();
        // INVARIANT: The function has just returned it.
        let worker = Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            state: ManuallyDrop::new(state),
        };

        Ok((worker, result.ok_or(EINVAL)?))
    }

    /// Calls `function` in the task, and waits for its end.
    ///
    /// Should the caller be killed meanwhile, the task is killed as well, so that what it waits for
    /// ends.
    pub fn run<R: Send>(
        &mut self,
        function: impl FnOnce(&CurrentTask, &mut T) -> R + Send,
    ) -> Result<R> {
        let mut call = Call {
            state: &**self.state,
            function: Some(function),
            result: None,
        };

        // SAFETY: By the type invariants the worker is valid. It calls `run()` once before the
        // function returns, with a pointer that nobody uses meanwhile.
        unsafe {
            bindings::checkpoint_worker_run(
                self.raw.as_ptr(),
                Some(run_of(&call)),
                (&raw mut call).cast(),
            )
        };
        call.result.ok_or(EINVAL)
    }

    /// Returns the task.
    pub fn task(&self) -> &Task {
        // SAFETY: By the type invariants the worker is valid, and has a reference on its task.
        // `Task` is a transparent wrapper of `struct task_struct`.
        unsafe { &*(*self.raw.as_ptr()).task.cast() }
    }

    /// Lets the task become what its state says, and wait at the gate until all others have. If it
    /// `starts`, [`Member::start`] comes when all have. If it is in vfork(2), `vfork` is what it waits
    /// for, another worker that is released, too; that comes with `starts`.
    pub fn release(self, gate: &Gate, starts: bool, vfork: Option<&Task>) {
        let (raw, state) = self.into_parts();

        // SAFETY: By the type invariants the worker is valid, and it is not used again. It calls the
        // functions once, of which the second takes over the state. `vfork` is null or a valid task.
        unsafe {
            bindings::checkpoint_worker_release(
                raw.as_ptr(),
                Some(commit::<T>),
                Some(start::<T>),
                KBox::into_raw(state).cast(),
                starts || vfork.is_some(),
                vfork.map_or(ptr::null_mut(), Task::as_ptr),
                gate.0.as_ptr(),
            )
        };
    }

    /// Lets the task, which leads its process, become what its state says, and end after that. Its
    /// parent finds it as one that has ended so.
    pub fn exit(self, end: &End<'_>) {
        let (raw, state) = self.into_parts();

        // SAFETY: As above. The types of the statistics are those of one declaration.
        unsafe {
            bindings::checkpoint_worker_exit(
                raw.as_ptr(),
                Some(commit::<T>),
                Some(start::<T>),
                KBox::into_raw(state).cast(),
                end.code,
                end.signal,
                end.flags,
                core::ptr::from_ref(end.used.stats).cast(),
                core::ptr::from_ref(end.used.others).cast(),
            )
        };
    }

    /// Likewise, but lets it end when all others have become what theirs say.
    pub fn leave(self, gate: &Gate, code: i32) -> Leaving {
        let (raw, state) = self.into_parts();

        // SAFETY: As above, but for one use that is to come.
        unsafe {
            bindings::checkpoint_worker_leave(
                raw.as_ptr(),
                Some(commit::<T>),
                Some(start::<T>),
                KBox::into_raw(state).cast(),
                code,
                gate.0.as_ptr(),
            )
        };
        // INVARIANT: Just called.
        Leaving(raw)
    }

    fn into_parts(self) -> (NonNull<bindings::checkpoint_worker>, KBox<State<T>>) {
        let mut this = ManuallyDrop::new(self);

        // SAFETY: The destructor of `self` does not run, so that this is done once.
        (this.raw, unsafe { ManuallyDrop::take(&mut this.state) })
    }
}

impl<T: Member> Drop for Worker<T> {
    fn drop(&mut self) {
        // SAFETY: This is done once.
        let state = unsafe { ManuallyDrop::take(&mut self.state) };

        // SAFETY: By the type invariants the worker is valid, and it is not used again. It calls the
        // function once, which takes over the state.
        unsafe {
            bindings::checkpoint_worker_abort(
                self.raw.as_ptr(),
                Some(forget::<T>),
                KBox::into_raw(state).cast(),
            )
        };
    }
}

/// Returns the function that does a call, whose types have no names.
fn run_of<T, F: FnOnce(&CurrentTask, &mut T) -> R, R>(
    _call: &Call<'_, T, F, R>,
) -> unsafe extern "C" fn(*mut c_void) {
    Call::<'_, T, F, R>::run
}

/// A worker that ends when all others are ready.
///
/// # Invariants
///
/// `checkpoint_worker_leave()` was called for it, and nobody else uses it.
pub struct Leaving(NonNull<bindings::checkpoint_worker>);

impl Leaving {
    /// Waits for the end, after [`Gate::ready`]. The parent is told of it by `signal`; `flags` are
    /// `CR_TASK_*`.
    pub fn wait(self, signal: i32, flags: u32) {
        // SAFETY: By the type invariants, and it is not used again. The last two may be null.
        unsafe {
            bindings::checkpoint_worker_left(
                self.0.as_ptr(),
                signal,
                flags,
                core::ptr::null(),
                core::ptr::null(),
            )
        };
    }
}

/// # Safety
///
/// `state` must be from `KBox::<State<T>>::into_raw()`, of the current task.
unsafe extern "C" fn commit<T: Member>(state: *mut c_void) {
    // SAFETY: By the safety requirements; nobody else uses it meanwhile.
    let state = unsafe { &mut *state.cast::<State<T>>() };

    state.0.get_mut().commit(current!());
}

/// # Safety
///
/// As of [`commit`], after which it is called once.
unsafe extern "C" fn start<T: Member>(state: *mut c_void) {
    // SAFETY: By the safety requirements.
    let state = unsafe { KBox::<State<T>>::from_raw(state.cast()) };

    KBox::into_inner(state).0.into_inner().start(current!());
}

/// # Safety
///
/// As of [`commit`].
unsafe extern "C" fn forget<T: Member>(state: *mut c_void) {
    // SAFETY: By the safety requirements.
    drop(unsafe { KBox::<State<T>>::from_raw(state.cast()) });
}

/// Where tasks wait until all have come.
///
/// # Invariants
///
/// The pointer is what `checkpoint_gate_create()` returned, and a reference.
pub struct Gate(NonNull<bindings::checkpoint_gate>);

impl Gate {
    /// Makes a gate for the caller and `nr` workers.
    pub fn new(nr: usize) -> Result<Self> {
        let nr = c_uint::try_from(nr)?;
        // SAFETY: The function has no requirements.
        let gate = unsafe { bindings::checkpoint_gate_create(nr) };

        // INVARIANT: Just returned.
        Ok(Self(NonNull::new(gate).ok_or(ENOMEM)?))
    }

    /// Waits until all workers have become what their states say, as the caller has.
    pub fn ready(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::checkpoint_gate_ready(self.0.as_ptr()) };
    }

    /// Lets the caller end with `code`, instead of going to user mode.
    pub fn end(&self, code: i32) {
        // SAFETY: By the type invariants.
        unsafe { bindings::checkpoint_gate_end(self.0.as_ptr(), code) };
    }

    /// Lets all go, after [`Self::ready`]. None is in user mode before that. A caller that is in
    /// vfork(2) waits for the end of that before it goes to user mode, where it finds what it returns.
    pub fn pass(self, vfork: Option<&Task>) {
        let this = ManuallyDrop::new(self);

        // SAFETY: By the type invariants. The destructor does not run. `vfork` is null or a valid
        // task, which is not in user mode.
        unsafe {
            bindings::checkpoint_gate_pass(
                this.0.as_ptr(),
                vfork.map_or(ptr::null_mut(), Task::as_ptr),
            )
        };
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::checkpoint_gate_drop(self.0.as_ptr()) };
    }
}

/// That nobody saves the current task meanwhile.
///
/// # Invariants
///
/// The claim is that of the task that made this, which drops it.
pub struct Claim(Pin<KBox<Opaque<bindings::checkpoint_claim>>>, NotThreadSafe);

impl Claim {
    /// Keeps checkpoints away from the current task.
    ///
    /// # Errors
    ///
    /// `ERESTARTNOINTR` if there is one of it, which is the right answer of the system call.
    pub fn new(task: &CurrentTask) -> Result<Self> {
        let claim = KBox::pin_init(
            Opaque::ffi_init(|slot: *mut bindings::checkpoint_claim| {
                // SAFETY: `slot` is valid memory for a `struct checkpoint_claim`, for which zeros
                // will do.
                unsafe { slot.write_bytes(0, 1) }
            }),
            GFP_KERNEL_ACCOUNT,
        )?;

        // SAFETY: The claim is zeros and pinned; the current task is there longer than this.
        if unsafe { bindings::checkpoint_claim(claim.get(), task.as_ptr(), true) } != 0 {
            // SAFETY: The function changes the current task.
            unsafe { bindings::checkpoint_restart_syscall() };
            return Err(ERESTARTNOINTR);
        }
        // INVARIANT: Just made.
        Ok(Self(claim, NotThreadSafe))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::checkpoint_unclaim(self.0.get()) };
    }
}

/// A place in job control: a process group or a session, by a task.
#[derive(Clone, Copy)]
pub enum Job<'a> {
    /// That which the task belongs to.
    Of(&'a Task),
    /// That which has the number of the task.
    Led(&'a Task),
}

impl Job<'_> {
    fn parts(self) -> (*mut bindings::task_struct, bool) {
        match self {
            Self::Of(task) => (task.as_ptr(), false),
            Self::Led(task) => (task.as_ptr(), true),
        }
    }
}

impl<T: Member> Worker<T> {
    /// Gives the worker the namespaces of the caller, which may have entered others since.
    pub fn share_namespaces(&self, _caller: &CurrentTask) {
        // SAFETY: The worker's is a valid task, which is not in user mode. The function takes the
        // locks that it needs.
        unsafe { bindings::checkpoint_share_namespaces(self.task().as_ptr()) };
    }

    /// Makes the process of the worker one of a group and a session.
    pub fn join(&self, group: Job<'_>, session: Job<'_>) {
        let ((group, group_leads), (session, session_leads)) = (group.parts(), session.parts());

        // SAFETY: All are valid tasks, and that of the worker leads its group and is not in user
        // mode. The function takes the locks that it needs.
        unsafe {
            bindings::checkpoint_join_jobs(
                self.task().as_ptr(),
                group,
                group_leads,
                session,
                session_leads,
            )
        };
    }
}

impl<T: Member> Worker<T> {
    /// Counts what the task of an image had used up to what the process of the worker has. The process
    /// has no timers yet.
    pub fn add_usage(&self, used: &Used<'_>) {
        // SAFETY: The worker's is a valid task. All types are those of one declaration. The function
        // takes the lock that it needs.
        unsafe {
            bindings::checkpoint_usage_set(
                self.task().as_ptr(),
                core::ptr::from_ref(used.stats).cast(),
                core::ptr::from_ref(used.others).cast(),
                false,
            )
        };
    }

    /// Takes its controlling terminal from the process of the worker.
    pub fn drop_tty(&self) {
        // SAFETY: The worker's is a valid task, which is not in user mode and has not ended. The
        // function takes the lock that it needs.
        unsafe { bindings::checkpoint_tty_drop(self.task().as_ptr()) };
    }

    /// Lets the process group of the worker be the one in the foreground of the terminal that is the
    /// caller's, if it is the caller's group up to now.
    pub fn foreground(&self, _caller: &CurrentTask) {
        // SAFETY: The worker's is a valid task. The function takes the locks that it needs.
        unsafe { bindings::checkpoint_foreground(self.task().as_ptr()) };
    }
}

impl CurrentTask {
    /// Sets the signal that the parent of the current process gets at its end. `flags` are
    /// `CR_TASK_*`.
    pub fn set_end(&self, signal: i32, flags: u32) {
        // SAFETY: The function changes the current task, and takes the lock that it needs.
        unsafe { bindings::checkpoint_end_set(self.as_ptr(), signal, flags) };
    }

    /// Makes the current process one of a group.
    pub fn join(&self, group: Job<'_>) {
        let (group, leads) = group.parts();

        // SAFETY: Both are valid tasks. The function takes the locks that it needs. The session stays
        // what it is.
        unsafe {
            bindings::checkpoint_join_jobs(self.as_ptr(), group, leads, self.as_ptr(), false)
        };
    }
}
