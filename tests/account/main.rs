//! The account against a plain model: the same answers, the same resources, and the same again
//! from its records, whatever is asked of it and however often it is restarted.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::unreachable,
    reason = "a test may stop where something is not as it should"
)]

mod call;
mod changes;
mod model;
mod operation;
mod rules_of_aws;
mod snapshot;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use traffic_mirror::control::account::{Account, Caller, DEFAULT_OWNER};

use self::call::Call;
use self::model::{Model, OTHER_OWNER};
use self::operation::{Asked, Operation, operation};
use self::snapshot::{Snapshot, is_sound};
use self::world::{MOST_MORE, beginning};

/// An account, what it should be, and what was written of it.
struct Run {
    account: Account,
    model: Model,
    records: BTreeMap<String, String>,
    /// Calls that had a token, and whose they were.
    tokened: Vec<(&'static str, Call)>,
}

impl Run {
    fn new() -> Self {
        let (account, model) = (beginning(0), Model::new());
        Self { account, model, records: BTreeMap::new(), tokened: Vec::new() }
    }

    fn step(&mut self, operation: &Operation) {
        let owner = if operation.is_of_other { OTHER_OWNER } else { DEFAULT_OWNER };
        match &operation.asked {
            Asked::Wait { hours } => self.model.now_s += u64::from(*hours) * 3600,
            Asked::Restart { has_more_in_files } => {
                if *has_more_in_files && self.model.more < MOST_MORE {
                    self.model.has_more_in_files();
                }
                self.account = self.restored();
            }
            Asked::Again(which) if !self.tokened.is_empty() => {
                let last = self.tokened.len() - 1;
                let (owner, call) = self.tokened[last - usize::from(*which) % (last + 1)].clone();
                self.ask(owner, operation.is_dry_run, &call);
            }
            asked => {
                let call = Call::new(asked, |kind, pick| self.model.id_of(kind, pick));
                let Some(mut call) = call else { return };
                if let Some(token) = operation.token {
                    call = call.once(token);
                }
                if call.token().is_some() {
                    self.tokened.push((owner, call.clone()));
                }
                self.ask(owner, operation.is_dry_run, &call);
            }
        }
        let now = Snapshot::of(&self.account);
        assert_eq!(now, self.model.has, "the account has other resources");
        is_sound(&self.account, &now);
        assert_eq!(Snapshot::of(&self.restored()), now, "its records give other resources");
    }

    fn ask(&mut self, owner: &str, is_dry_run: bool, call: &Call) {
        let expected = self.model.judge(owner, is_dry_run, call);
        let caller = Caller { owner, is_dry_run, now_s: self.model.now_s };
        let answer = call.ask(&mut self.account, &caller);
        let records = self.account.take_changes().unwrap();
        match (expected, answer) {
            (Err(code), Err(refused)) => {
                assert_eq!(refused.code, code, "{call:?}: {}", refused.message);
                assert_eq!(records, [], "a refusal is written");
            }
            (Ok(expected), Ok(id)) => {
                assert!(expected.is_none_or(|expected| expected == id), "{call:?}: {id}");
                self.model.act(owner, call, &id, &Snapshot::of(&self.account));
            }
            (expected, answer) => panic!("{call:?}: {answer:?} instead of {expected:?}"),
        }
        for record in records {
            match record.text {
                Some(text) => self.records.insert(record.key, text),
                None => self.records.remove(&record.key),
            };
        }
    }

    /// What a process that begins now would have.
    fn restored(&self) -> Account {
        let mut account = beginning(self.model.more);
        account.restore(self.records.clone()).unwrap();
        assert_eq!(account.take_changes().unwrap(), [], "what was read is written again");
        account
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_account_does_what_the_model_does(
        operations in prop::collection::vec(operation(), 1..100),
    ) {
        let mut run = Run::new();
        operations.iter().for_each(|operation| run.step(operation));
    }
}

/// What a file says later has a place of its own beside what clients made before.
#[test]
fn files_may_say_more_after_a_restart() {
    let mut run = Run::new();
    let asked = [
        Asked::CreateFilter { text: None },
        Asked::Restart { has_more_in_files: true },
        Asked::CreateFilter { text: None },
        Asked::Restart { has_more_in_files: true },
    ];
    for asked in asked {
        run.step(&Operation { is_of_other: false, is_dry_run: false, token: None, asked });
    }
    assert_eq!(run.model.has.order[2].len(), 5);
}
