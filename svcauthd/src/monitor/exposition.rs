//! The text that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.
//!
//! Label values are `&'static str`: names from closed sets of this program, so that nothing is left to escape, and no
//! server and no caller can make a time series.

use std::fmt::{Display, Write as _};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// May go up and down.
    Gauge,
    /// Counts from the start of the daemon.
    Counter,
    /// Counts observations by size.
    Histogram,
}

/// A text that grows.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// The labels of one sample.
pub(super) type Labels<'a> = &'a [(&'static str, &'static str)];

impl Exposition {
    /// Begins a metric; its samples follow at once. `help` has neither a backslash nor a line end.
    pub(super) fn metric(&mut self, name: &'static str, kind: Type, help: &'static str) -> Samples<'_> {
        let word = match kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {word}\n");
        Samples { text: &mut self.0, name }
    }

    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Samples<'_> {
    /// One sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.line("", labels, None, value)
    }

    /// The samples of a histogram: `upper` are the limits of the buckets in seconds, each with how many fell at or below it.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, upper: &[(f64, u64)], sum: f64, count: u64) {
        for (limit, below) in upper {
            self.line("_bucket", labels, Some(limit.to_string()), below);
        }
        self.line("_bucket", labels, Some("+Inf".to_owned()), count);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        limit: Option<String>,
        value: impl Display,
    ) -> &mut Self {
        let mut pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        pairs.extend(limit.map(|limit| format!("le=\"{limit}\"")));
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.name);
        self
    }
}
