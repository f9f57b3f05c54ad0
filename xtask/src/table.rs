//! The table at the end of a test run.

use std::fmt;

use crate::tally::Tally;

/// What one test program, or one cell of the suite, came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) tally: Tally,
    /// What went wrong, and the reasons of what was skipped, each with its count.
    pub(crate) why: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn tally(&self) -> Tally {
        self.rows.iter().map(|row| row.tally).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = "cell";
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0)
            .max(header.len());
        writeln!(f, "{header:width$} | passed | failed | skipped | why")?;
        writeln!(f, "{:-<width$}-|--------|--------|---------|----", "")?;
        for Row {
            name,
            tally: Tally {
                passed,
                failed,
                skipped,
            },
            why,
        } in &self.rows
        {
            let line = format!(
                "{name:width$} | {passed:6} | {failed:6} | {skipped:7} | {}",
                why.join("; ")
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_reasons_come_last() {
        let table = Table {
            rows: vec![
                Row {
                    name: "epoll local".to_owned(),
                    tally: Tally {
                        passed: 61,
                        failed: 0,
                        skipped: 0,
                    },
                    why: vec![],
                },
                Row {
                    name: "poll shared".to_owned(),
                    tally: Tally {
                        passed: 9,
                        failed: 1,
                        skipped: 3,
                    },
                    why: vec!["2 × edge".to_owned(), "1 × exclusive".to_owned()],
                },
            ],
        };
        let expected = "\
            cell        | passed | failed | skipped | why\n\
            ------------|--------|--------|---------|----\n\
            epoll local |     61 |      0 |       0 |\n\
            poll shared |      9 |      1 |       3 | 2 × edge; 1 × exclusive\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(
            table.tally(),
            Tally {
                passed: 70,
                failed: 1,
                skipped: 3
            }
        );
    }
}
