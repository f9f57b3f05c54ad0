//! The command line after the scenario's name.

/// How a scenario is run: `NAME=NUMBER` arguments, where a flag is set by any number but 0.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Options {
    /// `n`: descriptors.
    pub descriptors: usize,
    /// `a`: bytes under way, which is descriptors ready at a time.
    pub active: usize,
    /// `w`: writes a round in `pipes`, round trips in `wakeup`. 0: what the scenario thinks best.
    pub writes: usize,
    /// `r`: rounds that are measured.
    pub rounds: usize,
    /// `t`: timers, and notifies of a burst.
    pub timers: usize,
    /// `sock`: pairs of sockets in place of pipes.
    pub sockets: bool,
    /// `run`: the loop runs until a callback stops it, in place of one turn after the other without waiting.
    pub run: bool,
    /// `ready`: descriptors stay readable, and callbacks only count: the loop's own cost and the kernel's look.
    pub ready: bool,
    /// `tmo`: each event has a timeout of 10 to 20 seconds, which starts anew when it fires.
    pub timeout: bool,
    /// `oneshot`: events fire once, and each callback adds its event again.
    pub one_shot: bool,
    /// `same`: all timers have the same timeout.
    pub same: bool,
    /// `locks`: the loop that other threads may use, where a peer has two.
    pub locks: bool,
    /// `clock`: each timer is set by its timeout, from the time the clock shows then. Without it all timers that are
    /// inserted and set anew in a round count from one reading, and those that are to expire from another one.
    pub clock: bool,
    /// `told`: with `same`, the loop is told beforehand that many timers are going to have this timeout.
    pub told: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            descriptors: 100,
            active: 1,
            writes: 0,
            rounds: 25,
            timers: 1000,
            sockets: false,
            run: false,
            ready: false,
            timeout: false,
            one_shot: false,
            same: false,
            locks: false,
            clock: false,
            told: false,
        }
    }
}

impl Options {
    /// Reads the arguments; the error says what is wrong with them.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        for argument in arguments {
            options
                .set(&argument)
                .ok_or_else(|| format!("bad argument {argument}"))?;
        }
        if options.active == 0 || options.active > options.descriptors || options.rounds == 0 || options.timers == 0 {
            return Err("not 1 <= a <= n, 1 <= r, 1 <= t".to_owned());
        }
        Ok(options)
    }

    fn set(&mut self, argument: &str) -> Option<()> {
        let (name, value) = argument.split_once('=')?;
        let value: usize = value.parse().ok()?;
        let flag = value > 0;
        match name {
            "n" => self.descriptors = value,
            "a" => self.active = value,
            "w" => self.writes = value,
            "r" => self.rounds = value,
            "t" => self.timers = value,
            "sock" => self.sockets = flag,
            "run" => self.run = flag,
            "ready" => self.ready = flag,
            "tmo" => self.timeout = flag,
            "oneshot" => self.one_shot = flag,
            "same" => self.same = flag,
            "locks" => self.locks = flag,
            "clock" => self.clock = flag,
            "told" => self.told = flag,
            _ => return None,
        }
        Some(())
    }

    /// The name under which figures are given: the peer's, with what makes it another one.
    pub(crate) fn label(&self, name: &str) -> String {
        format!("{name}{}", if self.locks { "+locks" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn numbers_and_flags_are_set() {
        let options = parse(&["n=1000", "a=100", "tmo=1", "same=0"]).unwrap();
        assert_eq!((options.descriptors, options.active), (1000, 100));
        assert!(options.timeout && !options.same && !options.one_shot);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for argument in ["n", "n=", "n=x", "x=1", "=1"] {
            assert_eq!(parse(&[argument]).unwrap_err(), format!("bad argument {argument}"));
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for argument in ["a=0", "a=101", "r=0", "t=0"] {
            assert_eq!(parse(&[argument]).unwrap_err(), "not 1 <= a <= n, 1 <= r, 1 <= t");
        }
    }
}
