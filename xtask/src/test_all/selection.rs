//! Which cells to run, from the command line.

use std::fmt;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::{Error, Result};

pub(crate) const OPTIONS: &str = "[--backend NAME]... [--driver local|shared]... [--filter TEXT]";

const BACKENDS: &[&str] = &["epoll", "epoll-deferred", "poll", "select", "kqueue", "sim"];
const DRIVERS: &[&str] = &["local", "shared"];

/// One way to run the suite: a backend under a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) backend: &'static str,
    pub(crate) driver: &'static str,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cell {} {}", self.backend, self.driver)
    }
}

/// Which part of the tests to run. The default is everything.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Empty: all.
    backends: Vec<&'static str>,
    /// Empty: all.
    drivers: Vec<&'static str>,
    /// Only the scenarios whose name contains this.
    pub(crate) filter: Option<String>,
}

impl Selection {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let mut selection = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("backend") => selection.backends.push(choose(BACKENDS, &parser.value()?.string()?)?),
                Arg::Long("driver") => selection.drivers.push(choose(DRIVERS, &parser.value()?.string()?)?),
                Arg::Long("filter") => selection.filter = Some(parser.value()?.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(selection)
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.backends.is_empty() && self.drivers.is_empty() && self.filter.is_none()
    }

    /// The selected cells, backend by backend.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for backend in selected(BACKENDS, &self.backends) {
            for driver in selected(DRIVERS, &self.drivers) {
                cells.push(Cell { backend, driver });
            }
        }
        cells
    }
}

fn choose(names: &[&'static str], given: &str) -> Result<&'static str> {
    let found = names.iter().find(|name| **name == given);
    found
        .copied()
        .ok_or_else(|| Error::Usage(format!("`{given}` is none of {}", names.join(", "))))
}

fn selected(all: &[&'static str], some: &[&'static str]) -> impl Iterator<Item = &'static str> {
    all.iter()
        .copied()
        .filter(move |name| some.is_empty() || some.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(arguments: &[&str]) -> Vec<String> {
        let selection = Selection::parse(Parser::from_args(arguments)).unwrap();
        selection.cells().iter().map(Cell::to_string).collect()
    }

    #[test]
    fn without_options_every_cell_is_selected() {
        assert!(Selection::parse(Parser::from_args([""; 0])).unwrap().is_everything());
        assert_eq!(cells(&[]).len(), BACKENDS.len() * DRIVERS.len());
    }

    #[test]
    fn options_add_up_and_keep_the_order_of_the_table() {
        assert_eq!(
            cells(&["--backend", "poll", "--backend=epoll", "--driver", "shared"]),
            ["cell epoll shared", "cell poll shared"]
        );
        assert_eq!(
            cells(&["--backend", "select"]),
            ["cell select local", "cell select shared"]
        );
    }

    #[test]
    fn a_filter_is_a_narrower_selection_of_every_cell() {
        let selection = Selection::parse(Parser::from_args(["--filter", "timer"])).unwrap();
        assert!(!selection.is_everything());
        assert_eq!(selection.cells().len(), BACKENDS.len() * DRIVERS.len());
    }
}
