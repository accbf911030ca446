//! Regions and Availability Zones: their names and ids, DescribeRegions and
//! DescribeAvailabilityZones.

use super::super::describe::{Filterable, Query};
use super::Call;
use crate::control::account::ApiError;
use crate::control::vpc::ZONE_COUNT;

/// The regions that are enabled in every account. The region of the caller is listed too.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The region of a signature that names none.
const DEFAULT_REGION: &str = "us-east-1";

const ZONE_FILTERS: &[&str] = &[
    "group-long-name",
    "group-name",
    "message",
    "opt-in-status",
    "parent-zone-id",
    "parent-zone-name",
    "region-name",
    "state",
    "zone-id",
    "zone-name",
    "zone-type",
];

const REGION_FILTERS: &[&str] = &["endpoint", "opt-in-status", "region-name"];

/// The region of a request.
#[derive(Clone, Copy)]
pub(super) struct Region<'a>(&'a str);

/// An Availability Zone.
pub(super) struct Zone<'a> {
    region: Region<'a>,
    index: u8,
}

impl<'a> Region<'a> {
    pub(super) fn of(call: &Call<'a>) -> Self {
        Self(if call.region.is_empty() { DEFAULT_REGION } else { call.region })
    }

    pub(super) const fn name(self) -> &'a str {
        self.0
    }

    pub(super) const fn zone(self, index: u8) -> Zone<'a> {
        Zone { region: self, index }
    }

    /// The private DNS name of an address: `ip-10-0-0-5.eu-west-1.compute.internal`.
    pub(super) fn private_dns_name(self, address: std::net::IpAddr) -> String {
        let name = address.to_string().replace(['.', ':'], "-");
        match self.0 {
            DEFAULT_REGION => format!("ip-{name}.ec2.internal"),
            region => format!("ip-{name}.{region}.compute.internal"),
        }
    }

    /// The beginning of the ids of its zones: `euw1` for eu-west-1.
    fn abbreviation(self) -> String {
        let mut words = self.0.split('-');
        let mut text = words.next().unwrap_or_default().to_owned();
        for word in words {
            text.push_str(match word {
                "northeast" => "ne",
                "northwest" => "nw",
                "southeast" => "se",
                "southwest" => "sw",
                "gov" => "g",
                "north" | "south" | "east" | "west" | "central" => {
                    word.get(..1).unwrap_or_default()
                }
                other => other,
            });
        }
        text
    }
}

impl Zone<'_> {
    /// `eu-west-1a`
    pub(super) fn name(&self) -> String {
        format!("{}{}", self.region.0, char::from(b'a'.saturating_add(self.index)))
    }

    /// `euw1-az1`
    pub(super) fn id(&self) -> String {
        format!("{}-az{}", self.region.abbreviation(), self.index.saturating_add(1))
    }

    fn group(&self) -> String {
        format!("{}-zg-1", self.region.0)
    }
}

impl Filterable for Zone<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        Some(match name {
            "group-name" => vec![self.group()],
            "opt-in-status" => vec!["opt-in-not-required".to_owned()],
            "region-name" => vec![self.region.0.to_owned()],
            "state" => vec!["available".to_owned()],
            "zone-id" => vec![self.id()],
            "zone-name" => vec![self.name()],
            "zone-type" => vec!["availability-zone".to_owned()],
            name if ZONE_FILTERS.contains(&name) => Vec::new(),
            _ => return None,
        })
    }
}

pub(super) fn describe_zones(call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "ZoneName", ZONE_FILTERS)?;
    let ids = call.form.texts("ZoneId");
    call.form.boolean("AllAvailabilityZones")?;
    call.check_parameters()?;
    let region = Region::of(call);
    let zones = || (0..ZONE_COUNT).map(|index| region.zone(index));
    let unknown_id = ids.iter().find(|id| zones().all(|zone| zone.id() != **id));
    if let Some(unknown) = unknown_id {
        return Err(ApiError::invalid_value("ZoneId", unknown, "an Availability Zone ID"));
    }
    let named: Vec<_> = zones().map(|zone| (zone.name(), zone)).collect();
    query.check_ids_exist(&named, |name| {
        let message = format!("Invalid availability zone: [{name}]");
        ApiError::new("InvalidParameterValue", message)
    })?;
    let named = named.into_iter().filter(|(_, zone)| ids.is_empty() || ids.contains(&zone.id()));
    let (page, _) = query.page_by_key(named.collect())?;
    Ok(call.answer(|xml| {
        xml.list("availabilityZoneInfo", page, |xml, zone| {
            xml.text("zoneName", zone.name());
            xml.text("zoneState", "available");
            xml.text("regionName", region.0);
            xml.list("messageSet", [(); 0], |_, ()| ());
            xml.text("zoneId", zone.id());
            xml.text("groupName", zone.group());
            xml.text("networkBorderGroup", region.0);
            xml.text("zoneType", "availability-zone");
            xml.text("optInStatus", "opt-in-not-required");
        });
    }))
}

impl Filterable for Region<'_> {
    fn field(&self, name: &str) -> Option<Vec<String>> {
        let value = match name {
            "endpoint" => endpoint(self.0),
            "opt-in-status" => "opt-in-not-required".to_owned(),
            "region-name" => self.0.to_owned(),
            _ => return None,
        };
        Some(vec![value])
    }
}

/// The host name of AWS's endpoint, which clients do not need here.
fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

pub(super) fn describe_regions(call: &Call<'_>) -> Result<String, ApiError> {
    let query = Query::read(call.form, call.action, "RegionName", REGION_FILTERS)?;
    call.form.boolean("AllRegions")?;
    call.check_parameters()?;
    let own = Region::of(call).name();
    let own = Some(own).filter(|own| !REGIONS.contains(own));
    let regions = REGIONS.into_iter().chain(own).map(|name| (name.to_owned(), Region(name)));
    let regions: Vec<_> = regions.collect();
    query.check_ids_exist(&regions, |name| {
        let message = format!("Invalid region names provided: {name}");
        ApiError::new("InvalidParameterValue", message)
    })?;
    let (page, _) = query.page_by_key(regions)?;
    Ok(call.answer(|xml| {
        xml.list("regionInfo", page, |xml, region| {
            xml.text("regionName", region.0);
            xml.text("regionEndpoint", endpoint(region.0));
            xml.text("optInStatus", "opt-in-not-required");
        });
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_the_names_and_ids_of_aws() {
        for (region, id) in [
            ("us-east-1", "use1-az1"),
            ("eu-west-1", "euw1-az1"),
            ("ap-southeast-2", "apse2-az1"),
            ("ca-central-1", "cac1-az1"),
            ("us-gov-west-1", "usgw1-az1"),
        ] {
            let zone = Region(region).zone(0);
            assert_eq!((zone.name(), zone.id()), (format!("{region}a"), id.to_owned()));
        }
    }

    #[test]
    fn private_dns_names_are_those_of_aws() {
        let name = |region| Region(region).private_dns_name([10, 0, 0, 5].into());
        assert_eq!(name("us-east-1"), "ip-10-0-0-5.ec2.internal");
        assert_eq!(name("eu-west-1"), "ip-10-0-0-5.eu-west-1.compute.internal");
    }
}
