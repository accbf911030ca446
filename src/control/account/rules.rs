//! Rules of filters of an account.

use super::filters::no_such;
use super::records::Key;
use super::refused::Refused;
use super::tokens::Once;
use super::{Account, Caller};
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
    pub once: Option<Once>,
}

/// ModifyTrafficMirrorFilterRule: what is given is changed.
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

/// What ModifyTrafficMirrorFilterRule can remove.
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
    /// # Errors
    /// [`Refused`] for any other word.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        match text {
            "destination-port-range" => Ok(Self::DestinationPorts),
            "source-port-range" => Ok(Self::SourcePorts),
            "protocol" => Ok(Self::Protocol),
            "description" => Ok(Self::Description),
            other => {
                let expected = "destination-port-range, source-port-range, protocol or description";
                Err(Refused::value("RemoveField", other, expected))
            }
        }
    }
}

impl Account {
    /// Adds a rule to a filter.
    ///
    /// # Errors
    /// [`Refused`] where there is no such filter, its number is taken, or beyond the quota.
    pub fn create_rule(
        &mut self,
        caller: &Caller<'_>,
        request: CreateRule,
    ) -> Result<FilterRuleId, Refused> {
        let kind = ("FilterRule", FilterRuleId::PREFIX);
        if let Some(id) = self.repeated(caller, request.once.as_ref(), kind)? {
            return Ok(FilterRuleId::new(id)?);
        }
        let filter_id = self.own_filter(caller, &request.filter_id)?;
        let Some(filter) = self.registry.filter(&filter_id).cloned() else {
            return Err(no_such("Filter", "tmf-", &request.filter_id));
        };
        number_is_free(&filter, &request.rule, None)?;
        if filter.all_rules().len() >= self.quotas.rules_per_filter {
            let most = self.quotas.rules_per_filter;
            let message =
                format!("The maximum number of rules of a traffic mirror filter is {most}.");
            return Err(Refused::new("TrafficMirrorFilterRuleLimitExceeded", message));
        }
        caller.may_change()?;
        let id = FilterRuleId::from_seed((self.draw)());
        let mut changed = Filter::clone(&filter);
        let mut rule = request.rule;
        rule.id = Some(id.clone());
        changed.push_rule(rule)?;
        self.registry.replace_filter(changed)?;
        let entry = self.entry(caller.owner, false);
        self.remember(caller.now_s, &entry.owner, request.once, id.as_str());
        self.rules.put(id.clone(), entry);
        self.mark(Key::Rule(id.clone()));
        self.filter_of.insert(id.clone(), filter_id);
        Ok(id)
    }

    /// Changes a rule.
    ///
    /// # Errors
    /// [`Refused`] where there is none, its new number is taken, or what comes of it is no rule.
    pub fn modify_rule(
        &mut self,
        caller: &Caller<'_>,
        id: &str,
        request: &ModifyRule,
    ) -> Result<FilterRuleId, Refused> {
        request.is_consistent()?;
        let id = self.own_rule(caller, id)?;
        let Some((filter, rule)) = self.rule(&id) else {
            return Err(no_such("FilterRule", "tmfr-", id.as_str()));
        };
        let rule = request.applied(rule)?;
        number_is_free(filter, &rule, Some(&id))?;
        let others = filter.all_rules().iter().filter(|one| one.id.as_ref() != Some(&id));
        let rules = others.cloned().chain([rule]).collect();
        let changed = self.with_rules(filter, rules)?;
        caller.may_change()?;
        self.registry.replace_filter(changed)?;
        self.mark(Key::Rule(id.clone()));
        Ok(id)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`Refused`] where there is none.
    pub fn delete_rule(&mut self, caller: &Caller<'_>, id: &str) -> Result<FilterRuleId, Refused> {
        let id = self.own_rule(caller, id)?;
        caller.may_change()?;
        if let Some((filter, _)) = self.rule(&id) {
            let others = filter.all_rules().iter().filter(|one| one.id.as_ref() != Some(&id));
            let changed = self.with_rules(filter, others.cloned().collect())?;
            self.registry.replace_filter(changed)?;
        }
        self.rules.take(&id);
        self.mark(Key::Rule(id.clone()));
        self.filter_of.remove(&id);
        self.outlive(id.as_str(), caller.now_s);
        Ok(id)
    }

    /// The same filter with other rules.
    pub(super) fn with_rules(
        &self,
        filter: &Filter,
        rules: Vec<FilterRule>,
    ) -> Result<Filter, Refused> {
        let (mut changed, refused) = Filter::from_rules(filter.id().clone(), rules);
        if let Some((_, invalid)) = refused.into_iter().next() {
            return Err(invalid.into());
        }
        changed.amazon_dns = filter.amazon_dns;
        changed.description.clone_from(&filter.description);
        changed.tags.clone_from(&filter.tags);
        Ok(changed)
    }

    pub(super) fn own_rule(&self, caller: &Caller<'_>, id: &str) -> Result<FilterRuleId, Refused> {
        let known = FilterRuleId::new(id)
            .ok()
            .filter(|id| self.rules.get(id).is_some_and(|entry| *entry.owner == *caller.owner));
        let prefix = FilterRuleId::PREFIX;
        let Some(known) = known else { return Err(no_such("FilterRule", prefix, id)) };
        self.is_no_file(self.rules.get(&known), id)?;
        Ok(known)
    }
}

fn number_is_free(
    filter: &Filter,
    rule: &FilterRule,
    but_for: Option<&FilterRuleId>,
) -> Result<(), Refused> {
    let is_taken = filter.rules(rule.direction()).any(|one| {
        one.number() == rule.number() && (but_for.is_none() || one.id.as_ref() != but_for)
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
    Err(Refused::new("TrafficMirrorFilterRuleAlreadyExists", message))
}

impl ModifyRule {
    fn removes(&self, field: RuleField) -> bool {
        self.remove.contains(&field)
    }

    /// No field is both set and removed.
    fn is_consistent(&self) -> Result<(), Refused> {
        let both = [
            (RuleField::DestinationPorts, self.ports.destination.is_some(), "DestinationPortRange"),
            (RuleField::SourcePorts, self.ports.source.is_some(), "SourcePortRange"),
            (RuleField::Protocol, self.protocol.is_some(), "Protocol"),
            (RuleField::Description, self.description.is_some(), "Description"),
        ];
        match both.into_iter().find(|(field, is_set, _)| *is_set && self.removes(*field)) {
            None => Ok(()),
            Some((_, _, name)) => {
                Err(Refused::combination(format!("{name} cannot be both set and removed.")))
            }
        }
    }

    /// What becomes of a rule. "A Modify that adds a port range" needs the protocol that it goes
    /// with, in the same request or from before.
    fn applied(&self, rule: &FilterRule) -> Result<FilterRule, Refused> {
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
