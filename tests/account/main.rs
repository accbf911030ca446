//! Compares the account with a plain model: the same responses, the same resources, and the same
//! resources when the account is restored from its records, for random calls and restarts.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::unreachable,
    reason = "a test may panic where a value is not as expected"
)]

mod aws_checks;
mod call;
mod changes;
mod discovery;
mod initial_state;
mod model;
mod operation;
mod snapshot;

use std::collections::BTreeMap;

use proptest::prelude::*;
use traffic_mirror::control::account::{Account, Caller, DEFAULT_OWNER, Record};

use self::call::Call;
use self::initial_state::{MAX_ADDED_TO_FILES, initial_account};
use self::model::{Model, OTHER_OWNER};
use self::operation::{Operation, Step, operation};
use self::snapshot::{Snapshot, assert_consistent};

/// An account, its model, and its records.
struct Comparison {
    account: Account,
    model: Model,
    records: BTreeMap<String, String>,
    /// Calls that had a token, with their owner.
    calls_with_token: Vec<(&'static str, Call)>,
    /// Whether the last successful call was undone and made again.
    is_undoing: bool,
}

impl Comparison {
    fn new() -> Self {
        let (account, model) = (initial_account(0), Model::new());
        let (records, calls_with_token) = (BTreeMap::new(), Vec::new());
        Self { account, model, records, calls_with_token, is_undoing: false }
    }

    fn step(&mut self, operation: &Operation) {
        let owner = if operation.is_other_owner { OTHER_OWNER } else { DEFAULT_OWNER };
        match &operation.step {
            Step::Wait { hours } => self.model.now_s += u64::from(*hours) * 3600,
            Step::Restart { has_more_in_files } => {
                if *has_more_in_files && self.model.added_to_files < MAX_ADDED_TO_FILES {
                    self.model.add_to_files();
                }
                self.account = self.restored();
            }
            Step::Again(which) if !self.calls_with_token.is_empty() => {
                let last = self.calls_with_token.len() - 1;
                let (owner, call) =
                    self.calls_with_token[last - usize::from(*which) % (last + 1)].clone();
                self.make_call(owner, operation.is_dry_run, &call);
            }
            step => {
                let call = Call::new(step, |kind, choice| self.model.id_of(kind, choice));
                let Some(mut call) = call else { return };
                if let Some(token) = operation.token {
                    call = call.with_token(token);
                }
                if call.token().is_some() {
                    self.calls_with_token.push((owner, call.clone()));
                }
                self.make_call(owner, operation.is_dry_run, &call);
            }
        }
        let now = Snapshot::of(&self.account);
        assert_eq!(now, self.model.resources, "the account differs from the model");
        assert_consistent(&self.account, &now);
        assert_eq!(
            Snapshot::of(&self.restored()),
            now,
            "the account restored from its records differs"
        );
    }

    fn make_call(&mut self, owner: &str, is_dry_run: bool, call: &Call) {
        let expected = self.model.expected_answer(owner, is_dry_run, call);
        let caller = Caller { owner, is_dry_run, now_s: self.model.now_s };
        let mut answer = call.make(&mut self.account, &caller);
        if answer.is_ok() && self.undoes_next() {
            self.undo();
            answer = call.make(&mut self.account, &caller);
        }
        let records = self.account.take_changes().unwrap();
        match (expected, answer) {
            (Err(code), Err(refused)) => {
                assert_eq!(refused.code, code, "{call:?}: {}", refused.message);
                assert_eq!(records, [], "a rejected call changed records");
            }
            (Ok(expected), Ok(id)) => {
                assert!(expected.is_none_or(|expected| expected == id), "{call:?}: {id}");
                self.model.apply(owner, call, &id, &Snapshot::of(&self.account));
            }
            (expected, answer) => panic!("{call:?}: {answer:?} instead of {expected:?}"),
        }
        self.write(records);
    }

    fn write(&mut self, records: Vec<Record>) {
        for record in records {
            match record.text {
                Some(text) => self.records.insert(record.key, text),
                None => self.records.remove(&record.key),
            };
        }
    }

    /// Whether the next successful call is undone and made again: every second one.
    fn undoes_next(&mut self) -> bool {
        self.is_undoing = !self.is_undoing;
        self.is_undoing
    }

    /// Undoes a call that was persisted; the model does not have it.
    fn undo(&mut self) {
        let log = self.account.take_undo_log();
        let records = self.account.take_changes().unwrap();
        self.write(records);
        self.account.undo(log);
        let records = self.account.take_changes().unwrap();
        self.write(records);
        let now = Snapshot::of(&self.account);
        assert_eq!(now, self.model.resources, "the account after an undone call differs");
        assert_consistent(&self.account, &now);
        assert_eq!(Snapshot::of(&self.restored()), now, "the records of an undone call differ");
    }

    /// The account of a process that starts now.
    fn restored(&self) -> Account {
        let mut account = initial_account(self.model.added_to_files);
        account.restore(self.records.clone()).unwrap();
        assert_eq!(account.take_changes().unwrap(), [], "a restore changed records");
        account
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_account_behaves_like_the_model(
        operations in prop::collection::vec(operation(), 1..100),
    ) {
        let mut comparison = Comparison::new();
        operations.iter().for_each(|operation| comparison.step(operation));
    }
}

/// Resources that are added to a file do not collide with those that clients created before.
#[test]
fn files_may_have_more_resources_after_a_restart() {
    let mut comparison = Comparison::new();
    let steps = [
        Step::CreateFilter { text: None },
        Step::Restart { has_more_in_files: true },
        Step::CreateFilter { text: None },
        Step::Restart { has_more_in_files: true },
    ];
    for step in steps {
        comparison.step(&Operation { is_other_owner: false, is_dry_run: false, token: None, step });
    }
    assert_eq!(comparison.model.resources.order[2].len(), 5);
}
