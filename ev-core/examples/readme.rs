//! The program on the project's first page.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::{io::Read, net::TcpListener, time::Duration};

use ev_core::{EventLoop, Interest, Io, Signal, Timer};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut lp = EventLoop::<usize>::new()?; // the state lent to every callback: here a count
    lp.insert(Io::new(listener, Interest::READ), |cx, listener, _| {
        let Ok((stream, _)) = listener.accept() else { return };
        *cx.state += 1;
        let connection = Io::new(stream, Interest::READ).timeout(Duration::from_secs(30));
        let _ = cx.insert(connection, |cx, stream, fired| {
            if fired.is_timeout() || !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let _ = cx.remove(fired.key()); // and closes the stream
            }
        });
    })?;
    lp.insert(Timer::every(Duration::from_millis(50)), |cx, (), _| {
        println!("{} connections so far", cx.state)
    })?;
    lp.insert(Signal::new(libc::SIGTERM), |cx, (), _| cx.stop())?;
    lp.insert(Timer::after(Duration::from_millis(200)), |cx, (), _| cx.stop())?;
    lp.run(&mut 0)?;
    Ok(())
}
