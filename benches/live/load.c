/* Sends UDP frames out of one device by AF_PACKET, as fast as possible or at a rate.
 *
 *   load DEVICE SOURCE_MAC DESTINATION_MAC DESTINATION_IP SIZE FLOWS RATE SECONDS [stamp]
 *
 * SIZE is the length of the frame in bytes, from the destination MAC on and without FCS, or `mix`
 * for 64, 570 and 1,400 bytes at 7:4:1. RATE is in packets per second; 0 is as fast as possible. With
 * `stamp`, each frame contains a magic number, its own number and the time just before it was sent
 * (struct stamp of stamp.h).
 * One flow of one size is sent as super-frames that the device cuts into frames (GSO). This is three
 * times as fast as frame by frame, and the host receives batches of frames, as from a network card.
 * The device must have tx-udp-segmentation and tx off: otherwise super-frames arrive uncut, or with
 * incomplete checksums.
 * Prints one line of JSON: the packets asked for, sent and refused, and the duration.
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
    BATCH = 64,                  /* frames per sendmmsg or super-frame; more are not faster */
    MIX_FRAMES = 3000,           /* divisible by 12, so that 7:4:1 is exact */
    MAX_SUPER_FRAME_LEN = 65000, /* an IPv4 packet has at most 65,535 bytes */
    MIN_FRAME_LEN = HEADERS_LEN + sizeof(struct stamp),
    MAX_FRAME_LEN = 1500,
    MAX_SECONDS = 600,
};

struct plan {
    struct ether_header ethernet;
    struct in_addr destination;
    unsigned frame_len; /* in bytes; 0 is the mix */
    unsigned flows;
    double rate;        /* packets per second; 0 is as fast as possible */
    double seconds;
    int is_stamped;
};

/* The frames, which are sent in turn, again and again. `next` is the index of the next one. */
struct frames {
    size_t count, next;
    struct mmsghdr *messages;
    struct iovec *buffers;
};

/* One set of headers and the payload of many frames, behind the header that says how to cut it. */
struct super_frame {
    struct virtio_net_hdr offload;
    unsigned char frame[MAX_SUPER_FRAME_LEN];
};

struct tally {
    unsigned long long sent, refused, elapsed_ns;
};

static void die(const char *operation) {
    perror(operation);
    exit(1);
}

static void *allocate_zeroed(size_t count, size_t size) {
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
    if (!plan->frame_len)
        return MIX_FRAMES;
    /* at least one batch, each frame in a buffer of its own, as from a network card */
    return plan->flows > BATCH ? plan->flows : BATCH;
}

static unsigned frame_len_of(const struct plan *plan, size_t index) {
    if (plan->frame_len)
        return plan->frame_len;
    size_t position = index % 12;
    return position < 7 ? 64 : position < 11 ? 570 : 1400;
}

/* Mixes the sizes, because runs of equal sizes would make batching look better than it is. The order
 * is always the same. */
static void shuffle(unsigned *sizes, size_t count) {
    unsigned state = 2463534242u; /* xorshift (Marsaglia, "Xorshift RNGs", 2003) */
    for (size_t i = count - 1; i > 0; i--) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        size_t other = state % (i + 1);
        unsigned size = sizes[i];
        sizes[i] = sizes[other];
        sizes[other] = size;
    }
}

static struct frames make_frames(const struct plan *plan) {
    struct frames frames = {.count = frames_needed(plan)};
    unsigned *sizes = allocate_zeroed(frames.count, sizeof *sizes);
    frames.messages = allocate_zeroed(frames.count, sizeof *frames.messages);
    frames.buffers = allocate_zeroed(frames.count, sizeof *frames.buffers);
    for (size_t i = 0; i < frames.count; i++)
        sizes[i] = frame_len_of(plan, i);
    shuffle(sizes, frames.count);
    for (size_t i = 0; i < frames.count; i++) {
        frames.buffers[i].iov_base = allocate_zeroed(1, sizes[i]);
        frames.buffers[i].iov_len = sizes[i];
        write_headers(frames.buffers[i].iov_base, &plan->ethernet, plan->destination, sizes[i],
                      i % plan->flows);
        frames.messages[i].msg_hdr.msg_iov = &frames.buffers[i];
        frames.messages[i].msg_hdr.msg_iovlen = 1;
    }
    free(sizes);
    return frames;
}

/* A packet socket that sends through the device, with one option of SOL_PACKET enabled. */
static int open_device(const char *device, int option) {
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP),
        .sll_ifindex = if_nametoindex(device),
    };
    int enabled = 1, buffer_size = 8 << 20;
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0)
        die("socket");
    /* no IPv4 frame arrives at this device, so nothing has to be read */
    if (!address.sll_ifindex || bind(sock, (struct sockaddr *)&address, sizeof address))
        die(device);
    if (setsockopt(sock, SOL_PACKET, option, &enabled, sizeof enabled))
        die("SOL_PACKET");
    setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_size, sizeof buffer_size);
    return sock;
}

static void write_stamp(unsigned char *frame, unsigned long long number) {
    struct stamp stamp = {.magic = STAMP_MAGIC, .number = number};
    stamp.realtime_ns = now_ns(CLOCK_REALTIME);
    memcpy(frame + HEADERS_LEN, &stamp, sizeof stamp);
}

/* The number of packets to have sent by now. A load that is late sends the missing ones at once. */
static unsigned long long packets_due(const struct plan *plan, unsigned long long elapsed_ns) {
    return plan->rate > 0 ? (unsigned long long)(elapsed_ns * 1e-9 * plan->rate) : ~0ULL;
}

/* Sends up to `limit` frames with one system call. Returns how many were sent, or -1. */
static int send_frames(int sock, const struct plan *plan, struct frames *frames, size_t limit,
                       unsigned long long number) {
    size_t batch = plan->is_stamped ? 1 : BATCH, left = frames->count - frames->next;
    size_t count = limit < batch ? limit : batch;
    count = count < left ? count : left;
    if (plan->is_stamped)
        write_stamp(frames->buffers[frames->next].iov_base, number);
    int sent = sendmmsg(sock, frames->messages + frames->next, count, 0);
    frames->next = (frames->next + (sent > 0 ? sent : 1)) % frames->count;
    return sent;
}

/* Sends up to `limit` equal frames as one super-frame. Returns how many were sent, or -1. */
static int send_super_frame(int sock, const struct plan *plan, struct super_frame *super_frame,
                            size_t limit) {
    size_t payload_len = plan->frame_len - HEADERS_LEN;
    size_t fitting = (MAX_SUPER_FRAME_LEN - HEADERS_LEN) / payload_len;
    size_t count = limit < BATCH ? limit : BATCH;
    count = count < fitting ? count : fitting;
    size_t length = HEADERS_LEN + count * payload_len;
    write_headers(super_frame->frame, &plan->ethernet, plan->destination, length, 0);
    start_udp_checksum(super_frame->frame);
    super_frame->offload = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = count > 1 ? VIRTIO_NET_HDR_GSO_UDP_L4 : VIRTIO_NET_HDR_GSO_NONE,
        .gso_size = count > 1 ? payload_len : 0, .hdr_len = HEADERS_LEN,
        .csum_start = UDP_OFFSET, .csum_offset = offsetof(struct udphdr, check),
    };
    ssize_t sent = send(sock, super_frame, sizeof super_frame->offload + length, 0);
    return sent < 0 ? -1 : (int)count;
}

/* Sends until the time is over. It does not sleep between packets: it would wake up too late, and
 * then send in bursts. */
static struct tally send_all(int sock, const struct plan *plan, struct frames *frames,
                             struct super_frame *super_frame) {
    struct tally tally = {0};
    unsigned long long begin = now_ns(CLOCK_MONOTONIC), duration_ns = plan->seconds * 1e9;
    while ((tally.elapsed_ns = now_ns(CLOCK_MONOTONIC) - begin) < duration_ns) {
        unsigned long long tried = tally.sent + tally.refused;
        unsigned long long due = packets_due(plan, tally.elapsed_ns);
        if (due <= tried)
            continue;
        int sent = super_frame ? send_super_frame(sock, plan, super_frame, due - tried)
                               : send_frames(sock, plan, frames, due - tried, tried);
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            die("send");
        tally.sent += sent > 0 ? sent : 0;
        tally.refused += sent < 0; /* one packet is lost; the others of the batch are tried again */
    }
    return tally;
}

static struct plan read_plan(int argc, char **argv) {
    struct plan plan = {.ethernet.ether_type = htons(ETHERTYPE_IP)};
    struct ether_addr source, destination;
    if (argc < 9 || !ether_aton_r(argv[2], &source) || !ether_aton_r(argv[3], &destination) ||
        !inet_aton(argv[4], &plan.destination)) {
        fprintf(stderr, "usage: load DEVICE SOURCE_MAC DESTINATION_MAC DESTINATION_IP "
                        "SIZE|mix FLOWS RATE SECONDS [stamp]\n");
        exit(2);
    }
    memcpy(plan.ethernet.ether_shost, &source, sizeof source);
    memcpy(plan.ethernet.ether_dhost, &destination, sizeof destination);
    int is_mix = !strcmp(argv[5], "mix");
    plan.frame_len = is_mix ? 0 : strtoul(argv[5], NULL, 10);
    plan.flows = strtoul(argv[6], NULL, 10);
    plan.rate = strtod(argv[7], NULL);
    plan.seconds = strtod(argv[8], NULL);
    plan.is_stamped = argc > 9;
    int is_size = plan.frame_len >= MIN_FRAME_LEN && plan.frame_len <= MAX_FRAME_LEN;
    if (!(is_mix || is_size) || !plan.flows || plan.flows > MIX_FRAMES ||
        plan.seconds > MAX_SECONDS) {
        fprintf(stderr, "load: SIZE %s, FLOWS %s, SECONDS %s: expected a size from %d to %d or mix, "
                        "1 to %d flows, at most %d seconds\n",
                argv[5], argv[6], argv[8], (int)MIN_FRAME_LEN, MAX_FRAME_LEN, MIX_FRAMES, MAX_SECONDS);
        exit(2);
    }
    return plan;
}

int main(int argc, char **argv) {
    struct plan plan = read_plan(argc, argv);
    struct frames frames = make_frames(&plan);
    int use_super_frames = plan.frame_len && plan.flows == 1 && !plan.is_stamped;
    struct super_frame *super_frame =
        use_super_frames ? allocate_zeroed(1, sizeof *super_frame) : NULL;
    /* a super-frame must pass the code that cuts it; single frames can bypass the queue */
    int sock = open_device(argv[1], use_super_frames ? PACKET_VNET_HDR : PACKET_QDISC_BYPASS);
    alarm(plan.seconds + 10); /* ends the load if it hangs */
    struct tally tally = send_all(sock, &plan, &frames, super_frame);
    double asked = plan.rate > 0 ? plan.rate * plan.seconds : tally.sent + tally.refused;
    printf("{\"asked\": %.0f, \"sent\": %llu, \"refused\": %llu, \"nanoseconds\": %llu}\n", asked,
           tally.sent, tally.refused, tally.elapsed_ns);
    return 0;
}
