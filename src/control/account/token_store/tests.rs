//! Client tokens against a model that is a plain list of tokens.

use super::*;
use crate::control::Registry;
use crate::control::account::{Account, CreateFilter, Quotas, TargetResolver};

fn client_token(token: &str, request: &str) -> ClientToken {
    ClientToken::new(token, request.to_owned()).unwrap()
}

fn account() -> Account {
    let mut drawn = 0;
    let draw = move || {
        drawn += 1;
        drawn
    };
    Account::new(Registry::default(), Quotas::default(), TargetResolver::default(), draw)
}

fn create(account: &mut Account, caller: Caller<'_>, request: &str) -> Result<String, ApiError> {
    let client_token = Some(client_token("t", request));
    let id = account.create_filter(&caller, CreateFilter { client_token, ..Default::default() })?;
    Ok(id.to_string())
}

const CALLER: Caller<'_> = Caller { owner: "000000000000", is_dry_run: false, now_s: 10 };

#[test]
fn a_repeated_request_gives_the_same_id_and_a_different_one_is_refused() {
    let mut account = account();
    let first = create(&mut account, CALLER, "a").unwrap();
    assert_eq!(create(&mut account, CALLER, "a").unwrap(), first);
    let other = Caller { owner: "111111111111", ..CALLER };
    assert_ne!(create(&mut account, other, "a").unwrap(), first);
    let error = create(&mut account, CALLER, "b").unwrap_err();
    assert_eq!(error.code, "IdempotentParameterMismatch");
}

#[test]
fn a_dry_run_of_a_repeated_request_is_still_a_dry_run() {
    let mut account = account();
    create(&mut account, CALLER, "a").unwrap();
    let dry = Caller { is_dry_run: true, ..CALLER };
    assert_eq!(create(&mut account, dry, "a").unwrap_err().code, "DryRunOperation");
}

#[test]
fn a_token_of_a_deleted_resource_is_remembered_for_a_day() {
    let mut account = account();
    let first = create(&mut account, CALLER, "a").unwrap();
    account.delete_filter(&CALLER, &first).unwrap();
    let at = |now_s| Caller { now_s, ..CALLER };
    let error = create(&mut account, at(10 + RETENTION_S - 1), "a").unwrap_err();
    assert_eq!(error.code, "InvalidTrafficMirrorFilterId.NotFound");
    assert!(error.message.contains(&first), "{error}");
    assert_ne!(create(&mut account, at(10 + RETENTION_S), "b").unwrap(), first);
}

#[test]
fn tokens_have_1_to_64_ascii_characters() {
    assert!(ClientToken::new(&"t".repeat(64), String::new()).is_ok());
    for wrong in ["", &"t".repeat(65), "\u{e9}"] {
        assert!(ClientToken::new(wrong, String::new()).is_err(), "{wrong}");
    }
}

/// A token of the model: its account and text, the request, its resource, and when the resource
/// was deleted.
#[derive(Debug, Clone)]
struct ModelToken {
    key: (&'static str, u8),
    request: u8,
    id: String,
    gone: Option<(u64, usize)>,
}

/// A model of [`TokenStore`] that visits all tokens on each call.
#[derive(Debug, Default)]
struct Model {
    tokens: Vec<ModelToken>,
    deletions: usize,
}

impl Model {
    fn expire(&mut self, now_s: u64, most: usize) {
        let is_expired =
            |one: &ModelToken| one.gone.is_some_and(|(at, _)| now_s >= at + RETENTION_S);
        self.tokens.retain(|one| !is_expired(one));
        let mut gone: Vec<_> = self.tokens.iter().filter_map(|one| one.gone).collect();
        gone.sort_unstable();
        let excess = gone.len().saturating_sub(most);
        self.tokens.retain(|one| one.gone.is_none_or(|at| !gone[..excess].contains(&at)));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Create { owner: bool, token: u8, request: u8 },
    Delete(proptest::sample::Index),
    Wait(u64),
    Restart,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let create = (any::<bool>(), 0..12_u8, 0..2_u8)
        .prop_map(|(owner, token, request)| Step::Create { owner, token, request });
    let step = prop_oneof![
        6 => create,
        4 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => (0..RETENTION_S).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..120)
}

proptest::proptest! {
    #[test]
    fn tokens_match_a_simple_model(steps in steps(), most in 0..6_usize) {
        const OWNERS: [&str; 2] = ["000000000000", "111111111111"];
        let (mut tokens, mut model) = (TokenStore::default(), Model::default());
        let (mut now_s, mut made) = (0, 0);
        for step in steps {
            match step {
                Step::Create { owner, token, request } => {
                    let owner = OWNERS[usize::from(owner)];
                    let asked = client_token(&token.to_string(), &request.to_string());
                    let caller = Caller { owner, is_dry_run: false, now_s };
                    let known = tokens.known(&caller, Some(&asked));
                    model.expire(now_s, usize::MAX);
                    match model.tokens.iter().find(|one| one.key == (owner, token)) {
                        Some(one) if one.request == request => {
                            proptest::prop_assert_eq!(&known.unwrap().unwrap().id, &one.id);
                        }
                        Some(_) => proptest::prop_assert!(known.is_err()),
                        None => {
                            proptest::prop_assert!(known.unwrap().is_none());
                            made += 1;
                            let id = made.to_string();
                            tokens.record_token(&Arc::from(owner), asked, &id);
                            let key = (owner, token);
                            model.tokens.push(ModelToken { key, request, id, gone: None });
                        }
                    }
                }
                Step::Delete(which) => {
                    let live = model.tokens.iter_mut().filter(|one| one.gone.is_none());
                    let mut live: Vec<_> = live.collect();
                    if live.is_empty() {
                        continue;
                    }
                    let at = which.index(live.len());
                    model.deletions += 1;
                    live[at].gone = Some((now_s, model.deletions));
                    proptest::prop_assert!(tokens.key_of_resource(&live[at].id).is_some());
                    tokens.mark_deleted(&live[at].id, now_s);
                }
                Step::Wait(seconds) => now_s += seconds,
                Step::Restart => {
                    let mut after = TokenStore::default();
                    // Records do not contain the order of deletions within one second.
                    let mut known: Vec<_> = tokens.tokens.into_iter().collect();
                    known.sort_by_key(|(_, token)| token.sequence);
                    for ((owner, text), token) in known {
                        let json = serde_json::to_string(&token).unwrap();
                        after.restore(&owner, &text, serde_json::from_str(&json).unwrap());
                    }
                    tokens = after;
                }
            }
            tokens.expire(now_s, most);
            model.expire(now_s, most);
            proptest::prop_assert_eq!(tokens.tokens.len(), model.tokens.len());
            for one in &model.tokens {
                let key = (Arc::from(one.key.0), one.key.1.to_string());
                let token = &tokens.tokens[&key];
                proptest::prop_assert_eq!(&token.id, &one.id);
                proptest::prop_assert_eq!(token.gone_s, one.gone.map(|(at, _)| at));
            }
            let gone = model.tokens.iter().filter(|one| one.gone.is_some()).count();
            proptest::prop_assert_eq!(tokens.deleted.len(), gone);
            proptest::prop_assert_eq!(tokens.by_resource.len(), model.tokens.len() - gone);
        }
    }
}

#[test]
fn request_texts_of_earlier_versions_are_recognised() {
    let mut account = account();
    let first = create(&mut account, CALLER, "a").unwrap();
    let mut tokens: Vec<_> = account.tokens.tokens.values_mut().collect();
    assert_eq!(tokens[0].request.len(), 64);
    tokens[0].request = "a".to_owned();
    assert_eq!(create(&mut account, CALLER, "a").unwrap(), first);
    assert!(create(&mut account, CALLER, "b").is_err());
}

#[test]
fn an_expired_token_is_removed_from_the_state_file() {
    let mut account = account();
    let first = create(&mut account, CALLER, "a").unwrap();
    account.delete_filter(&CALLER, &first).unwrap();
    let written = account.take_changes().unwrap();
    let token = |record: &&crate::control::account::Record| record.key.starts_with("token/");
    assert!(written.iter().find(token).unwrap().text.is_some());
    let later = Caller { now_s: 10 + RETENTION_S, ..CALLER };
    account.create_filter(&later, CreateFilter::default()).unwrap();
    let written = account.take_changes().unwrap();
    assert_eq!(written.iter().find(token).unwrap().text, None);
}
