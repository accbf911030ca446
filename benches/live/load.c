/* Makes load: UDP frames out of one device over AF_PACKET, as fast as it goes or at a rate.
 *
 *   load DEVICE SOURCE_MAC DESTINATION_MAC DESTINATION_IP SIZE FLOWS RATE SECONDS [stamp]
 *
 * SIZE is the frame without FCS, from the destination MAC on, or `mix` for 64, 570 and 1,400 bytes
 * at 7:4:1. RATE is packets a second; 0 is as fast as it goes. With `stamp`, each frame carries a
 * magic, a number and the time just before it was sent (struct stamp of stamp.h).
 * One flow of one size goes out as super-frames that the device cuts into frames (GSO): three times
 * as fast as frame by frame, and the host gets them in batches, as from a card. The device has to
 * have tx-udp-segmentation and tx off, or they arrive uncut or with unfinished checksums.
 * Prints one line of JSON: packets asked for, sent and refused, and how long it took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "stamp.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* linux/virtio_net.h has it since 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
    BATCH = 64,         /* frames per sendmmsg; more gains nothing */
    MIX_FRAMES = 3000,  /* divisible by 12, so that 7:4:1 is exact */
    SUPER_FRAME = 65000, /* IPv4 ends at 65,535 */
    MAX_FRAME = 1500,
};

struct plan {
    struct ether_header ethernet;
    struct in_addr destination;
    unsigned size; /* 0 is the mix */
    unsigned flows;
    double rate;
    double seconds;
    int stamped;
};

/* All frames there are, sent round and round from `at` on. */
struct frames {
    size_t count, at;
    struct mmsghdr *messages;
    struct iovec *pieces;
};

/* One frame with room for the payload of many, behind the header that says how to cut it. */
struct super_frame {
    struct virtio_net_hdr cut;
    unsigned char frame[SUPER_FRAME];
};

struct tally {
    unsigned long long sent, refused, nanoseconds;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory)
        die("calloc");
    return memory;
}

static unsigned long long now_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static size_t frames_needed(const struct plan *plan) {
    if (!plan->size)
        return MIX_FRAMES;
    /* one flow still gets a batch of frames of its own, as a card would give */
    return plan->flows > BATCH ? plan->flows : BATCH;
}

static unsigned size_of(const struct plan *plan, size_t index) {
    if (plan->size)
        return plan->size;
    size_t place = index % 12;
    return place < 7 ? 64 : place < 11 ? 570 : 1400;
}

/* Sizes come in no order, always the same one: runs of equal sizes would flatter batching. */
static void shuffle(unsigned *sizes, size_t count) {
    unsigned state = 2463534242u; /* xorshift, Marsaglia 2003 */
    for (size_t i = count - 1; i > 0; i--) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        size_t other = state % (i + 1);
        unsigned kept = sizes[i];
        sizes[i] = sizes[other];
        sizes[other] = kept;
    }
}

static struct frames make_frames(const struct plan *plan) {
    struct frames frames = {.count = frames_needed(plan)};
    unsigned *sizes = zeroed(frames.count, sizeof *sizes);
    frames.messages = zeroed(frames.count, sizeof *frames.messages);
    frames.pieces = zeroed(frames.count, sizeof *frames.pieces);
    for (size_t i = 0; i < frames.count; i++)
        sizes[i] = size_of(plan, i);
    shuffle(sizes, frames.count);
    for (size_t i = 0; i < frames.count; i++) {
        frames.pieces[i].iov_base = zeroed(1, sizes[i]);
        frames.pieces[i].iov_len = sizes[i];
        write_headers(frames.pieces[i].iov_base, &plan->ethernet, plan->destination, sizes[i],
                      i % plan->flows);
        frames.messages[i].msg_hdr.msg_iov = &frames.pieces[i];
        frames.messages[i].msg_hdr.msg_iovlen = 1;
    }
    free(sizes);
    return frames;
}

static int open_device(const char *device, int option) {
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP),
        .sll_ifindex = if_nametoindex(device),
    };
    int one = 1, space = 8 << 20;
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0)
        die("socket");
    /* nothing comes back to this device, so nothing has to be read */
    if (!address.sll_ifindex || bind(sock, (struct sockaddr *)&address, sizeof address))
        die(device);
    if (setsockopt(sock, SOL_PACKET, option, &one, sizeof one))
        die("SOL_PACKET");
    setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof space);
    return sock;
}

static void write_stamp(struct frames *frames, size_t at, unsigned long long number) {
    struct stamp stamp = {.magic = STAMP_MAGIC, .number = number};
    stamp.realtime_ns = now_ns(CLOCK_REALTIME);
    memcpy((char *)frames->pieces[at].iov_base + HEADERS, &stamp, sizeof stamp);
}

/* How many packets are due now; a paced load that fell behind catches up. */
static unsigned long long due(const struct plan *plan, unsigned long long elapsed_ns) {
    return plan->rate > 0 ? (unsigned long long)(elapsed_ns * 1e-9 * plan->rate) : ~0ULL;
}

/* Sends up to `most` frames one by one in a system call; how many went, or -1. */
static int send_frames(int sock, const struct plan *plan, struct frames *frames, size_t most,
                       unsigned long long number) {
    if (most > (plan->stamped ? 1 : BATCH))
        most = plan->stamped ? 1 : BATCH;
    if (most > frames->count - frames->at)
        most = frames->count - frames->at;
    if (plan->stamped)
        write_stamp(frames, frames->at, number);
    int sent = sendmmsg(sock, frames->messages + frames->at, most, 0);
    frames->at = (frames->at + (sent > 0 ? sent : 1)) % frames->count;
    return sent;
}

/* Sends up to `most` equal frames as one; how many went, or -1. */
static int send_super_frame(int sock, const struct plan *plan, struct super_frame *one, size_t most) {
    size_t payload = plan->size - HEADERS, fit = (SUPER_FRAME - HEADERS) / payload;
    size_t count = most < BATCH ? most : BATCH;
    count = count < fit ? count : fit;
    size_t length = HEADERS + count * payload;
    write_headers(one->frame, &plan->ethernet, plan->destination, length, 0);
    start_udp_checksum(one->frame);
    one->cut = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = count > 1 ? VIRTIO_NET_HDR_GSO_UDP_L4 : VIRTIO_NET_HDR_GSO_NONE,
        .gso_size = count > 1 ? payload : 0, .hdr_len = HEADERS,
        .csum_start = UDP_AT, .csum_offset = offsetof(struct udphdr, check),
    };
    ssize_t sent = send(sock, one, sizeof one->cut + length, 0);
    return sent < 0 ? -1 : (int)count;
}

/* Pacing spins: sleeping would wake up late and then send in bursts. */
static struct tally send_all(int sock, const struct plan *plan, struct frames *frames,
                             struct super_frame *super_frame) {
    struct tally tally = {0};
    unsigned long long begin = now_ns(CLOCK_MONOTONIC), length = plan->seconds * 1e9;
    while ((tally.nanoseconds = now_ns(CLOCK_MONOTONIC) - begin) < length) {
        unsigned long long tried = tally.sent + tally.refused;
        unsigned long long target = due(plan, tally.nanoseconds);
        if (target <= tried)
            continue;
        int sent = super_frame ? send_super_frame(sock, plan, super_frame, target - tried)
                               : send_frames(sock, plan, frames, target - tried, tried);
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            die("send");
        tally.sent += sent > 0 ? sent : 0;
        tally.refused += sent < 0; /* the wire took no more: this one is lost */
    }
    return tally;
}

static struct plan read_plan(int count, char **words) {
    struct plan plan = {.ethernet.ether_type = htons(ETHERTYPE_IP)};
    struct ether_addr source, destination;
    if (count < 9 || !ether_aton_r(words[2], &source) || !ether_aton_r(words[3], &destination) ||
        !inet_aton(words[4], &plan.destination)) {
        fprintf(stderr, "usage: load DEVICE SOURCE_MAC DESTINATION_MAC DESTINATION_IP "
                        "SIZE|mix FLOWS RATE SECONDS [stamp]\n");
        exit(2);
    }
    memcpy(plan.ethernet.ether_shost, &source, sizeof source);
    memcpy(plan.ethernet.ether_dhost, &destination, sizeof destination);
    plan.size = strcmp(words[5], "mix") ? strtoul(words[5], NULL, 10) : 0;
    plan.flows = strtoul(words[6], NULL, 10);
    plan.rate = strtod(words[7], NULL);
    plan.seconds = strtod(words[8], NULL);
    plan.stamped = count > 9;
    int small = plan.size < HEADERS + sizeof(struct stamp) || plan.size > MAX_FRAME;
    if ((plan.size && small) || !plan.flows || plan.flows > MIX_FRAMES || plan.seconds > 600) {
        fprintf(stderr, "load: out of range: size 64 to 1500, flows 1 to 3000, seconds to 600\n");
        exit(2);
    }
    return plan;
}

int main(int count, char **words) {
    struct plan plan = read_plan(count, words);
    struct frames frames = make_frames(&plan);
    int whole = plan.size && plan.flows == 1 && !plan.stamped;
    struct super_frame *super_frame = whole ? zeroed(1, sizeof *super_frame) : NULL;
    /* a super-frame has to pass where it is cut; single frames take the short way */
    int sock = open_device(words[1], whole ? PACKET_VNET_HDR : PACKET_QDISC_BYPASS);
    alarm(plan.seconds + 10); /* whatever happens, the load ends */
    struct tally tally = send_all(sock, &plan, &frames, super_frame);
    double asked = plan.rate > 0 ? plan.rate * plan.seconds : tally.sent + tally.refused;
    printf("{\"asked\": %.0f, \"sent\": %llu, \"refused\": %llu, \"nanoseconds\": %llu}\n", asked,
           tally.sent, tally.refused, tally.nanoseconds);
    return 0;
}
