// SPDX-License-Identifier: GPL-2.0

//! A thread of execution: its registers, and what the kernel keeps for it.
//!
//! A task that is saved is at the edge of user mode. If something interrupted its system call, the
//! register for the result says how the call goes on afterwards, as it does for a signal; this is
//! saved with the other registers, and the exit to user mode sees to it after a restart.
//!
//! | result | what is saved | after a restart |
//! |---|---|---|
//! | `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND` | registers | the call is done again |
//! | `ERESTART_RESTARTBLOCK` | restart block, with the time that is left | it goes on |
//! | any other | registers | that is the result |
//!
//! A caller that saves itself returns 0 from checkpoint(2) after a restart.
//!
//! The record of the thread comes before the registers, because it says how long they are. It also
//! tells a 32-bit program, and a system call of that kind, which a 64-bit program may make as well:
//! the call that goes on with one that was interrupted has another number there.

use kernel::{
    prelude::*,
    task::{
        regs::{
            Registers,
            XState, //
        },
        thread::Thread,
        CurrentTask, //
    },
};

use zerocopy::transmute;

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

pub(crate) struct CpuState;

/// There is no alternate stack.
const SS_DISABLE: u32 = 2;

/// What was found.
pub(crate) struct Found {
    thread: image::Thread,
    cpu: image::Cpu,
    xstate: KVVec<u64>,
}

/// What an image says: nothing, or all of it.
#[derive(Default)]
pub(crate) struct Image {
    thread: Option<image::Thread>,
    cpu: Option<image::Cpu>,
    xstate: KVVec<u64>,
    /// It has ended, and has nothing that the kernel might use in the memory of its threads.
    outlived: bool,
    /// It has the address space of a task before it.
    shares_memory: bool,
}

/// What is committed.
pub(crate) struct Prepared {
    thread: Thread,
    registers: Option<(Registers, XState)>,
}

/// Makes a record of what the kernel says.
fn record(from: &uapi::cr_hdr_thread, xstate_len: u32) -> image::Thread {
    image::Thread {
        clear_child_tid: from.clear_child_tid,
        robust_list: from.robust_list,
        rseq: from.rseq,
        rseq_len: from.rseq_len,
        rseq_sig: from.rseq_sig,
        altstack_sp: from.altstack_sp,
        altstack_size: from.altstack_size,
        altstack_flags: from.altstack_flags,
        restart_kind: from.restart_kind,
        restart_args: from.restart_args,
        restart_left: from.restart_left,
        personality: from.personality,
        xstate_len,
        compat_robust_list: from.compat_robust_list,
        flags: from.flags,
        reserved: 0,
        dispatch_selector: from.dispatch_selector,
        dispatch_offset: from.dispatch_offset,
        dispatch_len: from.dispatch_len,
    }
}

/// The other way round.
fn thread(from: &image::Thread) -> uapi::cr_hdr_thread {
    uapi::cr_hdr_thread {
        clear_child_tid: from.clear_child_tid,
        robust_list: from.robust_list,
        rseq: from.rseq,
        rseq_len: from.rseq_len,
        rseq_sig: from.rseq_sig,
        altstack_sp: from.altstack_sp,
        altstack_size: from.altstack_size,
        altstack_flags: from.altstack_flags,
        restart_kind: from.restart_kind,
        restart_args: from.restart_args,
        restart_left: from.restart_left,
        personality: from.personality,
        xstate_len: from.xstate_len,
        compat_robust_list: from.compat_robust_list,
        flags: from.flags,
        reserved: 0,
        dispatch_selector: from.dispatch_selector,
        dispatch_offset: from.dispatch_offset,
        dispatch_len: from.dispatch_len,
    }
}

impl Resource for CpuState {
    const SCOPE: Scope = Scope::Thread;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Self::Found> {
        let regs = cx
            .task
            .registers()
            .map_err(|e| cx.fail(e, format_args!("registers: {e:?}")))?;
        if let Err(register) = Registers::new(regs) {
            return Err(cx.refuse(format_args!("the value of register {register}")));
        }
        let mut cpu: image::Cpu = transmute!(regs);
        if cx.to_self {
            // The call is over, and this is what it returned.
            cpu.ax = 0;
            cpu.orig_ax = u64::MAX;
        }
        let vfork = cx.tree.vfork(cx.member()?);
        if vfork != 0 {
            // It waits for nothing but the end of the call, of which this is the result.
            cpu.ax = vfork as u64;
            cpu.orig_ax = u64::MAX;
        }

        let xstate = cx.task.xstate().map_err(|e| {
            if e == ENODEV {
                cx.refuse(format_args!("a processor without XSAVE"))
            } else {
                cx.fail(e, format_args!("extended registers: {e:?}"))
            }
        })?;
        let len = xstate.as_slice().as_bytes().len();
        if len > uapi::CR_LEN_MAX as usize {
            return Err(cx.refuse(format_args!("having {len} bytes of registers")));
        }

        let thread = cx
            .task
            .thread()
            .map_err(|what| cx.refuse(format_args!("{what}")))?;
        Ok(Found {
            thread: record(&thread, len as u32),
            cpu,
            xstate,
        })
    }

    fn save<T: Transport>(
        found: &Self::Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.thread)?;
        to.record(&found.cpu)?;
        to.bytes(Kind::XState, found.xstate.as_slice().as_bytes())
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        match item {
            Item::Task(task) => {
                image.outlived = task.is_process() && !task.is_alive();
                image.shares_memory = task.mm != 0;
            }
            Item::Thread(thread) => image.thread = Some(*thread),
            Item::Cpu(cpu) => image.cpu = Some(*cpu),
            Item::XState(bytes) => {
                image.xstate = KVVec::from_elem(0, bytes.len() / 8, GFP_KERNEL_ACCOUNT)?;
                let words = image.xstate.as_mut_slice();
                bytes.write_to(words.as_mut_bytes()).map_err(|_| EINVAL)?;
            }
            _ => (),
        }
        Ok(())
    }

    fn prepare(image: Self::Image, cx: &mut Prepare<'_>) -> Result<Self::Prepared> {
        let (Some(saved), Some(cpu)) = (image.thread, image.cpu) else {
            let none = Thread::new(uapi::cr_hdr_thread {
                altstack_flags: SS_DISABLE,
                ..Default::default()
            });

            return Ok(none.ok().filter(|_| image.outlived).map(|thread| Prepared {
                thread,
                registers: None,
            }));
        };

        let thread = Thread::new(thread(&saved)).map_err(|field| {
            cx.fail(
                EINVAL,
                format_args!("thread: {field}: a value that no thread has"),
            )
        })?;
        // What comes with its own memory has been held against that.
        let ia32 = saved.flags & uapi::CR_THREAD_IA32 != 0;
        if image.shares_memory && ia32 != cx.caller.has_ia32_memory() {
            return Err(cx.fail(
                EINVAL,
                format_args!("thread: flags: not those of the memory that it shares"),
            ));
        }
        cx.caller.may_dispatch(&thread).map_err(|e| {
            cx.fail(
                e,
                format_args!("prctl(PR_SET_SYSCALL_USER_DISPATCH): {e:?}"),
            )
        })?;
        cx.caller
            .may_have_tiles(&thread)
            .map_err(|e| cx.fail(e, format_args!("arch_prctl(ARCH_REQ_XCOMP_PERM): {e:?}")))?;
        let registers = Registers::new(transmute!(cpu)).map_err(|register| {
            cx.fail(
                EINVAL,
                format_args!("register {register}: a value that it does not have in user mode"),
            )
        })?;
        let xstate = XState::new(image.xstate, saved.flags)
            .map_err(|(e, what)| cx.fail(e, format_args!("extended registers: {what}")))?;

        Ok(Some(Prepared {
            thread,
            registers: Some((registers, xstate)),
        }))
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(prepared) = prepared {
            caller.reset();
            caller.set_thread(&prepared.thread);
            if let Some((registers, xstate)) = prepared.registers {
                caller.set_registers(&registers, xstate);
            }
        }
    }
}

#[cfg(all(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST, CONFIG_X86_64))]
#[kernel::macros::kunit_tests(checkpoint_cpu)]
mod tests {
    use super::*;

    /// `__USER_CS` and `__USER_DS`; `X86_EFLAGS_IF` and the bit that is always set.
    const USER_CS: u64 = 0x33;
    const USER_DS: u64 = 0x2b;
    const FLAGS: u64 = 0x202;

    fn user() -> image::Cpu {
        image::Cpu {
            ip: 0x40_1000,
            cs: USER_CS,
            flags: FLAGS,
            sp: 0x7fff_ffff_eff8,
            ss: USER_DS,
            fs_base: 0x7f00_0000_0740,
            ..Default::default()
        }
    }

    fn unfit(change: impl FnOnce(&mut image::Cpu)) -> Option<&'static str> {
        let mut cpu = user();

        change(&mut cpu);
        Registers::new(transmute!(cpu)).err()
    }

    #[test]
    fn registers_of_user_mode_are_taken() {
        assert!(unfit(|_| ()).is_none());
        // Whatever a program computes with.
        assert!(unfit(|cpu| cpu.ax = u64::MAX).is_none());
        assert!(unfit(|cpu| cpu.bp = u64::MAX).is_none());
        // All that POPF sets.
        assert!(unfit(|cpu| cpu.flags |= 0x25_4dd5).is_none());
        assert!(unfit(|cpu| cpu.ds = USER_DS).is_none());
    }

    #[test]
    fn addresses_of_the_kernel_are_refused() {
        // With page tables of four levels and of five.
        for address in [1 << 56, 1 << 63, u64::MAX] {
            assert!(unfit(|cpu| cpu.ip = address) == Some("ip"));
            assert!(unfit(|cpu| cpu.sp = address) == Some("sp"));
            assert!(unfit(|cpu| cpu.fs_base = address) == Some("fs_base"));
            assert!(unfit(|cpu| cpu.gs_base = address) == Some("gs_base"));
        }
    }

    #[test]
    fn selectors_of_the_kernel_are_refused() {
        for selector in [0, 0x10, 0x13, 0x18, 0x2b, 0x63, 0x84, 0x1_0033] {
            assert!(unfit(|cpu| cpu.cs = selector) == Some("cs"));
        }
        for selector in [0, 3, 0x10, 0x18, 0x1b, 0x33, 0x84, 0x1_002b] {
            assert!(unfit(|cpu| cpu.ss = selector) == Some("ss"));
        }
        for selector in [0x10, 0x13, 0x18, 0x43, 0x60, 0x84, 0x1_0000] {
            assert!(unfit(|cpu| cpu.ds = selector) == Some("ds"));
            assert!(unfit(|cpu| cpu.es = selector) == Some("es"));
            assert!(unfit(|cpu| cpu.fs = selector) == Some("fs"));
            assert!(unfit(|cpu| cpu.gs = selector) == Some("gs"));
        }
    }

    #[test]
    fn segments_that_a_program_made_are_taken() {
        // Of modify_ldt(2).
        assert!(unfit(|cpu| cpu.cs = 0x87).is_none());
        // Of it and of set_thread_area(2); what the processor's number is in; none.
        for selector in [0x87, 0x63, 0x6b, 0x73] {
            assert!(unfit(|cpu| cpu.ss = selector).is_none());
            assert!(unfit(|cpu| cpu.ds = selector).is_none());
        }
        for selector in [0x7b, 0, 1, 3, 0x23, 0x33] {
            assert!(unfit(|cpu| cpu.gs = selector).is_none());
        }
    }

    #[test]
    #[cfg(CONFIG_IA32_EMULATION)]
    fn code_of_32_bits_has_short_addresses() {
        const USER32_CS: u64 = 0x23;

        assert!(unfit(|cpu| cpu.cs = USER32_CS).is_none());
        for selector in [USER32_CS, 0x87] {
            assert!(
                unfit(|cpu| {
                    cpu.cs = selector;
                    cpu.ip = 1 << 32;
                }) == Some("ip")
            );
        }
    }

    #[test]
    fn descriptors_are_those_of_set_thread_area() {
        /// 32-bit data of 4 GiB that may be written.
        const DATA: u64 = 0x00cf_f300_0000_ffff;

        for (i, good) in [DATA, DATA | 0x12 << 56, DATA & !(2 << 40)]
            .into_iter()
            .enumerate()
        {
            assert!(unfit(|cpu| cpu.tls[i] = good).is_none());
        }
        // Code; a gate; ring 0; not present; 16 bits; 64 bits; all zeros but its type.
        for bad in [
            DATA | 8 << 40,
            DATA & !(1 << 44),
            DATA & !(3 << 45),
            DATA & !(1 << 47),
            DATA & !(1 << 54),
            DATA | 1 << 53,
            0xf3 << 40,
        ] {
            assert!(unfit(|cpu| cpu.tls[1] = bad) == Some("tls"));
        }
    }

    #[test]
    fn flags_of_the_kernel_are_refused() {
        // Interrupts off; IOPL; virtual 8086 mode; bits that do not exist.
        assert!(unfit(|cpu| cpu.flags &= !0x200) == Some("flags"));
        assert!(unfit(|cpu| cpu.flags |= 0x3000) == Some("flags"));
        assert!(unfit(|cpu| cpu.flags |= 0x2_0000) == Some("flags"));
        assert!(unfit(|cpu| cpu.flags |= 1 << 32) == Some("flags"));
    }

    #[test]
    fn a_thread_has_what_system_calls_set() {
        let refused = |change: &dyn Fn(&mut uapi::cr_hdr_thread)| {
            let mut thread = uapi::cr_hdr_thread::default();

            change(&mut thread);
            Thread::new(thread).err()
        };

        assert!(refused(&|_| ()).is_none());
        assert!(refused(&|t| t.rseq = 8) == Some("rseq"));
        assert!(
            refused(&|t| {
                t.rseq = 1 << 63;
                t.rseq_len = 32;
            }) == Some("rseq")
        );
        assert!(refused(&|t| t.altstack_flags = 3) == Some("altstack_flags"));
        assert!(
            refused(&|t| {
                t.altstack_sp = 0x1000;
                t.altstack_size = 16;
            }) == Some("altstack_size")
        );
        assert!(refused(&|t| t.restart_kind = 99) == Some("restart_args"));
        assert!(refused(&|t| t.flags = 1 << 31) == Some("flags"));
        // Tiles without permission.
        assert!(refused(&|t| t.flags = uapi::CR_THREAD_XTILE_DATA) == Some("flags"));
        assert!(refused(&|t| t.compat_robust_list = 1 << 32) == Some("compat_robust_list"));
        assert!(
            refused(&|t| {
                t.restart_kind = uapi::CR_RESTART_NANOSLEEP;
                t.restart_args[0] = 2;
            }) == Some("restart_args")
        );
        assert!(refused(&|t| {
            t.restart_kind = uapi::CR_RESTART_NANOSLEEP;
            t.restart_args[0] = 1;
        })
        .is_none());
    }

    #[test]
    fn short_extended_registers_are_refused() {
        assert!(XState::new(KVVec::new(), 0).is_err());
    }
}
