/* Measures latency: the time from the stamp in a frame until the kernel received it on a device.
 *
 *   probe DEVICE OFFSET SECONDS
 *
 * OFFSET is the number of bytes in front of the stamped frame: 0 for the frame itself, 50 for a copy
 * in VXLAN over IPv4. Prints `ready` when it listens, and one line of JSON after SECONDS or at
 * SIGTERM.
 *
 * The kernel records the time of arrival (SO_TIMESTAMPNS). So the result does not depend on when
 * this program wakes up and reads, and it can sleep and leave the processor to the mirror.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stamp.h"

enum {
    BATCH = 256,                  /* frames per recvmmsg */
    MAX_LATENCIES = 1 << 20,      /* 104 seconds at 10,000 packets per second; later ones are ignored */
    STAMP_OFFSET = 14 + 20 + 8,   /* behind the headers of Ethernet, IPv4 and UDP */
    SNAP_LEN = 256,               /* bytes of a frame that are read */
    MAX_OFFSET = SNAP_LEN - STAMP_OFFSET - (int)sizeof(struct stamp),
    MAX_SECONDS = 600,
    POLL_INTERVAL_US = 2000,
};

struct inbox {
    struct mmsghdr messages[BATCH];
    struct iovec buffers[BATCH];
    unsigned char frames[BATCH][SNAP_LEN];
    char control[BATCH][64];
};

struct latencies {
    long long *values_ns;
    size_t count;
};

static volatile sig_atomic_t is_stopped;

static void stop(int signal) {
    (void)signal;
    is_stopped = 1;
}

static void die(const char *operation) {
    perror(operation);
    exit(1);
}

static int open_device(const char *device) {
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
        .sll_ifindex = if_nametoindex(device),
    };
    int enabled = 1, buffer_size = 64 << 20;
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0)
        die("socket");
    if (setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPNS, &enabled, sizeof enabled))
        die("SO_TIMESTAMPNS");
    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_size, sizeof buffer_size);
    if (!address.sll_ifindex || bind(sock, (struct sockaddr *)&address, sizeof address))
        die(device);
    return sock;
}

static void prepare(struct inbox *inbox) {
    for (int i = 0; i < BATCH; i++) {
        inbox->buffers[i] = (struct iovec){inbox->frames[i], SNAP_LEN};
        inbox->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &inbox->buffers[i], .msg_iovlen = 1,
            .msg_control = inbox->control[i], .msg_controllen = sizeof inbox->control[i],
        };
    }
}

/* The time at which the kernel received the frame; 0 if the message does not contain it. */
static long long arrival_ns(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof time);
            return time.tv_sec * 1000000000LL + time.tv_nsec;
        }
    }
    return 0;
}

/* Adds the latency of a message, unless it is not a stamped frame. */
static void record_latency(struct latencies *latencies, struct mmsghdr *message, unsigned offset) {
    struct stamp stamp;
    const unsigned char *frame = message->msg_hdr.msg_iov->iov_base;
    long long arrived_ns = arrival_ns(&message->msg_hdr);
    if (message->msg_len < offset + STAMP_OFFSET + sizeof stamp || !arrived_ns ||
        latencies->count == MAX_LATENCIES)
        return;
    memcpy(&stamp, frame + offset + STAMP_OFFSET, sizeof stamp);
    if (stamp.magic == STAMP_MAGIC)
        latencies->values_ns[latencies->count++] = arrived_ns - (long long)stamp.realtime_ns;
}

static void drain(int sock, struct inbox *inbox, struct latencies *latencies, unsigned offset) {
    int count;
    do {
        prepare(inbox); /* recvmmsg has replaced the lengths of the control buffers */
        count = recvmmsg(sock, inbox->messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            record_latency(latencies, &inbox->messages[i], offset);
    } while (count > 0);
}

static int compare_latencies(const void *left, const void *right) {
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

/* `fraction` is from 0, the minimum, to 1, the maximum. -1 if there are no latencies. */
static long long percentile(const struct latencies *sorted, double fraction) {
    return sorted->count ? sorted->values_ns[(size_t)((sorted->count - 1) * fraction)] : -1;
}

static time_t now_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void listen_on(int sock, struct latencies *latencies, unsigned offset, unsigned seconds) {
    static struct inbox inbox;
    time_t end = now_seconds() + seconds;
    while (!is_stopped && now_seconds() < end) {
        usleep(POLL_INTERVAL_US);
        drain(sock, &inbox, latencies, offset);
    }
    drain(sock, &inbox, latencies, offset);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: probe DEVICE OFFSET SECONDS\n");
        return 2;
    }
    unsigned offset = strtoul(argv[2], NULL, 10), seconds = strtoul(argv[3], NULL, 10);
    if (offset > MAX_OFFSET || seconds > MAX_SECONDS) {
        fprintf(stderr, "probe: OFFSET %s, SECONDS %s: expected at most %d bytes and %d seconds\n",
                argv[2], argv[3], MAX_OFFSET, MAX_SECONDS);
        return 2;
    }
    struct latencies latencies = {.values_ns = calloc(MAX_LATENCIES, sizeof(long long))};
    if (!latencies.values_ns)
        die("calloc");
    signal(SIGTERM, stop);
    int sock = open_device(argv[1]);
    printf("ready\n");
    fflush(stdout);
    listen_on(sock, &latencies, offset, seconds);
    qsort(latencies.values_ns, latencies.count, sizeof *latencies.values_ns, compare_latencies);
    printf("{\"seen\": %zu, \"min_ns\": %lld, \"p50_ns\": %lld, \"p99_ns\": %lld, \"max_ns\": %lld}\n",
           latencies.count, percentile(&latencies, 0), percentile(&latencies, 0.5),
           percentile(&latencies, 0.99), percentile(&latencies, 1));
    return 0;
}
