//! The project's web server beside nginx, both loaded by wrk: `servers.md`.
//!
//! All servers of a measurement are up at once, and are loaded one after the other; one without a load sleeps. What
//! counts is how many requests a server answers for each second of processor time that it takes itself: that depends
//! less than requests per second do on wrk's needs and on who else wants the processors.

mod nginx;
mod server;
mod stat;
mod wrk;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use crate::contenders::Contender;
use crate::document::Document;
use crate::plan::{self, Measurement, PER_CPU_SECOND, PER_SECOND};
use crate::results::{Lack, Results, Runs};
use crate::{Error, Result, machine, tables};

use server::Server;
use wrk::Load;

/// The file that is asked for.
const FILE: &str = "4k.bin";
const FILE_SIZE: usize = 4096;
/// The directory with the file in it, below the scratch directory.
const SITE: &str = "site";

/// Measures, and writes what came out, if the programs are there. The answer is what failed.
pub(crate) fn report(httpd: &Path, options: &crate::Options) -> Result<Vec<String>> {
    let Some(servers) = Servers::find(httpd)? else {
        return Ok(vec![]);
    };
    let mut facts = machine::description();
    facts.push(format!("{}, `--release` alone", machine::rust()));
    facts.push(format!("Repetitions: {}", options.repetitions()));
    let mut document = Document::new("Measurements of web servers", &facts);
    let section = plan::servers();
    let mut results = Results::default();
    for measurement in &section.measurements {
        let Some(line) = measurement.line(options.quick) else {
            continue;
        };
        let runs = servers.measure(measurement, line, options.repetitions())?;
        results.record(measurement.arguments, line, runs);
    }
    results.versions.insert("httpd", "that of `ev-core` here".to_owned());
    results.versions.extend(servers.versions.clone());
    document.add(&tables::section(&section, options.quick, &results));
    let measurements: Vec<&Measurement> = section.measurements.iter().collect();
    let file = options.out.join("servers.md");
    document.write(&file, &measurements, options.quick, &results)?;
    Ok(results.failures)
}

/// The servers that can be measured, and where they find what they need.
#[derive(Debug)]
struct Servers {
    httpd: PathBuf,
    nginx: &'static str,
    scratch: Scratch,
    /// Of nginx and of wrk.
    versions: [(&'static str, String); 2],
}

/// A directory that is removed with this.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Servers {
    /// Looks for the programs and prepares the file; `None`: one of them is not installed, which is said.
    fn find(httpd: &Path) -> Result<Option<Self>> {
        let Some((nginx, version)) = nginx::find() else {
            println!("The servers were not measured: nginx is not installed.");
            return Ok(None);
        };
        let Some(load) = wrk::version() else {
            println!("The servers were not measured: wrk is not installed.");
            return Ok(None);
        };
        Ok(Some(Self {
            httpd: httpd.to_owned(),
            nginx,
            scratch: Scratch::create()?,
            versions: [("nginx", version), ("wrk", load)],
        }))
    }

    /// Starts the servers of a measurement, loads them in turn, and ends them.
    fn measure(&self, measurement: &Measurement, arguments: &str, repetitions: usize) -> Result<Runs> {
        let options = Options::parse(arguments).ok_or_else(|| Error::new(format!("`{arguments}` makes no sense")))?;
        let mut runs = Runs::default();
        let mut servers = Vec::new();
        for contender in &measurement.contenders {
            match self.start(contender, options.loops) {
                Ok(server) => servers.push((contender.label, server)),
                Err(reason) => runs.record_lack(contender.label, Lack::Failed(reason)),
            }
        }
        for repetition in 0..repetitions {
            for (label, server) in &servers {
                if runs.lack(label).is_some() {
                    continue;
                }
                match self.load(server, &options.load) {
                    Ok((figures, faults)) => {
                        runs.record(label, repetition, figures);
                        runs.remark(faults.map(|faults| format!("{label}, `{arguments}`: {faults}")));
                    }
                    Err(reason) => runs.record_lack(label, Lack::Failed(reason)),
                }
            }
        }
        Ok(runs)
    }

    fn start(&self, contender: &Contender, loops: usize) -> std::result::Result<Server, String> {
        let address = free_address().map_err(|error| error.to_string())?;
        let scratch = &self.scratch.0;
        let (mut command, workers) = if contender.program == "nginx" {
            (
                nginx::command(self.nginx, scratch, address, loops, contender.arguments)?,
                loops,
            )
        } else {
            let mut command = Command::new(&self.httpd);
            command.args(contender.arguments).arg(address.to_string());
            command.arg(scratch.join(SITE));
            (command, 0)
        };
        let said = scratch.join(format!("{address}.said"));
        Server::start(&mut command, address, workers, &said)
    }

    /// The figures of one run, and what else there was to them.
    fn load(
        &self,
        server: &Server,
        load: &Load,
    ) -> std::result::Result<(BTreeMap<String, f64>, Option<String>), String> {
        let before = server.processor_seconds()?;
        let answered = wrk::run(server.address, load, &self.scratch.0)?;
        let taken = server.processor_seconds()? - before;
        if taken <= 0.0 {
            return Err("it took no processor time".to_owned());
        }
        let figures = [
            (PER_CPU_SECOND.to_owned(), answered.requests / taken),
            (PER_SECOND.to_owned(), answered.per_second),
        ];
        Ok((BTreeMap::from(figures), answered.faults))
    }
}

/// A port of 127.0.0.1 that nobody has. A server that finds it taken after all says so and ends.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The content of the file: text, so that an answer that ends with it ends with all of it.
fn content() -> Vec<u8> {
    (0..FILE_SIZE).map(|index| b'a' + (index % 26) as u8).collect()
}

impl Scratch {
    fn create() -> Result<Self> {
        let path = env::temp_dir().join(format!("bench-servers-{}", process::id()));
        fs::create_dir(&path)?;
        let scratch = Self(path);
        fs::create_dir(scratch.0.join(SITE))?;
        fs::write(scratch.0.join(SITE).join(FILE), content())?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to who cleans the directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `servers loops=LOOPS c=CONNECTIONS p=PIPELINED d=SECONDS`
#[derive(Debug, PartialEq, Eq)]
struct Options {
    loops: usize,
    load: Load,
}

impl Options {
    fn parse(arguments: &str) -> Option<Self> {
        let number = |name: &str| {
            let word = |word: &str| word.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok();
            arguments.split(' ').find_map(word)
        };
        let load = Load {
            connections: number("c")?,
            pipelined: number("p")?,
            seconds: number("d")?,
        };
        let loops = number("loops")?;
        Some(Self { loops, load })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed() {
        let load = Load {
            connections: 64,
            pipelined: 8,
            seconds: 3,
        };
        let options = Options::parse("servers loops=2 c=64 p=8 d=3");
        assert_eq!(options, Some(Options { loops: 2, load }));
        assert_eq!(Options::parse("servers loops=2 c=64 p=8"), None);
    }

    #[test]
    fn what_is_planned_makes_sense() {
        for measurement in plan::servers().measurements {
            for line in [measurement.line(false), measurement.line(true)] {
                assert!(line.and_then(Options::parse).is_some(), "{line:?}");
            }
        }
    }
}
