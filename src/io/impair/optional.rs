//! A sink with or without faults. The choice is made once, so that copies without faults take the
//! same path as without this module.

use std::io;

use super::counts::ImpairmentCounts;
use super::impairments::Impairments;
use super::sink::ImpairedSink;
use crate::dataplane::{Burst, Copies, Drops, Sink, Verdict};

/// A sink that receives copies directly, or with faults.
pub enum OptionallyImpaired<S> {
    /// Without faults.
    Direct(S),
    /// With faults.
    Impaired(Box<ImpairedSink<S>>),
}

impl<S> OptionallyImpaired<S> {
    /// A sink with these faults, if there are any, and this seed.
    #[must_use]
    pub fn new(inner: S, impairments: Option<Impairments>, seed: u64) -> Self {
        match impairments {
            Some(faults) => Self::Impaired(Box::new(ImpairedSink::new(inner, faults, seed))),
            None => Self::Direct(inner),
        }
    }

    /// The inner sink.
    #[must_use]
    pub const fn inner(&self) -> &S {
        match self {
            Self::Direct(inner) => inner,
            Self::Impaired(impaired) => impaired.inner(),
        }
    }

    /// The inner sink, after it was flushed.
    pub fn into_inner(self) -> S {
        match self {
            Self::Direct(inner) => inner,
            Self::Impaired(impaired) => impaired.into_inner(),
        }
    }

    /// The inner sink, mutable.
    #[must_use]
    pub const fn inner_mut(&mut self) -> &mut S {
        match self {
            Self::Direct(inner) => inner,
            Self::Impaired(impaired) => impaired.inner_mut(),
        }
    }

    /// The counters so far; none without faults.
    #[must_use]
    pub fn counts(&self) -> Option<ImpairmentCounts> {
        match self {
            Self::Direct(_) => None,
            Self::Impaired(impaired) => Some(impaired.counts()),
        }
    }

    /// The counters at the end; see [`ImpairedSink::final_counts`].
    #[must_use]
    pub fn final_counts(&self) -> Option<ImpairmentCounts> {
        match self {
            Self::Direct(_) => None,
            Self::Impaired(impaired) => Some(impaired.final_counts()),
        }
    }
}

impl<S: Sink> OptionallyImpaired<S> {
    /// Passes on all delayed copies at once.
    ///
    /// # Errors
    /// The error of the inner sink.
    pub fn release_delayed(&mut self) -> io::Result<()> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::Impaired(impaired) => impaired.release_delayed(),
        }
    }
}

impl<S: Sink> Sink for OptionallyImpaired<S> {
    fn send(&mut self, copies: &Copies<'_>, drops: &mut Drops) -> io::Result<()> {
        match self {
            Self::Direct(inner) => inner.send(copies, drops),
            Self::Impaired(impaired) => impaired.send(copies, drops),
        }
    }

    fn wants_verdicts(&self) -> bool {
        self.inner().wants_verdicts()
    }

    fn observe_verdicts(&mut self, burst: &Burst<'_>, verdicts: &[Verdict]) -> io::Result<()> {
        self.inner_mut().observe_verdicts(burst, verdicts)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Direct(inner) => inner.flush(),
            Self::Impaired(impaired) => impaired.flush(),
        }
    }
}
