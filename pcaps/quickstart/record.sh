#!/usr/bin/env bash
# Records input.pcap: real programs talking to and from one host that is to be mirrored.
#
# Needs root, and: iproute2, ethtool, tcpdump, curl, openssl, python3, ping (iputils), dig (bind9).
# Takes about ten seconds. Makes two network namespaces and one pair of interfaces and takes them
# away again; nothing outside of them is touched but /etc/netns/<name>, which goes with them.
set -euo pipefail
cd "$(dirname "$0")"

readonly OUTPUT="${1:-input.pcap}"
readonly HOST="tm-quickstart-$$-host"    # the host whose interface is mirrored
readonly WORLD="tm-quickstart-$$-world"  # everybody else, the VPC router's side
readonly HOST_MAC=02:a7:3c:51:0e:2f
readonly WORLD_MAC=02:a7:3c:00:00:01
readonly LIMIT=60                        # seconds that no program of this recording outlives
SCRATCH="$(mktemp -d)"
readonly SCRATCH
STARTED=()

clean_up() {
    for pid in "${STARTED[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${STARTED[@]}"; do wait "$pid" 2>/dev/null || true; done
    for name in "$HOST" "$WORLD"; do
        ip netns delete "$name" 2>/dev/null || true
        rm -rf "/etc/netns/$name"
    done
    rm -rf "$SCRATCH"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

need() {
    if ! command -v "$1" >/dev/null; then
        echo "record.sh: $1 is missing (Debian: apt-get install $2)" >&2
        exit 2
    fi
}

# run NAMESPACE COMMAND...: to its end. start NAMESPACE COMMAND...: beside us, ended by clean_up.
run() { timeout "$LIMIT" ip netns exec "$@"; }
start() {
    timeout "$LIMIT" ip netns exec "$@" >>"$SCRATCH/log" 2>&1 &
    STARTED+=("$!")
}

# wait_for COMMAND...: until it succeeds, ten seconds at the most.
wait_for() {
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "record.sh: gave up waiting for: $*" >&2
    cat "$SCRATCH/log" >&2
    exit 1
}

listens() { ip netns exec "$1" ss -Hlntu | awk '{ print $5 }' | grep -qF "$2"; }

make_network() {
    for name in "$HOST" "$WORLD"; do
        ip netns add "$name"
        ip -n "$name" link set lo up
        ip netns exec "$name" sysctl -qw net.ipv6.conf.all.accept_ra=0 \
            net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.router_solicitations=0 \
            net.ipv6.conf.default.addr_gen_mode=1
        mkdir -p "/etc/netns/$name"
        echo "nameserver 10.0.0.2" >"/etc/netns/$name/resolv.conf"
    done
    ip -n "$HOST" link add eth0 address "$HOST_MAC" type veth \
        peer name eth0 address "$WORLD_MAC" netns "$WORLD"
    for name in "$HOST" "$WORLD"; do
        # What tcpdump sees shall be what a wire would carry: no super-frames, whole checksums.
        ip netns exec "$name" ethtool -K eth0 tx off rx off sg off tso off gso off gro off \
            >/dev/null 2>&1
        ip -n "$name" link set eth0 up
    done

    ip -n "$HOST" address add 10.0.0.5/24 dev eth0
    ip -n "$HOST" address add fd00:10::5/64 dev eth0 nodad
    ip -n "$HOST" route add default via 10.0.0.1
    ip -n "$HOST" route add default via fd00:10::1
    # The instance metadata and time service are on the link, as they are in a VPC.
    ip -n "$HOST" route add 169.254.0.0/16 dev eth0

    for address in 10.0.0.1 10.0.0.2 10.0.0.20 10.0.0.30; do # router, resolver, client, probe
        ip -n "$WORLD" address add "$address/24" dev eth0
    done
    for address in 169.254.169.254 169.254.169.123 198.51.100.53 198.51.100.80 203.0.113.123; do
        ip -n "$WORLD" address add "$address/32" dev eth0
    done
    for address in fd00:10::1 fd00:10::20; do
        ip -n "$WORLD" address add "$address/64" dev eth0 nodad
    done
    ip -n "$WORLD" address add 2001:db8:80::80/128 dev eth0 nodad
}

start_servers() {
    mkdir "$SCRATCH/site"
    echo '<h1>It is mirrored</h1>' >"$SCRATCH/site/index.html"
    for number in $(seq 400); do echo "line $number"; done >"$SCRATCH/site/lines.txt"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=shop.example -keyout "$SCRATCH/key.pem" -out "$SCRATCH/cert.pem" 2>/dev/null

    start "$HOST" python3 -m http.server 80 --bind :: --directory "$SCRATCH/site"
    start "$WORLD" python3 stand_ins.py
    for family in -4 -6; do
        start "$WORLD" openssl s_server "$family" -accept 443 -www \
            -key "$SCRATCH/key.pem" -cert "$SCRATCH/cert.pem"
    done
    wait_for listens "$HOST" ':80'
    wait_for listens "$WORLD" '0.0.0.0:443'
    wait_for listens "$WORLD" '[::]:443'
    wait_for listens "$WORLD" '169.254.169.254:80'
}

start_recording() {
    start "$HOST" tcpdump -i eth0 -Z root --immediate-mode -U -s 0 \
        --time-stamp-precision=nano -w "$SCRATCH/input.pcap"
    wait_for test -s "$SCRATCH/input.pcap"
    sleep 0.3
}

talk() {
    echo "- a client fetches two pages and a missing one from the host, over IPv4 and IPv6"
    run "$WORLD" curl -sS --interface 10.0.0.20 -o /dev/null http://10.0.0.5/
    run "$WORLD" curl -sS --interface 10.0.0.20 -o /dev/null http://10.0.0.5/lines.txt
    run "$WORLD" curl -sS --interface fd00:10::20 -o /dev/null 'http://[fd00:10::5]/lines.txt'
    run "$WORLD" curl -sS --interface fd00:10::20 -o /dev/null 'http://[fd00:10::5]/missing'
    echo "- a load balancer's probe looks whether the host is well"
    run "$WORLD" curl -sS --interface 10.0.0.30 -o /dev/null -I http://10.0.0.5/
    echo "- the host asks the VPC's resolver, and a resolver elsewhere"
    run "$HOST" getent ahostsv4 shop.example >/dev/null
    run "$HOST" dig +short +tries=1 +timeout=5 shop.example AAAA @10.0.0.2 >/dev/null
    run "$HOST" dig +short +tries=1 +timeout=5 shop.example A @198.51.100.53 >/dev/null
    echo "- the host talks TLS, over IPv4 and IPv6"
    run "$HOST" curl -sS -k -o /dev/null --resolve shop.example:443:198.51.100.80 \
        https://shop.example/
    printf 'GET / HTTP/1.0\r\n\r\n' | run "$HOST" openssl s_client -quiet -ign_eof \
        -servername shop.example -connect '[2001:db8:80::80]:443' >/dev/null 2>&1
    echo "- pings in and out"
    run "$WORLD" ping -q -n -I 10.0.0.20 -c 3 -i 0.2 10.0.0.5 >/dev/null
    run "$HOST" ping -q -n -6 -c 3 -i 0.2 fd00:10::20 >/dev/null
    echo "- what AWS never mirrors: instance metadata and the time service on the link"
    run "$HOST" curl -sS -o /dev/null http://169.254.169.254/latest/meta-data/instance-id
    run "$HOST" python3 stand_ins.py ask-time 169.254.169.123
    echo "- and a time server on the internet, which is ordinary traffic"
    run "$HOST" python3 stand_ins.py ask-time 203.0.113.123
}

stop_recording() {
    sleep 0.5
    local recorder="${STARTED[-1]}"
    kill "$recorder"
    wait "$recorder" || true
    unset 'STARTED[-1]'
    chmod 644 "$SCRATCH/input.pcap"
    cp "$SCRATCH/input.pcap" "$OUTPUT"
}

if [ "$(id -u)" -ne 0 ]; then
    echo "record.sh: must be root, to make network namespaces" >&2
    exit 2
fi
need ip iproute2
need ss iproute2
need ethtool ethtool
need tcpdump tcpdump
need curl curl
need openssl openssl
need python3 python3
need ping iputils-ping
need dig bind9-dnsutils
make_network
start_servers
start_recording
talk
stop_recording
echo "$OUTPUT: $(tcpdump -r "$OUTPUT" 2>/dev/null | wc -l) frames, $(stat -c %s "$OUTPUT") bytes"
