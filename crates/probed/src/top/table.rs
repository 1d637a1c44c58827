//! Waits as text: the cells that the screen shows, too, and a plain table.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use super::waits::Waits;

/// Heads of the columns of groups.
pub const GROUP_HEADS: [&str; 5] = ["waiting", "waits/s", "average", "control group", "worst culprit"];
/// Heads of the columns of pairs.
pub const PAIR_HEADS: [&str; 5] = ["waiting", "times/s", "class", "who waits", "for whom"];

/// A row for each group.
pub fn group_rows(waits: &Waits) -> Vec<[String; 5]> {
    let row = |group: &super::waits::Group| {
        [
            percent(group.waited_ratio),
            format!("{:.1}", group.waits_per_second),
            duration(group.average_seconds),
            group.cgroup.clone(),
            group.worst_culprit.clone().unwrap_or_default(),
        ]
    };
    waits.groups.iter().map(row).collect()
}

/// A row for each pair.
pub fn pair_rows(waits: &Waits) -> Vec<[String; 5]> {
    let row = |pair: &super::waits::Hurt| {
        [
            percent(pair.waited_ratio),
            format!("{:.1}", pair.times_per_second),
            pair.class.clone(),
            pair.cgroup.clone(),
            pair.culprit.clone(),
        ]
    };
    waits.pairs.iter().map(row).collect()
}

/// Both tables, one below the other.
pub fn text(waits: &Waits) -> String {
    let groups = table(&GROUP_HEADS, group_rows(waits));
    if waits.pairs.is_empty() {
        return format!(
            "{groups}\n\nNobody lost a processor within {:.1} s.\n",
            waits.seconds
        );
    }
    format!("{groups}\n\n{}\n", table(&PAIR_HEADS, pair_rows(waits)))
}

fn table(heads: &[&str; 5], rows: Vec<[String; 5]>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heads);
    table.add_rows(rows);
    for column in table.column_iter_mut().take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Of one task's time; many tasks can wait at once.
fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

fn duration(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::waits::{Waits, tests::example};
    use super::*;

    #[test]
    fn who_waits_and_who_hurts_whom() {
        let text = text(&example());
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "waiting waits/s average control group worst culprit",
                "50.0 % 100.0 5.0 ms /victim /hog",
                "",
                "waiting times/s class who waits for whom",
                "40.0 % 20.0 other /victim /hog",
            ]
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let waits = Waits {
            seconds: 2.0,
            groups: Vec::new(),
            pairs: Vec::new(),
        };
        assert!(text(&waits).contains("Nobody lost a processor within 2.0 s."));
    }
}
