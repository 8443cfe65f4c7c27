//! Long work of the engine, told to the log at level debug when it begins and when it ends. What was
//! under way when a process was killed can be read from its log.

/// Work that is under way while the value is there.
pub(crate) struct Work(&'static str);

impl Work {
    pub(crate) fn begin(name: &'static str) -> Self {
        tracing::debug!(work = name, "storage work begins");
        Self(name)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        tracing::debug!(work = self.0, "storage work ends");
    }
}
