//! `cargo xtask test-all`: every crate's tests, then the suite on every backend and driver.

mod cell;
mod crates;
mod selection;
mod suite;

use std::time::Instant;

use lexopt::Parser;

use crate::table::Table;
use crate::tally::Tally;
use crate::workspace::{LIBKQUEUE, Workspace};
use crate::{Error, Result, process};

pub(crate) use selection::{OPTIONS, Selection};
use suite::Suite;

pub(crate) fn command(parser: Parser) -> Result {
    let selection = Selection::parse(parser)?;
    let tally = run(&Workspace::load()?, &selection)?;
    println!("{tally}");
    if tally.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

/// Runs what was selected and prints its table; the closing line is left to the caller.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    let mut table = Table::default();
    if selection.is_everything() {
        for tests in crates::all(workspace)? {
            let start = Instant::now();
            let row = tests.run(workspace)?;
            println!(
                "crate {}: {} ({:.1} s)",
                row.name,
                row.tally,
                start.elapsed().as_secs_f64()
            );
            table.rows.push(row);
        }
    }
    let suite = Suite::build(workspace)?;
    let mut scenarios = 0;
    for cell in selection.cells() {
        let start = Instant::now();
        let outcome = suite.run(cell, selection)?;
        println!("{cell}: {outcome} ({:.1} s)", start.elapsed().as_secs_f64());
        scenarios += outcome.scenarios();
        table.rows.push(outcome.into_row(cell));
    }
    println!("\n{table}");
    if scenarios == 0 {
        return Err(Error::Failed("no scenario ran in any of the selected cells".to_owned()));
    }
    Ok(table.tally())
}

/// What tells cargo to build kqueue as well; nothing where the system has it. The error says why it cannot be built.
fn kqueue_features() -> std::result::Result<&'static [&'static str], String> {
    if cfg!(target_os = "linux") {
        process::pkg_config(LIBKQUEUE)?;
        return Ok(&["--features", LIBKQUEUE]);
    }
    Ok(&[])
}
