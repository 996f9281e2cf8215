//! Tables that fit the terminal: the widest column that may shrink gives way first.

use super::text;

/// Between two columns.
const GAP: &str = "  ";

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    is_right: bool,
    shrinks_to: Option<usize>,
}

impl Column {
    /// A column that always shows everything.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, is_right: false, shrinks_to: None }
    }

    /// Its values stand on the right.
    pub(crate) const fn right(self) -> Self {
        Self { is_right: true, ..self }
    }

    /// It gives way down to `width`, when there is not room for all.
    pub(crate) const fn shrinks_to(self, width: usize) -> Self {
        Self { shrinks_to: Some(width), ..self }
    }
}

/// The table as text. No line is wider than `width`.
pub(crate) fn render(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    let header: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|i| lines.iter().filter_map(|line| line.get(i)).map(|t| text::width(t)).max())
        .map(Option::unwrap_or_default)
        .collect();
    if let Some(width) = width {
        shrink(columns, &mut widths, width);
    }
    let mut table = String::new();
    for line in lines {
        let line = render_line(columns, &widths, line);
        let line = line.trim_end();
        table += &width.map_or_else(|| line.to_owned(), |width| text::truncate(line, width));
        table.push('\n');
    }
    table
}

fn shrink(columns: &[Column], widths: &mut [usize], width: usize) {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| column.shrinks_to.is_some_and(|min| **width > min))
            .max_by_key(|(width, _)| **width);
        let Some((widest, _)) = widest else { return };
        *widest -= 1;
    }
}

fn render_line(columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let padded = columns.iter().zip(widths).zip(cells).map(|((column, &width), cell)| {
        let cell = text::truncate(cell, width);
        let blanks = " ".repeat(width.saturating_sub(text::width(&cell)));
        if column.is_right { blanks + &cell } else { cell + &blanks }
    });
    padded.collect::<Vec<_>>().join(GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::new("ID"), Column::new("NAME").shrinks_to(6), Column::new("AGE").right()];

    fn rows() -> Vec<Vec<String>> {
        [["app-1", "fix the login page", "4m"], ["app-10", "日本語", "12h"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        insta::assert_snapshot!(render(&COLUMNS, &rows(), None), @r"
        ID      NAME                AGE
        app-1   fix the login page   4m
        app-10  日本語              12h
        ");
    }

    #[test]
    fn a_column_that_may_shrink_gives_way() {
        insta::assert_snapshot!(render(&COLUMNS, &rows(), Some(24)), @r"
        ID      NAME         AGE
        app-1   fix the lo…   4m
        app-10  日本語       12h
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..40 {
            for line in render(&COLUMNS, &rows(), Some(width)).lines() {
                assert!(text::width(line) <= width, "{line:?} in {width}");
            }
        }
    }
}
