# A VPC with two instances and a network load balancer, and the traffic mirroring between them. `tests/stacks`
# applies both stages; the second one changes a rule, a session number and tags.

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
  tags     = { stack = "mirroring", stage = tostring(var.stage) }
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
  tags       = local.tags
}

resource "aws_subnet" "main" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.0.0/24"
}

resource "aws_security_group" "collector" {
  name        = "collector"
  description = "VXLAN to the collector"
  vpc_id      = aws_vpc.main.id
  tags        = local.tags

  ingress {
    from_port   = 4789
    to_port     = 4789
    protocol    = "udp"
    cidr_blocks = ["10.0.0.0/16"]
  }
}

resource "aws_instance" "web" {
  ami           = "ami-12c6146b"
  instance_type = "t3.micro"
  subnet_id     = aws_subnet.main.id
  private_ip    = "10.0.0.5"
  tags          = { Name = "web" }
}

resource "aws_instance" "collector" {
  ami                    = "ami-12c6146b"
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.main.id
  private_ip             = "10.0.0.77"
  vpc_security_group_ids = [aws_security_group.collector.id]
  tags                   = { Name = "collector" }

  # moto 5 shows the groups of an instance only at its network interface if the interface was described
  # in the request, as the provider does.
  lifecycle {
    ignore_changes = [vpc_security_group_ids]
  }
}

resource "aws_lb" "collector" {
  name               = "collector"
  internal           = true
  load_balancer_type = "network"
  subnets            = [aws_subnet.main.id]
}

resource "aws_lb_target_group" "collector" {
  name     = "collector"
  port     = 4789
  protocol = "UDP"
  vpc_id   = aws_vpc.main.id

  health_check {
    port     = 22
    protocol = "TCP"
  }
}

resource "aws_lb_target_group_attachment" "collector" {
  target_group_arn = aws_lb_target_group.collector.arn
  target_id        = aws_instance.collector.id
  port             = 4789
}

resource "aws_lb_listener" "vxlan" {
  load_balancer_arn = aws_lb.collector.arn
  port              = 4789
  protocol          = "UDP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.collector.arn
  }
}

resource "aws_ec2_traffic_mirror_target" "collector" {
  description               = "collector"
  network_load_balancer_arn = aws_lb.collector.arn
  tags                      = local.tags
}

resource "aws_ec2_traffic_mirror_filter" "web" {
  description      = "TCP and DNS"
  network_services = ["amazon-dns"]
  tags             = local.tags
}

resource "aws_ec2_traffic_mirror_filter_rule" "in" {
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  rule_number              = 100
  rule_action              = "accept"
  traffic_direction        = "ingress"
  protocol                 = local.is_first ? 6 : 17
  source_cidr_block        = "0.0.0.0/0"
  destination_cidr_block   = "10.0.0.5/32"
}

resource "aws_ec2_traffic_mirror_filter_rule" "out" {
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  rule_number              = 100
  rule_action              = "accept"
  traffic_direction        = "egress"
  source_cidr_block        = "10.0.0.5/32"
  destination_cidr_block   = "0.0.0.0/0"
}

resource "aws_ec2_traffic_mirror_session" "web" {
  description              = "web"
  network_interface_id     = aws_instance.web.primary_network_interface_id
  session_number           = var.stage
  virtual_network_id       = 4000
  traffic_mirror_filter_id = aws_ec2_traffic_mirror_filter.web.id
  traffic_mirror_target_id = aws_ec2_traffic_mirror_target.collector.id
  tags                     = local.tags
}

# What the test plays through and reads.
output "interface" {
  value = aws_instance.web.primary_network_interface_id
}

output "target" {
  value = aws_ec2_traffic_mirror_target.collector.id
}
