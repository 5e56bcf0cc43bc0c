// SPDX-License-Identifier: GPL-2.0

//! What a task is besides all that it has: its name, its life and death, its statistics.
//!
//! Only the name is brought back. The statistics of an image are checked and shown by the tools:
//! a caller that keeps running after restart(2) keeps its own, which resource limits and
//! accounting count on.

use kernel::{
    prelude::*,
    task::{
        state::Comm,
        CurrentTask,
        Task, //
    }, //
};

use crate::{
    image::{
        self,
        Item,
        Text, //
    },
    resource::Resource,
    stream::{
        Failure,
        ImageWriter,
        Transport, //
    },
};

pub(crate) struct TaskState;

impl Resource for TaskState {
    type Image = Option<Comm>;
    type Prepared = Option<Comm>;

    fn save<T: Transport>(task: &Task, to: &mut ImageWriter<'_, T>) -> Result<(), Failure> {
        let life = task.life();
        let comm = task.comm();
        let usage = task.usage();

        to.record(&image::Task {
            state: life.state,
            exit_state: life.exit_state,
            // Until a task ends, this is where a tracer keeps a signal.
            exit_code: if life.exit_state == 0 {
                0
            } else {
                life.exit_code
            },
            exit_signal: life.exit_signal,
            task_comm_len: comm.as_bytes().len() as i32,
            reserved: 0,
        })?;
        to.text(Text::new(comm.as_bytes()).ok_or(EINVAL)?)?;
        to.record(&image::TaskStats {
            utime: usage.cputime.0,
            stime: usage.cputime.1,
            utimescaled: usage.cputime_scaled.0,
            stimescaled: usage.cputime_scaled.1,
            gtime: usage.gtime,
            prev_utime: usage.prev_cputime.0,
            prev_stime: usage.prev_cputime.1,
            nvcsw: usage.nvcsw,
            nivcsw: usage.nivcsw,
            start_time: usage.start_time,
            start_boottime: usage.start_boottime,
            min_flt: usage.min_flt,
            maj_flt: usage.maj_flt,
        })
    }

    fn take(image: &mut Self::Image, item: &Item<'_>) -> Result {
        if let Item::Text(name) = item {
            *image = Some(Comm::new(name));
        }
        Ok(())
    }

    fn prepare(image: Self::Image) -> Result<Self::Prepared> {
        Ok(image)
    }

    fn commit(prepared: Self::Prepared, caller: &CurrentTask) {
        if let Some(comm) = prepared {
            caller.set_comm(&comm);
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_task)]
mod tests {
    use super::*;
    use crate::{
        image::{
            Expect,
            Head, //
        },
        stream::{
            running_kernel,
            ImageReader, //
        },
    };
    use core::cell::{
        Cell,
        RefCell, //
    };
    use kernel::uts::UtsName;

    /// A file in memory, with a position for reading.
    #[derive(Default)]
    struct Memory {
        data: RefCell<KVVec<u8>>,
        position: Cell<usize>,
    }

    impl Transport for Memory {
        fn read(&self, to: &mut [u8]) -> Result<usize> {
            let data = self.data.borrow();
            let from = data.get(self.position.get()..).unwrap_or(&[]);
            let len = to.len().min(from.len());

            to[..len].copy_from_slice(&from[..len]);
            self.position.set(self.position.get() + len);
            Ok(len)
        }

        fn write(&self, from: &[u8]) -> Result<usize> {
            self.data.borrow_mut().extend_from_slice(from, GFP_KERNEL)?;
            Ok(from.len())
        }

        fn wait(&self) -> Result {
            Err(EAGAIN)
        }
    }

    #[test]
    fn saved_task_is_a_valid_image() -> Result {
        let file = Memory::default();
        let uts = UtsName::running();
        let kernel = running_kernel(&uts);
        let caller = current!();
        let mut to = ImageWriter::new(&file);

        let written = to
            .record(&Head::new(&kernel, 0, 0, 1))
            .and_then(|()| TaskState::save(caller, &mut to))
            .and_then(|()| to.finish());
        assert!(written.is_ok());

        let mut from = ImageReader::new(
            &file,
            Expect {
                kernel: Some(kernel),
                crid: Some(1),
                flags: 0,
            },
        );
        let mut image = None;
        let mut stats = None;
        while let Some(item) = from.next().map_err(|f| f.error())? {
            TaskState::take(&mut image, &item)?;
            if let Item::TaskStats(seen) = item {
                stats = Some(seen);
            }
        }
        assert!(image == Some(caller.comm()));
        // Whoever runs this has been switched to, some time after the machine started.
        assert!(stats.is_some_and(|s| s.start_time > 0 && s.start_boottime >= s.start_time));
        Ok(())
    }

    #[test]
    fn only_the_name_is_taken() -> Result {
        let mut image = None;

        TaskState::take(&mut image, &Item::Task(image::Task::default()))?;
        TaskState::take(&mut image, &Item::TaskStats(image::TaskStats::default()))?;
        assert!(image.is_none());
        TaskState::take(&mut image, &Item::Text(b"name\0rest"))?;
        assert!(image == Some(Comm::new(b"name")));
        Ok(())
    }

    #[test]
    fn name_is_cut_to_15_bytes() {
        let comm = Comm::new(b"0123456789abcdefgh");

        assert_eq!(comm.as_bytes(), b"0123456789abcde\0");
    }

    #[test]
    fn name_ends_at_the_first_nul() {
        assert_eq!(
            Comm::new(b"ab\0cd").as_bytes(),
            b"ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        assert_eq!(Comm::new(b"").as_bytes(), &[0; 16]);
    }
}
