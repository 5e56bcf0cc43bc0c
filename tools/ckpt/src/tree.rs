// SPDX-License-Identifier: GPL-2.0

//! The tasks of an image, as a tree.

use ckpt_image::image::{Shared, Task, Tree};
use ckpt_image::TaskSummary;
use serde::Serialize;

use crate::error::Error;
use crate::output::Out;
use crate::text;

/// What is known of a task.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// By which others refer to it: 1 is the first.
    task: u32,
    name: String,
    pid: i32,
    tgid: i32,
    /// null of the first, and of threads that are not the leader of their group.
    ppid: Option<i32>,
    /// null if it is of another pid namespace.
    pgid: Option<i32>,
    sid: Option<i32>,
    state: State,
    /// The task whose address space it has; null if it has its own, or none.
    mm: Option<u32>,
    files: Option<u32>,
    fs: Option<u32>,
    sighand: Option<u32>,
    sysvsem: Option<u32>,
    /// Descriptors in its own table.
    fds: u64,
    /// Mappings of its own address space.
    mappings: u64,
    /// Pages of it whose contents are in the image.
    pages: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Alive,
    Zombie,
    /// A zombie whose threads live on.
    Outlived,
}

impl State {
    fn of(task: &Task) -> Self {
        match (task.is_alive(), task.is_process()) {
            (true, _) => State::Alive,
            (false, true) => State::Outlived,
            (false, false) => State::Zombie,
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Zombie => "zombie",
            State::Outlived => "outlived",
        }
    }
}

impl Row {
    fn new(task: u32, summary: &TaskSummary) -> Self {
        let of = &summary.task;
        let number = |number: u32| (number != 0).then_some(number);
        let pid = |pid: i32| (pid != 0).then_some(pid);
        Row {
            task,
            name: text::escape(&summary.comm),
            pid: of.pid,
            tgid: of.tgid,
            ppid: pid(of.ppid),
            pgid: pid(of.pgid),
            sid: pid(of.sid),
            state: State::of(of),
            mm: number(of.mm),
            files: number(of.files),
            fs: number(of.fs),
            sighand: number(of.sighand),
            sysvsem: number(of.sysvsem),
            fds: summary.fds,
            mappings: summary.mappings,
            pages: summary.pages,
        }
    }

    /// Does it lead its thread group?
    pub(crate) fn leads(&self) -> bool {
        self.pid == self.tgid
    }

    /// Whose objects it has: `mm 1, fs 3`.
    fn shares(&self) -> String {
        let shares = [
            (Shared::Mm, self.mm),
            (Shared::Files, self.files),
            (Shared::Fs, self.fs),
            (Shared::Sighand, self.sighand),
            (Shared::Sysvsem, self.sysvsem),
        ];
        let words: Vec<_> = shares
            .into_iter()
            .filter_map(|(shared, number)| Some(format!("{} {}", shared.field(), number?)))
            .collect();
        if words.is_empty() {
            "-".into()
        } else {
            words.join(", ")
        }
    }
}

/// What is known of each task, in the order of the image.
pub(crate) fn rows(tasks: &[TaskSummary]) -> Vec<Row> {
    (1..)
        .zip(tasks)
        .map(|(task, summary)| Row::new(task, summary))
        .collect()
}

/// A line for each task, its threads and children below it.
pub(crate) fn table(tasks: &[TaskSummary], out: &mut Out) -> Result<(), Error> {
    let rows = rows(tasks);
    out.line(
        "#  TASK      PID     TGID     PPID     PGID      SID  STATE       FDS  MAPS   PAGES  \
         NAME, SHARES",
    )?;
    for (index, depth) in order(tasks) {
        let Some(row) = rows.get(index) else {
            continue;
        };
        let or_dash = |number: Option<i32>| number.map_or("-".into(), |pid| pid.to_string());
        let name = if row.leads() {
            row.name.clone()
        } else {
            format!("{{{}}}", row.name)
        };
        out.line(format_args!(
            "# {:>5} {:>8} {:>8} {:>8} {:>8} {:>8}  {:<8} {:>6} {:>5} {:>7}  {}{name}  {}",
            row.task,
            row.pid,
            row.tgid,
            or_dash(row.ppid),
            or_dash(row.pgid),
            or_dash(row.sid),
            row.state.name(),
            row.fds,
            row.mappings,
            row.pages,
            "  ".repeat(depth),
            row.shares(),
        ))?;
    }
    Ok(())
}

/// The tasks by their indices, those that are below another behind that, and how deep they are.
fn order(tasks: &[TaskSummary]) -> Vec<(usize, usize)> {
    let plain: Vec<_> = tasks.iter().map(|task| task.task).collect();
    let mut by_pid = vec![0; plain.len()];
    let Ok(tree) = Tree::check(&plain, &mut by_pid) else {
        // What is no tree has no order but its own.
        return (0..plain.len()).map(|index| (index, 0)).collect();
    };
    // Those below a leader: its threads, and then the children of all of them.
    let mut below = vec![Vec::new(); plain.len()];
    for (index, task) in plain.iter().enumerate() {
        let above = if task.is_leader() {
            tree.parent(index).and_then(|parent| tree.leader(parent))
        } else {
            tree.leader(index)
        };
        if let Some(below) = above.and_then(|above| below.get_mut(above)) {
            below.push(index);
        }
    }
    let mut order = Vec::with_capacity(plain.len());
    let mut to_come = vec![(0, 0)];
    while let Some((index, depth)) = to_come.pop() {
        if index >= plain.len() {
            break;
        }
        order.push((index, depth));
        let below = below.get(index).into_iter().flatten().rev();
        to_come.extend(below.map(|&index| (index, depth + 1)));
    }
    order
}

#[cfg(test)]
mod tests {
    use ckpt_image::image::Expect;
    use ckpt_image::{uapi, verify, ImageBuilder};

    use super::*;

    fn tasks() -> Vec<TaskSummary> {
        let expect = Expect {
            kernel: None,
            crid: None,
            flags: uapi::CHECKPOINT_FLAGS.into(),
        };
        verify(&*ImageBuilder::tree().build(), expect)
            .unwrap()
            .tasks
    }

    #[test]
    fn what_is_below_comes_behind() {
        let numbers: Vec<_> = order(&tasks())
            .into_iter()
            .map(|(index, depth)| (index + 1, depth))
            .collect();
        let expected = [
            (1, 0),
            (2, 1),
            (3, 1),
            (4, 1),
            (10, 2),
            (11, 3),
            (5, 1),
            (6, 1),
            (7, 1),
            (8, 2),
            (9, 2),
            (12, 2),
        ];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn what_is_no_tree_has_its_own_order() {
        let mut tasks = tasks();
        tasks[3].task.ppid = 1;
        let expected: Vec<_> = (0..12).map(|index| (index, 0)).collect();
        assert_eq!(order(&tasks), expected);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn shares() {
        let rows = rows(&tasks());
        let shares: Vec<_> = rows.iter().map(Row::shares).collect();
        assert_eq!(shares[0], "-");
        assert_eq!(shares[1], "mm 1, fs 1, sighand 1, sysvsem 1");
        assert_eq!(shares[4], "mm 1, files 2, fs 3, sighand 1");
        let states: Vec<_> = rows.iter().map(|row| row.state.name()).collect();
        assert_eq!(states[5..8], ["zombie", "outlived", "alive"]);
    }
}
