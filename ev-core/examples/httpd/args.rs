//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

/// One line of usage, printed below a wrong command line.
pub(crate) const USAGE: &str = "usage: httpd [--shape single|pool|multi] [--threads N] [OPTION]... [ADDRESS] [DIR]";

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Serves the files below DIR (default: .) at ADDRESS (default: 127.0.0.1:8080) over HTTP/1.1.

usage: httpd [OPTION]... [ADDRESS] [DIR]

  --shape SHAPE          single  one loop does everything
                         pool    one loop, and threads that read the files
                         multi   one loop accepts, others serve (default)
  --threads N            threads of the pool, or loops that serve (default: one for each CPU)
  --max-connections N    connections open at once; more wait to be accepted (default: 10000)
  --header-timeout SECS  time for a request to arrive (default: 10)
  --idle-timeout SECS    time without progress until a connection is closed (default: 60)
  --log                  print a line for each request
  --help                 print this text

SIGINT or SIGTERM finishes the running requests and exits; a second one exits at once.
";

const MAX_THREADS: usize = 1024;

/// How the work is spread over loops and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One loop accepts, reads, answers.
    Single,
    /// One loop, and worker threads for whatever touches the disk.
    Pool,
    /// A loop that accepts and hands each connection to one of several loops.
    Multi,
}

/// How long the server waits for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// From the first byte of a request to its last.
    pub(crate) header: Duration,
    /// Between requests, and between two steps of progress while sending.
    pub(crate) idle: Duration,
}

/// A valid command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) address: String,
    pub(crate) root: PathBuf,
    pub(crate) shape: Shape,
    /// `None`: as many as there are CPUs.
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) max_connections: NonZeroUsize,
    pub(crate) timeouts: Timeouts,
    pub(crate) log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".to_owned(),
            root: PathBuf::from("."),
            shape: Shape::Multi,
            threads: None,
            max_connections: NonZeroUsize::new(10_000).expect("not zero"),
            timeouts: Timeouts {
                header: Duration::from_secs(10),
                idle: Duration::from_mins(1),
            },
            log: false,
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Options),
    Help,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// The first argument that makes no sense, as a text of one line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = Options::default();
    let mut positional = 0;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("log") => options.log = true,
            Long("shape") => options.shape = parser.value()?.parse()?,
            Long("threads") => options.threads = Some(parser.value()?.parse_with(threads)?),
            Long("max-connections") => options.max_connections = parser.value()?.parse()?,
            Long("header-timeout") => options.timeouts.header = parser.value()?.parse_with(seconds)?,
            Long("idle-timeout") => options.timeouts.idle = parser.value()?.parse_with(seconds)?,
            Value(value) if positional == 0 => {
                options.address = value.string()?;
                positional = 1;
            }
            Value(value) if positional == 1 => {
                options.root = value.into();
                positional = 2;
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Command::Serve(options))
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= MAX_THREADS)
        .ok_or_else(|| format!("not a number from 1 to {MAX_THREADS}"))
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or("not a number of seconds from 0.001 to 86400")
}

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(text: &str) -> Result<Self, UnknownShape> {
        match text {
            "single" => Ok(Self::Single),
            "pool" => Ok(Self::Pool),
            "multi" => Ok(Self::Multi),
            _ => Err(UnknownShape),
        }
    }
}

/// The argument of `--shape` is none of the three.
#[derive(Debug)]
pub(crate) struct UnknownShape;

impl fmt::Display for UnknownShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of single, pool, multi")
    }
}

impl std::error::Error for UnknownShape {}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        match parse(line.split_whitespace().map(OsString::from)) {
            Ok(Command::Serve(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn error(line: &str) -> String {
        parse(line.split_whitespace().map(OsString::from))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(options(""), Options::default());
    }

    #[test]
    fn everything_given() {
        let line = "--shape=pool --threads 3 [::1]:80 --max-connections 7 --log /srv \
                    --header-timeout 0.5 --idle-timeout 2";
        let expected = Options {
            address: "[::1]:80".to_owned(),
            root: PathBuf::from("/srv"),
            shape: Shape::Pool,
            threads: NonZeroUsize::new(3),
            max_connections: NonZeroUsize::new(7).unwrap(),
            timeouts: Timeouts {
                header: Duration::from_millis(500),
                idle: Duration::from_secs(2),
            },
            log: true,
        };
        assert_eq!(options(line), expected);
    }

    #[test]
    fn a_double_dash_ends_the_options() {
        assert_eq!(options("localhost:1 -- --log").root, PathBuf::from("--log"));
    }

    #[test]
    fn help_wins_over_what_follows() {
        assert_eq!(parse(["--help".into(), "--nonsense".into()]).unwrap(), Command::Help);
    }

    #[test]
    fn errors_are_one_line_and_name_the_argument() {
        for (line, named) in [
            ("--colour", "--colour"),
            ("-x", "-x"),
            ("--shape round", "single, pool, multi"),
            ("--shape", "--shape"),
            ("--threads 0", "1024"),
            ("--threads 1025", "1024"),
            ("--threads many", "many"),
            ("--max-connections 0", "0"),
            ("--idle-timeout -1", "-1"),
            ("--idle-timeout 0", "86400"),
            ("--idle-timeout NaN", "86400"),
            ("--header-timeout inf", "86400"),
            ("--log=yes", "yes"),
            ("a b c", "\"c\""),
        ] {
            let message = error(line);
            assert!(message.contains(named), "{line}: {message}");
            assert!(!message.contains('\n'), "{line}: {message}");
        }
    }
}
