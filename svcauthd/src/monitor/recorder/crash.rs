//! Where a test may let the daemon die. In the daemon itself there is nothing of it.

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(super) const fn at(_: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use tests::{at, plan};

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;

    thread_local! {
        static PLAN: RefCell<Option<(&'static str, usize)>> = const { RefCell::new(None) };
    }

    /// The place, and the how manieth time that it is reached, from 0.
    pub(in super::super) fn plan(crash: Option<(&'static str, usize)>) {
        PLAN.set(crash);
    }

    pub(in super::super) fn at(place: &str) -> io::Result<()> {
        PLAN.with_borrow_mut(|plan| match plan {
            Some((name, times)) if *name == place => {
                if *times == 0 {
                    return Err(io::Error::other(format!("died: {place}")));
                }
                *times -= 1;
                Ok(())
            }
            _ => Ok(()),
        })
    }
}
