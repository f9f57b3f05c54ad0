//! Copies standard input to standard output as it comes: a persistent read event on descriptor 0.
//!
//! Works on a terminal, a pipe and a regular file. Regular files are always readable, and epoll refuses them, so the
//! backend is chosen by that ability.
#![expect(clippy::print_stderr, reason = "a command-line program")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use ev_core::{Config, EventLoop, Features, Interest, Io, backend};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let any_file = backend::Config::new().require(Features::ANY_FILE);
    let mut lp = EventLoop::<io::Result<usize>>::with_config(&Config::new().backend(any_file))?;

    // `Stdin` has a buffer of its own, in which input would hide from the kernel's readiness. A `File` has none.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    lp.insert(Io::new(input, Interest::READ), |cx, input, _| match copy_some(input) {
        Ok(0) => cx.stop(),
        Ok(n) => {
            if let Ok(total) = cx.state {
                *total += n;
            }
        }
        Err(error) => {
            *cx.state = Err(error);
            cx.stop();
        }
    })?;

    let mut copied = Ok(0);
    lp.run(&mut copied)?;
    eprintln!("{} bytes, by {}", copied?, lp.backend_name());
    Ok(())
}

fn copy_some(input: &mut File) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let n = input.read(&mut buffer)?;
    let mut output = io::stdout();
    output.write_all(&buffer[..n])?;
    output.flush()?;
    Ok(n)
}
