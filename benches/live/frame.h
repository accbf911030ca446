/* Writes the headers of a frame that load.c sends: Ethernet, IPv4, UDP. */
#ifndef FRAME_H
#define FRAME_H

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

enum { IP_OFFSET = 14, UDP_OFFSET = IP_OFFSET + 20, HEADERS_LEN = UDP_OFFSET + 8 };

/* The Internet checksum (RFC 1071) before its complement: the words of `bytes` added to `sum`, with
 * carries. `length` is even. */
static uint16_t sum_words(const void *bytes, size_t length, uint32_t sum) {
    for (size_t offset = 0; offset < length; offset += 2) {
        uint16_t word;
        memcpy(&word, (const char *)bytes + offset, 2);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Writes the headers of a frame of `frame_len` bytes. Flows differ in source address and source
 * port. Source addresses are in 198.18.0.0/15, which is for benchmarks (RFC 2544). A UDP checksum of
 * 0 means that there is none (RFC 768). */
static void write_headers(unsigned char *frame, const struct ether_header *ethernet,
                          struct in_addr destination, unsigned frame_len, unsigned flow) {
    struct iphdr ip = {
        .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
        .tot_len = htons(frame_len - IP_OFFSET),
        .saddr = htonl(0xc6120001 + flow), .daddr = destination.s_addr,
    };
    struct udphdr udp = {
        .source = htons(10000 + flow), .dest = htons(9), .len = htons(frame_len - UDP_OFFSET),
    };
    ip.check = (uint16_t)~sum_words(&ip, sizeof ip, 0);
    memcpy(frame, ethernet, sizeof *ethernet);
    memcpy(frame + IP_OFFSET, &ip, sizeof ip);
    memcpy(frame + UDP_OFFSET, &udp, sizeof udp);
}

/* Writes the sum of the pseudo header into the UDP checksum. The kernel adds the rest when it
 * completes the checksum (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
static void start_udp_checksum(unsigned char *frame) {
    uint16_t udp_len, sum;
    memcpy(&udp_len, frame + UDP_OFFSET + 4, 2);
    sum = sum_words(frame + IP_OFFSET + 12, 8, htons(IPPROTO_UDP) + udp_len);
    memcpy(frame + UDP_OFFSET + 6, &sum, 2);
}

#endif
