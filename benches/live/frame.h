/* Writes the headers of a frame of load: Ethernet, IPv4, UDP. */
#ifndef FRAME_H
#define FRAME_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

enum { IP_AT = 14, UDP_AT = IP_AT + 20, HEADERS = UDP_AT + 8 };

/* The sum of RFC 1071, folded, not yet complemented. `length` is even. */
static uint16_t sum_words(const void *bytes, size_t length, uint32_t sum) {
    for (size_t at = 0; at < length; at += 2) {
        uint16_t word;
        memcpy(&word, (const char *)bytes + at, 2);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Flows differ in address and source port. 198.18.0.0/15 is for benchmarks (RFC 2544). A checksum
 * of 0 is "none" (RFC 768). */
static void write_headers(unsigned char *frame, const struct ether_header *ethernet,
                          struct in_addr destination, unsigned size, unsigned flow) {
    struct iphdr ip = {
        .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
        .tot_len = htons(size - IP_AT),
        .saddr = htonl(0xc6120001 + flow), .daddr = destination.s_addr,
    };
    struct udphdr udp = {
        .source = htons(10000 + flow), .dest = htons(9), .len = htons(size - UDP_AT),
    };
    ip.check = (uint16_t)~sum_words(&ip, sizeof ip, 0);
    memcpy(frame, ethernet, sizeof *ethernet);
    memcpy(frame + IP_AT, &ip, sizeof ip);
    memcpy(frame + UDP_AT, &udp, sizeof udp);
}

/* Leaves the sum of the pseudo header in the checksum's place: who finishes it starts from there. */
static void start_udp_checksum(unsigned char *frame) {
    uint16_t udp_len, sum;
    memcpy(&udp_len, frame + UDP_AT + 4, 2);
    sum = sum_words(frame + IP_AT + 12, 8, htons(IPPROTO_UDP) + udp_len);
    memcpy(frame + UDP_AT + 6, &sum, 2);
}

#endif
