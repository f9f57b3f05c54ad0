//! Whether all contenders run: each command line once, with so little to do that its figures say nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::plan::{self, Measurement};
use crate::programs::Programs;
use crate::results::{Lack, Results};
use crate::{Options, Result, run};

/// What there is to do, in place of what the plan says.
const LITTLE: [&str; 5] = ["n=20", "a=2", "w=50", "r=1", "t=50"];
/// Hundreds of times what that takes.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs them, and says who could not. The answer is what failed.
pub(crate) fn report(options: &Options) -> Result<Vec<String>> {
    let programs = Programs::build(&options.sources, &options.programs)?;
    let (mut seen, mut lacks, mut results) = (BTreeSet::new(), BTreeSet::new(), Results::default());
    for measurement in plan::loops().iter().flat_map(|section| &section.measurements) {
        let line = little(measurement);
        for contender in &measurement.contenders {
            if !seen.insert((contender.label, line.clone())) {
                continue;
            }
            if let Err(lack) = run::run(&programs, contender, &line, LIMIT) {
                results.note(contender.label, &line, &lack);
                if let Lack::Cannot(reason) = lack {
                    lacks.insert((contender.label, reason));
                }
            }
        }
    }
    for (label, reason) in lacks {
        println!("{label}: {reason}");
    }
    println!(
        "{} command lines, of which {} failed",
        seen.len(),
        results.failures.len()
    );
    Ok(results.failures)
}

/// The command line of a measurement, with little to do.
fn little(measurement: &Measurement) -> String {
    let name = |word: &'static str| word.split('=').next();
    let is_kept = |word: &&'static str| !LITTLE.iter().any(|little| name(little) == name(word));
    let kept = measurement.arguments.split(' ').filter(is_kept);
    kept.chain(LITTLE).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_replaced_and_flags_are_not() {
        let lines: BTreeSet<String> = plan::loops()
            .iter()
            .flat_map(|section| &section.measurements)
            .map(little)
            .collect();
        assert!(lines.contains("pipes n=20 a=2 w=50 r=1 t=50"), "{lines:?}");
        assert!(lines.contains("timers same=1 n=20 a=2 w=50 r=1 t=50"), "{lines:?}");
        assert!(
            lines.iter().all(|line| line.ends_with("n=20 a=2 w=50 r=1 t=50")),
            "{lines:?}"
        );
    }
}
