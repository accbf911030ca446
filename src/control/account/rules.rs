//! Filter rules of an account: create, modify and delete, with AWS's checks.

use super::api_error::{ApiError, not_found};
use super::record_key::RecordKey;
use super::token_store::ClientToken;
use super::{Account, Caller, Resource};
use crate::model::{
    CidrBlock, Direction, Filter, FilterRule, FilterRuleId, PortRange, Protocol, RuleAction,
    RuleNumber, Tags,
};

/// CreateTrafficMirrorFilterRule.
#[derive(Debug, Clone)]
pub struct CreateRule {
    /// The filter.
    pub filter_id: String,
    /// The rule, without an id.
    pub rule: FilterRule,
    /// The ClientToken.
    pub client_token: Option<ClientToken>,
}

/// ModifyTrafficMirrorFilterRule: changes the given fields.
#[derive(Debug, Clone, Default)]
pub struct ModifyRule {
    /// TrafficDirection.
    pub direction: Option<Direction>,
    /// RuleNumber.
    pub number: Option<RuleNumber>,
    /// RuleAction.
    pub action: Option<RuleAction>,
    /// SourceCidrBlock.
    pub source: Option<CidrBlock>,
    /// DestinationCidrBlock.
    pub destination: Option<CidrBlock>,
    /// Protocol.
    pub protocol: Option<Protocol>,
    /// Both port ranges.
    pub ports: Ports,
    /// Description.
    pub description: Option<String>,
    /// RemoveField.
    pub remove: Vec<RuleField>,
}

/// The port ranges of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// SourcePortRange.
    pub source: Option<PortRange>,
    /// DestinationPortRange.
    pub destination: Option<PortRange>,
}

/// A field that ModifyTrafficMirrorFilterRule can remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleField {
    /// `destination-port-range`
    DestinationPorts,
    /// `source-port-range`
    SourcePorts,
    /// `protocol`
    Protocol,
    /// `description`
    Description,
}

impl RuleField {
    /// Parses a value of RemoveField, in upper, lower or mixed case.
    ///
    /// # Errors
    /// [`ApiError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match &*text.to_ascii_lowercase() {
            "destination-port-range" => Ok(Self::DestinationPorts),
            "source-port-range" => Ok(Self::SourcePorts),
            "protocol" => Ok(Self::Protocol),
            "description" => Ok(Self::Description),
            _ => {
                let expected = "destination-port-range, source-port-range, protocol or description";
                Err(ApiError::invalid_value("RemoveField", text, expected))
            }
        }
    }
}

impl Account {
    /// Adds a rule to a filter.
    ///
    /// # Errors
    /// [`ApiError`] if the filter does not exist, the number is taken, or the quota is reached.
    pub fn create_rule(
        &mut self,
        caller: &Caller<'_>,
        request: CreateRule,
    ) -> Result<FilterRuleId, ApiError> {
        let kind = ("FilterRule", FilterRuleId::PREFIX);
        if let Some(id) = self.find_repeated(caller, request.client_token.as_ref(), kind)? {
            return Ok(FilterRuleId::new(&id)?);
        }
        let filter_id = self.owned_filter(caller, &request.filter_id)?;
        let Some(filter) = self.registry.filter(&filter_id).cloned() else {
            return Err(not_found("Filter", "tmf-", &request.filter_id));
        };
        check_number_is_free(&filter, &request.rule, None)?;
        if filter.all_rules().len() >= self.quotas.rules_per_filter {
            let limit = self.quotas.rules_per_filter;
            let message =
                format!("The maximum number of rules of a traffic mirror filter is {limit}.");
            return Err(ApiError::new("TrafficMirrorFilterRuleLimitExceeded", message));
        }
        caller.check_not_dry_run()?;
        let id = FilterRuleId::from_seed((self.draw)());
        let mut changed = Filter::clone(&filter);
        let mut rule = request.rule;
        rule.id = Some(id.clone());
        changed.push_rule(rule)?;
        self.registry.replace_filter(changed)?;
        self.insert_created(caller, Resource::Rule(id.clone()), request.client_token);
        self.filter_of.insert(id.clone(), filter_id);
        Ok(id)
    }

    /// Changes a rule.
    ///
    /// # Errors
    /// [`ApiError`] if the rule does not exist, its new number is taken, or the result is invalid.
    pub fn modify_rule(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
        request: &ModifyRule,
    ) -> Result<FilterRuleId, ApiError> {
        request.check_consistent()?;
        let id = self.owned_rule(caller, id)?;
        let Some((filter, rule)) = self.rule(&id) else {
            return Err(not_found("FilterRule", "tmfr-", id.as_str()));
        };
        let rule = request.applied(rule)?;
        check_number_is_free(filter, &rule, Some(&id))?;
        let others = filter.all_rules().iter().filter(|one| one.id.as_ref() != Some(&id));
        let rules = others.cloned().chain([rule]).collect();
        let changed = self.with_rules(filter, rules)?;
        caller.check_not_dry_run()?;
        self.mark_changed(RecordKey::Rule(id.clone()));
        self.registry.replace_filter(changed)?;
        Ok(id)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`ApiError`] if the rule does not exist.
    pub fn delete_rule(&mut self, caller: &Caller<'_>, id: &str) -> Result<FilterRuleId, ApiError> {
        let id = self.owned_rule(caller, id)?;
        caller.check_not_dry_run()?;
        if let Some((filter, _)) = self.rule(&id) {
            let others = filter.all_rules().iter().filter(|one| one.id.as_ref() != Some(&id));
            let changed = self.with_rules(filter, others.cloned().collect())?;
            self.mark_changed(RecordKey::Rule(id.clone()));
            self.registry.replace_filter(changed)?;
        }
        self.remove_deleted(caller.now_s, &Resource::Rule(id.clone()));
        Ok(id)
    }

    /// The same filter with other rules.
    pub(super) fn with_rules(
        &self,
        filter: &Filter,
        rules: Vec<FilterRule>,
    ) -> Result<Filter, ApiError> {
        let (mut changed, refused) = Filter::from_rules(filter.id().clone(), rules);
        if let Some((_, invalid)) = refused.into_iter().next() {
            return Err(invalid.into());
        }
        changed.amazon_dns = filter.amazon_dns;
        changed.description.clone_from(&filter.description);
        changed.tags.clone_from(&filter.tags);
        Ok(changed)
    }

    pub(super) fn owned_rule(
        &self,
        caller: &Caller<'_>,
        id: &str,
    ) -> Result<FilterRuleId, ApiError> {
        let known = FilterRuleId::new(id).ok();
        let known = known.filter(|id| self.rules.is_owned_by(id, caller.owner));
        let prefix = FilterRuleId::PREFIX;
        let Some(known) = known else { return Err(not_found("FilterRule", prefix, id)) };
        self.check_not_from_file(self.rules.get(&known), id)?;
        Ok(known)
    }
}

/// Checks that no rule of the direction has the number of `rule`, except the rule `replaced`.
fn check_number_is_free(
    filter: &Filter,
    rule: &FilterRule,
    replaced: Option<&FilterRuleId>,
) -> Result<(), ApiError> {
    let is_taken = filter.rules(rule.direction()).any(|one| {
        one.number() == rule.number() && (replaced.is_none() || one.id.as_ref() != replaced)
    });
    if !is_taken {
        return Ok(());
    }
    let message = format!(
        "Rule number {} already exists for {} in {}",
        rule.number(),
        rule.direction(),
        filter.id()
    );
    Err(ApiError::new("TrafficMirrorFilterRuleAlreadyExists", message))
}

impl ModifyRule {
    fn removes(&self, field: RuleField) -> bool {
        self.remove.contains(&field)
    }

    /// Checks that no field is both set and removed.
    fn check_consistent(&self) -> Result<(), ApiError> {
        let removable = [
            (RuleField::DestinationPorts, self.ports.destination.is_some(), "DestinationPortRange"),
            (RuleField::SourcePorts, self.ports.source.is_some(), "SourcePortRange"),
            (RuleField::Protocol, self.protocol.is_some(), "Protocol"),
            (RuleField::Description, self.description.is_some(), "Description"),
        ];
        match removable.into_iter().find(|(field, is_set, _)| *is_set && self.removes(*field)) {
            None => Ok(()),
            Some((_, _, name)) => Err(ApiError::invalid_combination(format!(
                "{name} cannot be both set and removed."
            ))),
        }
    }

    /// The changed rule. A port range needs a protocol with ports, from the same request or from
    /// the rule before the change.
    fn applied(&self, rule: &FilterRule) -> Result<FilterRule, ApiError> {
        let mut changed = FilterRule::new(
            self.direction.unwrap_or(rule.direction()),
            self.number.unwrap_or(rule.number()),
            self.action.unwrap_or(rule.action()),
            self.source.unwrap_or(rule.source()),
            self.destination.unwrap_or(rule.destination()),
        )?;
        let kept = |field, old| if self.removes(field) { None } else { old };
        let protocol = self.protocol.or(self.kept_protocol(rule));
        if let Some(protocol) = protocol {
            changed = changed.with_protocol(protocol)?;
        }
        if let Some(ports) = self.ports.source.or(kept(RuleField::SourcePorts, rule.source_ports()))
        {
            changed = changed.with_source_ports(ports)?;
        }
        if let Some(ports) =
            self.ports.destination.or(kept(RuleField::DestinationPorts, rule.destination_ports()))
        {
            changed = changed.with_destination_ports(ports)?;
        }
        changed.id.clone_from(&rule.id);
        changed.tags = Tags::clone(&rule.tags);
        if !self.removes(RuleField::Description) {
            changed.description = self.description.clone().or_else(|| rule.description.clone());
        }
        Ok(changed)
    }

    fn kept_protocol(&self, rule: &FilterRule) -> Option<Protocol> {
        rule.protocol().filter(|_| !self.removes(RuleField::Protocol))
    }
}
