//! A static web server: `httpd [--shape single|pool|multi] [ADDRESS] [DIR]`. `--help` tells the rest.
//!
//! ```text
//! main ─► shapes ─► accept ─► serve ─► pump ─► connection ─► request
//!                     gate      └────► jobs ─► site ─► path, files, conditions, range, listing ─► reply
//! ```
//!
//! Everything from `connection` and `site` on knows neither loops nor sockets. The loop is in `accept` and `serve`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

mod accept;
mod args;
mod buffer;
mod conditions;
mod connection;
mod date;
mod files;
mod gate;
mod jobs;
mod listing;
mod log;
mod path;
mod pump;
mod range;
mod reply;
mod request;
#[cfg(test)]
mod scratch;
mod serve;
mod shapes;
mod site;
mod status;

use std::env;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use args::{Command, HELP, Options, USAGE};

/// The program was started in a way that cannot work.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let options = match args::parse(env::args_os().skip(1)) {
        Ok(Command::Serve(options)) => options,
        Ok(Command::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("httpd: {error}\n{USAGE}");
            return ExitCode::from(MISUSE);
        }
    };
    let (listener, root) = match open(&options) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("httpd: {error}");
            return ExitCode::from(MISUSE);
        }
    };
    match shapes::run(&options, listener, &root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("httpd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens what the command line names; an error says which of it is wrong.
fn open(options: &Options) -> Result<(TcpListener, Arc<Path>), String> {
    let wrong = |name: &str, error: io::Error| format!("{name}: {error}");
    let root = options
        .root
        .canonicalize()
        .and_then(|root| root.read_dir().map(|_| root))
        .map_err(|error| wrong(&options.root.display().to_string(), error))?;
    let listener = TcpListener::bind(&options.address).map_err(|error| wrong(&options.address, error))?;
    Ok((listener, root.into()))
}
