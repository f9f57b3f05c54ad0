//! Markdown that is printed as it grows, and written at the end.

use std::fs;
use std::path::Path;

use crate::plan::Measurement;
use crate::results::Results;
use crate::{Result, tables, targets};

/// What is reported of some measurements.
#[derive(Debug)]
pub(crate) struct Document(String);

impl Document {
    /// A document that begins with its title and a list of what holds for all of it.
    pub(crate) fn new(title: &str, facts: &[String]) -> Self {
        let mut document = Self(String::new());
        document.add(&format!("# {title}\n\n- {}\n", facts.join("\n- ")));
        document
    }

    pub(crate) fn add(&mut self, text: &str) {
        println!("{text}");
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Ends it with the targets and the contenders, and writes it to a file.
    pub(crate) fn write(
        mut self,
        path: &Path,
        measurements: &[&Measurement],
        quick: bool,
        results: &Results,
    ) -> Result {
        let targets = targets::table(measurements, quick, results);
        self.add(&format!("## Targets\n\n{targets}"));
        if !results.versions.is_empty() {
            let contenders = tables::contenders(measurements, results);
            self.add(&format!("## Who was measured\n\n{contenders}"));
        }
        fs::write(path, self.0.trim_end().to_owned() + "\n")?;
        Ok(())
    }
}
