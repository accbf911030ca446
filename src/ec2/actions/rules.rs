//! The actions of filter rules: Create, Modify, Delete and Describe.

use super::super::describe::Query;
use super::super::form::Form;
use super::elements::RuleView;
use super::{Call, elements};
use crate::control::account::{Account, ApiError, CreateRule, ModifyRule, Ports, RuleField};
use crate::model::{
    CidrBlock, Direction, FilterId, FilterRule, FilterRuleId, PortRange, Protocol, RuleAction,
    RuleNumber,
};

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let form = call.form;
    let filter_id = form.required("TrafficMirrorFilterId")?.to_owned();
    let direction = Direction::parse(form.required("TrafficDirection")?)?;
    let number =
        form.integer("RuleNumber")?.ok_or_else(|| ApiError::missing_parameter("RuleNumber"))?;
    let action = RuleAction::parse(form.required("RuleAction")?)?;
    let block = |name, field| -> Result<CidrBlock, ApiError> {
        Ok(CidrBlock::parse(field, form.required(name)?)?.0)
    };
    let source = block("SourceCidrBlock", "source_cidr_block")?;
    let destination = block("DestinationCidrBlock", "destination_cidr_block")?;
    let mut rule =
        FilterRule::new(direction, RuleNumber::new(number)?, action, source, destination)?;
    if let Some(protocol) = protocol(form)? {
        rule = rule.with_protocol(protocol)?;
    }
    let ports = ports(form)?;
    if let Some(ports) = ports.source {
        rule = rule.with_source_ports(ports)?;
    }
    if let Some(ports) = ports.destination {
        rule = rule.with_destination_ports(ports)?;
    }
    rule.description = call.description()?;
    rule.tags = call.tags("traffic-mirror-filter-rule")?;
    let request = CreateRule { filter_id, rule, client_token: call.client_token()? };
    call.check_parameters()?;
    let id = account.create_rule(&call.caller, request)?;
    rule_answer(account, call, &id, true)
}

pub(super) fn modify(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let form = call.form;
    let id = form.required("TrafficMirrorFilterRuleId")?;
    let block = |name, field| -> Result<Option<CidrBlock>, ApiError> {
        let text = form.text(name);
        Ok(text.map(|text| CidrBlock::parse(field, text)).transpose()?.map(|(block, _)| block))
    };
    let request = ModifyRule {
        direction: form.text("TrafficDirection").map(Direction::parse).transpose()?,
        number: form.integer("RuleNumber")?.map(RuleNumber::new).transpose()?,
        action: form.text("RuleAction").map(RuleAction::parse).transpose()?,
        source: block("SourceCidrBlock", "source_cidr_block")?,
        destination: block("DestinationCidrBlock", "destination_cidr_block")?,
        protocol: protocol(form)?,
        ports: ports(form)?,
        description: call.description()?,
        remove: form
            .texts("RemoveField")
            .iter()
            .map(|field| RuleField::parse(field))
            .collect::<Result<_, _>>()?,
    };
    call.check_parameters()?;
    let id = account.modify_rule(&call.caller, id, &request)?;
    rule_answer(account, call, &id, false)
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.form.required("TrafficMirrorFilterRuleId")?;
    call.check_parameters()?;
    let id = account.delete_rule(&call.caller, id)?;
    Ok(call.answer_id("trafficMirrorFilterRuleId", id))
}

pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    let mut query =
        Query::read(call.form, call.action, "TrafficMirrorFilterRuleId", elements::RULE_FILTERS)?;
    if let Some(filter_id) = call.form.owned("TrafficMirrorFilterId") {
        query.filter_id = Some(filter_id);
    }
    call.check_parameters()?;
    if let Some(filter_id) = &query.filter_id {
        let ownership = FilterId::new(filter_id).ok().and_then(|id| account.filters().get(&id));
        call.check_visible(ownership, "Filter", FilterId::PREFIX, filter_id)?;
    }
    for id in query.ids() {
        let ownership = FilterRuleId::new(id).ok().and_then(|id| account.rules().get(&id));
        call.check_visible(ownership, "FilterRule", FilterRuleId::PREFIX, id)?;
    }
    let is_in_filter = |view: &RuleView<'_>| {
        query.filter_id.as_deref().is_none_or(|filter_id| view.filter.id().as_str() == filter_id)
    };
    let rules = account.rules().after(query.after()).map(|(sequence, id, ownership)| {
        let known = account.rule(id).filter(|_| call.can_see(ownership));
        let view = known.map(|(filter, rule)| RuleView { filter, rule }).filter(is_in_filter);
        (
            sequence,
            view.map_or(Ok(None), |view| Ok(query.selects(id.as_str(), &view)?.then_some(view))),
        )
    });
    let (page, token) = query.page(rules)?;
    Ok(call.answer(|xml| {
        xml.list("trafficMirrorFilterRuleSet", page, |xml, view| {
            elements::rule(xml, view.filter, view.rule, true);
        });
        Call::next_token(xml, token);
    }))
}

fn protocol(form: &Form) -> Result<Option<Protocol>, ApiError> {
    Ok(form.integer("Protocol")?.map(Protocol::new).transpose()?)
}

fn ports(form: &Form) -> Result<Ports, ApiError> {
    Ok(Ports {
        source: port_range(form, "SourcePortRange", "source_port_range")?,
        destination: port_range(form, "DestinationPortRange", "destination_port_range")?,
    })
}

/// A port range, which needs both FromPort and ToPort.
fn port_range(form: &Form, name: &str, field: &'static str) -> Result<Option<PortRange>, ApiError> {
    let from = form.integer(&format!("{name}.FromPort"))?;
    let to = form.integer(&format!("{name}.ToPort"))?;
    match (from, to) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) => Ok(Some(PortRange::new(field, from, to)?)),
        (Some(from), None) => Err(ApiError::invalid_value(name, from, "both FromPort and ToPort")),
        (None, Some(to)) => Err(ApiError::invalid_value(name, to, "both FromPort and ToPort")),
    }
}

/// The response with a rule. The response of Create has its tags and the client token too.
fn rule_answer(
    account: &Account,
    call: &Call<'_>,
    id: &FilterRuleId,
    is_new: bool,
) -> Result<String, ApiError> {
    let known = account.rule(id);
    let (filter, rule) =
        known.ok_or_else(|| ApiError::internal("a rule is missing after its change"))?;
    Ok(call.answer(|xml| {
        xml.element("trafficMirrorFilterRule", |xml| elements::rule(xml, filter, rule, is_new));
        if is_new {
            xml.optional("clientToken", call.form.text("ClientToken"));
        }
    }))
}
