# All kinds of resources of traffic mirroring. The second stage changes most of the arguments that can
# be changed without a new resource. `tests/live/terraform.rs` applies both stages.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {}

variable "stage" {
  type    = number
  default = 1
}

locals {
  is_first = var.stage == 1
}

data "aws_network_interfaces" "named" {
  for_each = toset(["h0", "m0"])
  filter {
    name   = "tag:Name"
    values = [each.key]
  }
}

resource "aws_ec2_traffic_mirror_filter" "web" {
  description      = "a & b"
  network_services = local.is_first ? ["amazon-dns"] : []
  tags             = local.is_first ? { Name = "web" } : { Name = "net", team = "" }
}

resource "aws_ec2_traffic_mirror_filter_rule" "in" {
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  description              = local.is_first ? "some" : "all"
  rule_number              = local.is_first ? 10 : 20
  rule_action              = "accept"
  traffic_direction        = "ingress"
  source_cidr_block        = "10.98.0.0/16"
  destination_cidr_block   = "0.0.0.0/0"
  protocol                 = 17

  dynamic "destination_port_range" {
    for_each = local.is_first ? [2000] : []
    content {
      from_port = destination_port_range.value
      to_port   = destination_port_range.value + 1
    }
  }
}

resource "aws_ec2_traffic_mirror_filter_rule" "out" {
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  rule_number              = 10
  rule_action              = local.is_first ? "reject" : "accept"
  traffic_direction        = "egress"
  source_cidr_block        = "0.0.0.0/0"
  destination_cidr_block   = "0.0.0.0/0"
}

resource "aws_ec2_traffic_mirror_target" "monitor" {
  description               = "by its address"
  network_load_balancer_arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"
  tags                      = { "mirror:address" = "10.99.1.2" }
}

resource "aws_ec2_traffic_mirror_target" "interface" {
  network_interface_id = data.aws_network_interfaces.named["m0"].ids[0]
}

resource "aws_ec2_traffic_mirror_session" "h0" {
  description              = local.is_first ? "one" : "two"
  network_interface_id     = data.aws_network_interfaces.named["h0"].ids[0]
  session_number           = var.stage
  virtual_network_id       = 40 + var.stage
  packet_length            = local.is_first ? 1000 : 60
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  traffic_mirror_target_id = aws_ec2_traffic_mirror_target.monitor.id
  tags                     = { stage = var.stage }
}

# The id that an import of each resource needs.
output "ids" {
  value = {
    "aws_ec2_traffic_mirror_filter.web"       = aws_ec2_traffic_mirror_filter.web.id
    "aws_ec2_traffic_mirror_filter_rule.in"   = "${aws_ec2_traffic_mirror_filter.web.id}:${aws_ec2_traffic_mirror_filter_rule.in.id}"
    "aws_ec2_traffic_mirror_filter_rule.out"  = "${aws_ec2_traffic_mirror_filter.web.id}:${aws_ec2_traffic_mirror_filter_rule.out.id}"
    "aws_ec2_traffic_mirror_target.monitor"   = aws_ec2_traffic_mirror_target.monitor.id
    "aws_ec2_traffic_mirror_target.interface" = aws_ec2_traffic_mirror_target.interface.id
    "aws_ec2_traffic_mirror_session.h0"       = aws_ec2_traffic_mirror_session.h0.id
  }
}
