//! The plain model of an account: maps, and AWS's rules one after the other.

use std::collections::BTreeMap;

use traffic_mirror::control::account::DEFAULT_OWNER;
use traffic_mirror::model::Session;

use super::call::Call;
use super::operation::Pick;
use super::snapshot::{PlainFilter, PlainRule, PlainSession, PlainTarget, Snapshot, Whose};
use super::world::{self, FILE_KIND, file_id};

/// A refusal by its code.
pub(crate) type Code = &'static str;

pub(crate) const OTHER_OWNER: &str = "111111111111";
pub(crate) const PREFIXES: [&str; 4] = ["tms-", "tmt-", "tmf-", "tmfr-"];
const NO_SUCH: [Code; 4] = [
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
    gone_s: Option<u64>,
}

/// What there is, and all that can be asked about the past.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) has: Snapshot,
    tokens: BTreeMap<(String, String), KnownToken>,
    /// All ids that were ever given, by kind.
    ever: [Vec<String>; 4],
    pub(crate) now_s: u64,
    /// How many targets and filters more files hold.
    pub(crate) more: usize,
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut model = Self { now_s: 1_000, ..Self::default() };
        model.take_in_file(0);
        let id = file_id("tms-", 0);
        let session = PlainSession { whose: of_file(), session: world::session() };
        model.has.order[0].push(id.clone());
        model.has.sessions.insert(id, session);
        model
    }

    fn take_in_file(&mut self, number: usize) {
        let [_, target, filter, rule] = PREFIXES.map(|prefix| file_id(prefix, number));
        for (kind, id) in [(1, &target), (2, &filter), (3, &rule)] {
            self.has.order[kind].insert(number, id.clone());
        }
        let plain = PlainTarget {
            whose: of_file(),
            kind: FILE_KIND,
            address: "192.0.2.100:4789".parse().ok(),
            description: None,
            tags: Default::default(),
        };
        self.has.targets.insert(target, plain);
        let plain = PlainFilter {
            whose: of_file(),
            amazon_dns: false,
            description: None,
            tags: Default::default(),
        };
        self.has.filters.insert(filter.clone(), plain);
        let plain = PlainRule { whose: of_file(), filter, rule: world::rule(number) };
        self.has.rules.insert(rule, plain);
    }

    /// The file has a target and a filter more.
    pub(crate) fn has_more_in_files(&mut self) {
        self.more += 1;
        self.take_in_file(self.more);
    }

    /// The id that is meant. Kind 4 is of nothing that we know.
    pub(crate) fn id_of(&self, kind: usize, pick: Pick) -> String {
        let Some(prefix) = PREFIXES.get(kind) else { return String::from("vpc-00000001") };
        let (there, ever) = (&self.has.order[kind], &self.ever[kind]);
        let there: Vec<&String> = there.iter().filter(|id| ever.contains(id)).collect();
        match pick {
            1 => format!("{prefix}x"),
            2 | 3 => file_id(prefix, usize::from(pick) - 2),
            4..12 if !there.is_empty() => there[usize::from(pick) % there.len()].clone(),
            12.. if !ever.is_empty() => ever[usize::from(pick) % ever.len()].clone(),
            _ => format!("{prefix}0000000000000dead"),
        }
    }

    /// What the account has to answer: an id that is known, a new one, or a code.
    pub(crate) fn judge(
        &self,
        owner: &str,
        is_dry_run: bool,
        call: &Call,
    ) -> Result<Option<String>, Code> {
        if let Some(id) = self.known_by_token(owner, call)? {
            return if is_dry_run { Err("DryRunOperation") } else { Ok(Some(id)) };
        }
        let id = self.check(owner, call)?;
        if is_dry_run { Err("DryRunOperation") } else { Ok(id) }
    }

    /// "ClientToken is remembered as long as the resource lives, and 24 hours after."
    fn known_by_token(&self, owner: &str, call: &Call) -> Result<Option<String>, Code> {
        let Some((once, kind)) = call.token() else { return Ok(None) };
        let known = self.tokens.get(&(owner.to_owned(), once.token.clone()));
        match known {
            Some(known) if known.gone_s.is_some_and(|gone| self.now_s >= gone + DAY_S) => Ok(None),
            Some(known) if known.request != once.request => Err("IdempotentParameterMismatch"),
            Some(KnownToken { gone_s: Some(_), .. }) => Err(NO_SUCH[kind]),
            Some(known) => Ok(Some(known.id.clone())),
            None => Ok(None),
        }
    }

    /// Does what was found possible. What is drawn is learned from the account.
    pub(crate) fn act(&mut self, owner: &str, call: &Call, id: &str, after: &Snapshot) {
        if self.known_by_token(owner, call).is_ok_and(|known| known.is_some()) {
            return;
        }
        if let Some((once, _)) = call.token() {
            let known =
                KnownToken { request: once.request.clone(), id: id.to_owned(), gone_s: None };
            self.tokens.insert((owner.to_owned(), once.token.clone()), known);
        }
        self.change(owner, call, id, after);
    }

    /// A new resource: its id is as AWS's are, and was never given before.
    pub(crate) fn is_new(&mut self, kind: usize, id: &str) {
        let hex = id.strip_prefix(PREFIXES[kind]).unwrap();
        assert!(
            hex.len() == 17 && hex.bytes().all(|one| b"0123456789abcdef".contains(&one)),
            "{id}"
        );
        assert!(!self.ever[kind].iter().any(|known| known == id), "{id} is given twice");
        self.ever[kind].push(id.to_owned());
        self.has.order[kind].push(id.to_owned());
    }

    /// A resource goes; its token stays for a day.
    pub(crate) fn goes(&mut self, kind: usize, id: &str) {
        match kind {
            0 => drop(self.has.sessions.remove(id)),
            1 => drop(self.has.targets.remove(id)),
            2 => drop(self.has.filters.remove(id)),
            _ => drop(self.has.rules.remove(id)),
        }
        self.has.order[kind].retain(|one| one != id);
        let tokens = self.tokens.values_mut().filter(|token| token.id == id);
        tokens.for_each(|token| token.gone_s = Some(self.now_s));
    }

    /// A network identifier that was drawn: not 0, and no other session has it.
    pub(crate) fn is_drawn_well(&self, session: &Session) {
        let drawn = session.virtual_network_id.unwrap();
        assert_ne!(drawn.value(), 0);
        let mut others = self.has.sessions.values().map(|one| &one.session);
        assert!(!others.any(|one| one.virtual_network_id == Some(drawn)), "{drawn:?} is taken");
    }

    fn whose(&self, kind: usize, id: &str) -> Option<&Whose> {
        match kind {
            0 => self.has.sessions.get(id).map(|one| &one.whose),
            1 => self.has.targets.get(id).map(|one| &one.whose),
            2 => self.has.filters.get(id).map(|one| &one.whose),
            _ => self.has.rules.get(id).map(|one| &one.whose),
        }
    }

    /// Whether the caller may change a resource.
    pub(crate) fn own(&self, owner: &str, kind: usize, id: &str) -> Result<(), Code> {
        match self.whose(kind, id) {
            Some(whose) if whose.owner == owner && whose.is_of_file => Err("OperationNotPermitted"),
            Some(whose) if whose.owner == owner => Ok(()),
            _ => Err(no_such(kind, id)),
        }
    }

    /// Whether the caller may refer to a resource.
    pub(crate) fn known(&self, owner: &str, kind: usize, id: &str) -> Result<(), Code> {
        let whose = self.whose(kind, id).filter(|whose| whose.owner == owner || whose.is_of_file);
        whose.map(drop).ok_or_else(|| no_such(kind, id))
    }

    /// How many of a kind an account has.
    pub(crate) fn count(&self, kind: usize, owner: &str) -> usize {
        let ids = self.has.order[kind].iter();
        ids.filter(|id| self.whose(kind, id).is_some_and(|whose| whose.owner == owner)).count()
    }
}

fn no_such(kind: usize, id: &str) -> Code {
    if id.ends_with('x') { "InvalidParameterValue" } else { NO_SUCH[kind] }
}

fn of_file() -> Whose {
    Whose { owner: DEFAULT_OWNER.to_owned(), is_of_file: true }
}
