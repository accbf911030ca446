//! The plain model of an account: maps, and AWS's rules evaluated one after the other.

use std::collections::BTreeMap;

use traffic_mirror::control::account::DEFAULT_OWNER;
use traffic_mirror::model::Session;

use super::call::Call;
use super::initial_state::{self, FILE_KIND, file_id};
use super::operation::IdChoice;
use super::snapshot::{
    PlainFilter, PlainOwnership, PlainRule, PlainSession, PlainTarget, Snapshot,
};

/// An error by its code.
pub(crate) type ErrorCode = &'static str;

pub(crate) const OTHER_OWNER: &str = "111111111111";
pub(crate) const PREFIXES: [&str; 4] = ["tms-", "tmt-", "tmf-", "tmfr-"];
const NO_SUCH: [ErrorCode; 4] = [
    "InvalidTrafficMirrorSessionId.NotFound",
    "InvalidTrafficMirrorTargetId.NotFound",
    "InvalidTrafficMirrorFilterId.NotFound",
    "InvalidTrafficMirrorFilterRuleId.NotFound",
];

/// A day, in seconds.
const DAY_S: u64 = 24 * 60 * 60;

#[derive(Debug, Clone)]
struct KnownToken {
    request: String,
    id: String,
    deleted_s: Option<u64>,
}

/// The resources, and the history that calls depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) resources: Snapshot,
    tokens: BTreeMap<(String, String), KnownToken>,
    /// All ids that were ever generated, by kind.
    generated_ids: [Vec<String>; 4],
    pub(crate) now_s: u64,
    /// The number of targets, and of filters, that were added to the files.
    pub(crate) added_to_files: usize,
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut model = Self { now_s: 1_000, ..Self::default() };
        model.add_file_resources(0);
        let id = file_id("tms-", 0);
        let session =
            PlainSession { ownership: file_ownership(), session: initial_state::session() };
        model.resources.order[0].push(id.clone());
        model.resources.sessions.insert(id, session);
        model
    }

    fn add_file_resources(&mut self, number: usize) {
        let [_, target, filter, rule] = PREFIXES.map(|prefix| file_id(prefix, number));
        for (kind, id) in [(1, &target), (2, &filter), (3, &rule)] {
            self.resources.order[kind].insert(number, id.clone());
        }
        let plain = PlainTarget {
            ownership: file_ownership(),
            kind: FILE_KIND,
            address: "192.0.2.100:4789".parse().ok(),
            description: None,
            tags: Default::default(),
        };
        self.resources.targets.insert(target, plain);
        let plain = PlainFilter {
            ownership: file_ownership(),
            amazon_dns: false,
            description: None,
            tags: Default::default(),
        };
        self.resources.filters.insert(filter.clone(), plain);
        let plain =
            PlainRule { ownership: file_ownership(), filter, rule: initial_state::rule(number) };
        self.resources.rules.insert(rule, plain);
    }

    /// Adds a target and a filter to the file.
    pub(crate) fn add_to_files(&mut self) {
        self.added_to_files += 1;
        self.add_file_resources(self.added_to_files);
    }

    /// The id of a choice. Kind 4 is an unknown kind of resource.
    pub(crate) fn id_of(&self, kind: usize, choice: IdChoice) -> String {
        let Some(prefix) = PREFIXES.get(kind) else { return String::from("vpc-00000001") };
        let (existing, generated) = (&self.resources.order[kind], &self.generated_ids[kind]);
        let existing: Vec<&String> = existing.iter().filter(|id| generated.contains(id)).collect();
        match choice {
            1 => format!("{prefix}x"),
            2 | 3 => file_id(prefix, usize::from(choice) - 2),
            4..12 if !existing.is_empty() => existing[usize::from(choice) % existing.len()].clone(),
            12.. if !generated.is_empty() => {
                generated[usize::from(choice) % generated.len()].clone()
            }
            _ => format!("{prefix}0000000000000dead"),
        }
    }

    /// The expected response of the account: a known id, a new one, or an error code.
    pub(crate) fn expected_answer(
        &self,
        owner: &str,
        is_dry_run: bool,
        call: &Call,
    ) -> Result<Option<String>, ErrorCode> {
        if let Some(id) = self.known_by_token(owner, call)? {
            return if is_dry_run { Err("DryRunOperation") } else { Ok(Some(id)) };
        }
        let id = self.check(owner, call)?;
        if is_dry_run { Err("DryRunOperation") } else { Ok(id) }
    }

    /// "ClientToken is remembered as long as the resource lives, and 24 hours after."
    fn known_by_token(&self, owner: &str, call: &Call) -> Result<Option<String>, ErrorCode> {
        let Some((client_token, kind)) = call.token() else { return Ok(None) };
        let known = self.tokens.get(&(owner.to_owned(), client_token.token.clone()));
        match known {
            Some(known)
                if known.deleted_s.is_some_and(|deleted_s| self.now_s >= deleted_s + DAY_S) =>
            {
                Ok(None)
            }
            Some(known) if known.request != client_token.request => {
                Err("IdempotentParameterMismatch")
            }
            Some(KnownToken { deleted_s: Some(_), .. }) => Err(NO_SUCH[kind]),
            Some(known) => Ok(Some(known.id.clone())),
            None => Ok(None),
        }
    }

    /// Applies a call that succeeds. Generated values are taken from the account.
    pub(crate) fn apply(&mut self, owner: &str, call: &Call, id: &str, after: &Snapshot) {
        if self.known_by_token(owner, call).is_ok_and(|known| known.is_some()) {
            return;
        }
        if let Some((client_token, _)) = call.token() {
            let known = KnownToken {
                request: client_token.request.clone(),
                id: id.to_owned(),
                deleted_s: None,
            };
            self.tokens.insert((owner.to_owned(), client_token.token.clone()), known);
        }
        self.change(owner, call, id, after);
    }

    /// Adds a resource: its id has the form of AWS's ids and is new.
    pub(crate) fn add_id(&mut self, kind: usize, id: &str) {
        let hex = id.strip_prefix(PREFIXES[kind]).unwrap();
        assert!(
            hex.len() == 17 && hex.bytes().all(|one| b"0123456789abcdef".contains(&one)),
            "{id}"
        );
        assert!(
            !self.generated_ids[kind].iter().any(|known| known == id),
            "{id} was generated twice"
        );
        self.generated_ids[kind].push(id.to_owned());
        self.resources.order[kind].push(id.to_owned());
    }

    /// Removes a resource; its token stays for a day.
    pub(crate) fn remove(&mut self, kind: usize, id: &str) {
        match kind {
            0 => drop(self.resources.sessions.remove(id)),
            1 => drop(self.resources.targets.remove(id)),
            2 => drop(self.resources.filters.remove(id)),
            _ => drop(self.resources.rules.remove(id)),
        }
        self.resources.order[kind].retain(|one| one != id);
        let tokens = self.tokens.values_mut().filter(|token| token.id == id);
        tokens.for_each(|token| token.deleted_s = Some(self.now_s));
    }

    /// Checks a generated network identifier: it is not 0, and no other session has it.
    pub(crate) fn assert_network_id_is_unique(&self, session: &Session) {
        let generated = session.virtual_network_id.unwrap();
        assert_ne!(generated.value(), 0);
        let mut others = self.resources.sessions.values().map(|one| &one.session);
        assert!(
            !others.any(|one| one.virtual_network_id == Some(generated)),
            "{generated:?} is in use"
        );
    }

    fn ownership(&self, kind: usize, id: &str) -> Option<&PlainOwnership> {
        match kind {
            0 => self.resources.sessions.get(id).map(|one| &one.ownership),
            1 => self.resources.targets.get(id).map(|one| &one.ownership),
            2 => self.resources.filters.get(id).map(|one| &one.ownership),
            _ => self.resources.rules.get(id).map(|one| &one.ownership),
        }
    }

    /// Checks that the caller may change a resource.
    pub(crate) fn check_owned(&self, owner: &str, kind: usize, id: &str) -> Result<(), ErrorCode> {
        match self.ownership(kind, id) {
            Some(ownership) if ownership.owner == owner && ownership.is_from_file => {
                Err("OperationNotPermitted")
            }
            Some(ownership) if ownership.owner == owner => Ok(()),
            _ => Err(not_found(kind, id)),
        }
    }

    /// Checks that the caller may refer to a resource.
    pub(crate) fn check_visible(
        &self,
        owner: &str,
        kind: usize,
        id: &str,
    ) -> Result<(), ErrorCode> {
        let ownership = self
            .ownership(kind, id)
            .filter(|ownership| ownership.owner == owner || ownership.is_from_file);
        ownership.map(drop).ok_or_else(|| not_found(kind, id))
    }

    /// The number of resources of a kind that an account owns.
    pub(crate) fn count(&self, kind: usize, owner: &str) -> usize {
        let ids = self.resources.order[kind].iter();
        ids.filter(|id| self.ownership(kind, id).is_some_and(|ownership| ownership.owner == owner))
            .count()
    }
}

fn not_found(kind: usize, id: &str) -> ErrorCode {
    if id.ends_with('x') { "InvalidParameterValue" } else { NO_SUCH[kind] }
}

fn file_ownership() -> PlainOwnership {
    PlainOwnership { owner: DEFAULT_OWNER.to_owned(), is_from_file: true }
}
