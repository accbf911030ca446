#!/bin/sh
# The main path with the AWS CLI and curl, as a user of `traffic-mirror lab` types it: create, describe, play a
# capture, fetch the copies, delete. EC2_ENDPOINT is the URL of a running `lab` with the network interface
# eni-0a1b2c3d4e5f60718, CAPTURE a capture of its traffic, COPIES the file to write.
set -eu

# Without the profile and the keys of the user who runs the test.
unset AWS_PROFILE AWS_SESSION_TOKEN
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PAGER=
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-west-1
export AWS_ENDPOINT_URL="$EC2_ENDPOINT" AWS_DEFAULT_OUTPUT=text
LAB="$EC2_ENDPOINT/_traffic-mirror/v1"

# expect WHAT FOUND WANTED: ends the script if they differ.
expect() {
    [ "$2" = "$3" ] || { echo "$1: expected \`$3\`, found \`$2\`" >&2; exit 1; }
}

eni="$(aws ec2 describe-instances --filters Name=private-ip-address,Values=10.0.0.5 \
    --query 'Reservations[].Instances[].NetworkInterfaces[].NetworkInterfaceId')"
expect "the interface of the instance" "$eni" eni-0a1b2c3d4e5f60718

target="$(aws ec2 create-traffic-mirror-target --description collector \
    --network-load-balancer-arn arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/ids/0123456789abcdef \
    --tag-specifications 'ResourceType=traffic-mirror-target,Tags=[{Key=mirror:address,Value=192.0.2.10}]' \
    --query TrafficMirrorTarget.TrafficMirrorTargetId)"
filter="$(aws ec2 create-traffic-mirror-filter --description web \
    --query TrafficMirrorFilter.TrafficMirrorFilterId)"
aws ec2 modify-traffic-mirror-filter-network-services --traffic-mirror-filter-id "$filter" \
    --add-network-services amazon-dns >/dev/null
for direction in ingress egress; do
    aws ec2 create-traffic-mirror-filter-rule --traffic-mirror-filter-id "$filter" \
        --traffic-direction "$direction" --rule-number 100 --rule-action accept \
        --source-cidr-block 0.0.0.0/0 --destination-cidr-block 0.0.0.0/0 --protocol 6 >/dev/null
done
session="$(aws ec2 create-traffic-mirror-session --network-interface-id "$eni" --session-number 1 \
    --traffic-mirror-target-id "$target" --traffic-mirror-filter-id "$filter" --virtual-network-id 7 \
    --query TrafficMirrorSession.TrafficMirrorSessionId)"

described="$(aws ec2 describe-traffic-mirror-sessions \
    --filters "Name=network-interface-id,Values=$eni" \
    --query 'TrafficMirrorSessions[].[TrafficMirrorSessionId,SessionNumber,VirtualNetworkId]')"
expect "the sessions of the interface" "$described" "$(printf '%s\t1\t7' "$session")"
rules="$(aws ec2 describe-traffic-mirror-filters --traffic-mirror-filter-ids "$filter" \
    --query 'TrafficMirrorFilters[0].[IngressFilterRules[0].RuleNumber,EgressFilterRules[0].Protocol]')"
expect "the rules of the filter" "$rules" "$(printf '100\t6')"

report="$(curl --silent --fail --data-binary "@$CAPTURE" "$LAB/network-interfaces/$eni/frames")"
case "$report" in
*'"received":165'*) ;;
*) expect "the report" "$report" '"received":165' ;;
esac
curl --silent --fail --output "$COPIES" "$LAB/targets/$target/copies"

aws ec2 delete-traffic-mirror-session --traffic-mirror-session-id "$session" >/dev/null
aws ec2 delete-traffic-mirror-filter --traffic-mirror-filter-id "$filter" >/dev/null
aws ec2 delete-traffic-mirror-target --traffic-mirror-target-id "$target" >/dev/null
left="$(aws ec2 describe-traffic-mirror-targets --query 'length(TrafficMirrorTargets)')"
expect "the number of targets" "$left" 0
