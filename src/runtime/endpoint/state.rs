//! The persistent state of the endpoint, in a file or in memory only.

use std::io;
use std::path::Path;

use crate::control::account::Record;
use crate::ec2::Persist;
use crate::io::private_file::{PrivateFileError, check_owner_only_writable};
use crate::io::store::Store;
use crate::runtime::error::Error;
use crate::runtime::event::{Event, EventSink};

/// Persists the changes of the account, if there is a file.
pub(super) struct EndpointState {
    store: Option<Store>,
    /// Whether the last write failed.
    is_failing: bool,
    events: EventSink,
}

impl EndpointState {
    /// Opens the file, if there is a path.
    pub(super) fn open(path: Option<&Path>, events: EventSink) -> Result<Self, Error> {
        if let Some(path) = path {
            check_owner_only_writable(path).map_err(|error| private_file_failure(path, error))?;
        }
        let store = path.map(Store::open).transpose();
        let store = store.map_err(|error| Error::state_failed(None, &error))?;
        Ok(Self { store, is_failing: false, events })
    }

    /// The keys and texts of all records; none without a file.
    pub(super) fn load(&self) -> Result<Vec<(String, String)>, Error> {
        let records = self.store.as_ref().map_or(Ok(Vec::new()), Store::load);
        records.map_err(|error| Error::state_failed(None, &error))
    }

    /// Whether changes are written to a file.
    pub(super) const fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// Reports the first failed write, and the first successful write after it.
    fn report(&mut self, committed: &io::Result<()>) {
        match committed {
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                self.events.send(Event::StateNotWritable(error.to_string()));
            }
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                self.events.send(Event::StateWritable);
            }
            _ => {}
        }
    }
}

fn private_file_failure(path: &Path, error: PrivateFileError) -> Error {
    match error {
        PrivateFileError::Insecure(why) => {
            Error::State { path: Some(path.to_owned()), reason: why.to_string(), is_invalid: true }
        }
        PrivateFileError::Io(error) => Error::state_failed(Some(path), &error),
    }
}

impl Persist for EndpointState {
    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        let committed = self.store.as_mut().map_or(Ok(()), |store| {
            let writes = records.iter().map(|record| (record.key.clone(), record.text.clone()));
            store.commit(&writes.collect::<Vec<_>>())
        });
        self.report(&committed);
        if committed.is_ok() {
            let warnings = records.iter().filter_map(Record::protocol_zero_warning);
            warnings.for_each(|one| self.events.send(Event::RuleOfProtocolZero(one)));
        }
        committed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn record(key: &str, protocol: &str) -> Record {
        let text = format!(
            "{{\"sequence\":1,\"owner\":\"000000000000\",\"filter\":\"tmf-1\",\
             \"direction\":\"ingress\",\"number\":1,\"action\":\"accept\",\
             \"source\":[\"0.0.0.0\",0],\"destination\":[\"0.0.0.0\",0]{protocol}}}"
        );
        Record { key: key.to_owned(), text: Some(text) }
    }

    #[test]
    fn a_rule_of_protocol_zero_is_reported() {
        let sentences = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sentences);
        let events = EventSink::new(move |event| seen.lock().unwrap().push(event.to_string()));
        let mut state = EndpointState { store: None, is_failing: false, events };
        let zero = record("rule/tmfr-1", ",\"protocol\":0");
        let others = [record("rule/tmfr-2", ",\"protocol\":6"), record("rule/tmfr-3", "")];
        state.commit(&[&others[..], &[zero]].concat()).unwrap();
        let sentences = sentences.lock().unwrap();
        assert_eq!(sentences.len(), 1);
        assert!(sentences[0].contains("rule tmfr-1: protocol 0 is HOPOPT"), "{sentences:?}");
    }
}
