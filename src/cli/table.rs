//! Columns for people: aligned, two spaces apart, nothing in a cell that a terminal would obey.

use std::io::{self, Write};

use crate::mail::Visible;

/// The widest a cell is made for the sake of alignment; longer ones push their row.
const COLUMN_CHARS_MAX: usize = 48;

/// A table that is printed at once.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// Columns by their heading; one that begins with `>` is of numbers and stands to the right.
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let first = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![first], right }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: &[String; N]) {
        self.rows.push(cells.iter().map(|cell| Visible(cell).to_string()).collect());
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Prints it.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            let widths = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            widths.filter(|width| *width <= COLUMN_CHARS_MAX).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                let cell = [cell.as_str(), padding.as_str()];
                line.extend(if *right { [cell[1], cell[0], "  "] } else { [cell[0], cell[1], "  "] });
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_clean() {
        let mut table = Table::new(&["ID", ">SIZE", "TO"]);
        table.row(&["1".into(), "7".into(), "a@b.example".into()]);
        table.row(&["22".into(), "4096".into(), "evil\u{1b}[2J".into()]);
        let mut text = Vec::new();
        table.print(&mut text).unwrap();
        let expected = "ID  SIZE  TO\n1      7  a@b.example\n22  4096  evil\\u{1b}[2J\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
