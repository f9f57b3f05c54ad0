//! The loops side by side: `measurements.md`, and the charts.

use std::fs;
use std::path::Path;

use crate::charts::Charts;
use crate::counts::Tools;
use crate::document::Document;
use crate::plan::{self, Measurement, Section};
use crate::programs::Programs;
use crate::results::{Results, Runs};
use crate::{Options, Result, machine, run, tables};

/// Measures, and writes what came out. The answer is what failed.
pub(crate) fn report(options: &Options) -> Result<Vec<String>> {
    let programs = Programs::build(&options.sources, &options.programs)?;
    let sections = plan::loops();
    let measurements: Vec<&Measurement> = sections.iter().flat_map(|section| &section.measurements).collect();
    let mut results = Results::default();
    let mut document = Document::new("Measurements", &facts(options));
    if !options.only_counts {
        let is_run = |section: &&Section| section.measurements.iter().any(|of| of.line(options.quick).is_some());
        for section in sections.iter().filter(is_run) {
            measure(section, options, &programs, &mut results);
            document.add(&tables::section(section, options.quick, &results));
        }
    }
    if options.only_counts || !options.quick {
        let tools = Tools::find();
        count(&tools, &measurements, options, &programs, &mut results)?;
        document.add(&tables::counts(&measurements, &results));
        for lack in tools.lacks() {
            document.add(lack);
        }
    }
    let file = options.out.join("measurements.md");
    document.write(&file, &measurements, options.quick, &results)?;
    let charts = Charts {
        measurements: &measurements,
        results: &results,
    };
    charts.draw(&options.out.join("charts"))?;
    Ok(results.failures)
}

fn facts(options: &Options) -> Vec<String> {
    let mut facts = machine::description();
    facts.push(format!("{}, fat LTO, one codegen unit", machine::rust()));
    facts.push(format!("{}, -O2, LTO", machine::c()));
    if !options.only_counts {
        let repetitions = options.repetitions();
        facts.push(format!(
            "Repetitions: {repetitions}; of `memory`, whose figures do not vary, 1"
        ));
    }
    facts
}

/// Runs all contenders of a section's measurements in turn.
fn measure(section: &Section, options: &Options, programs: &Programs, results: &mut Results) {
    for measurement in &section.measurements {
        let Some(line) = measurement.line(options.quick) else {
            continue;
        };
        let mut runs = Runs::default();
        let repetitions = if measurement.is_timed() {
            options.repetitions()
        } else {
            1
        };
        for repetition in 0..repetitions {
            for contender in &measurement.contenders {
                if runs.lack(contender.label).is_some() {
                    continue;
                }
                match run::run(programs, contender, line, run::LIMIT) {
                    Ok(said) => {
                        results.versions.insert(contender.program, said.version);
                        runs.record(contender.label, repetition, said.figures);
                    }
                    Err(lack) => runs.record_lack(contender.label, lack),
                }
            }
        }
        results.record(measurement.arguments, line, runs);
    }
}

/// Counts instructions and system calls where that was asked for.
fn count(
    tools: &Tools,
    measurements: &[&Measurement],
    options: &Options,
    programs: &Programs,
    results: &mut Results,
) -> Result {
    let scratch: &Path = &options.programs.join("counts");
    fs::create_dir_all(scratch)?;
    for measurement in measurements.iter().filter(|measurement| measurement.is_counted) {
        for contender in &measurement.contenders {
            match tools.count(programs, measurement, contender, scratch) {
                Ok(counts) => {
                    let of_each = results.counts.entry(measurement.arguments).or_default();
                    of_each.insert(contender.label, counts);
                }
                Err(lack) => {
                    println!("{}, `{}`: {lack}", contender.label, measurement.arguments);
                    results.note(contender.label, measurement.arguments, &lack);
                }
            }
        }
    }
    Ok(())
}
