/* Measures latency: stamped frames that arrive at a device, by the kernel's time of arrival.
 *
 *   probe DEVICE OFFSET SECONDS
 *
 * OFFSET is the number of bytes in front of the stamped frame: 0 for the frame itself, 50 for a copy
 * in VXLAN over IPv4. Prints `ready`, and one line of JSON after SECONDS or at SIGTERM.
 *
 * The time of arrival is the kernel's (SO_TIMESTAMPNS), so that neither the time it takes to wake
 * this program nor how often it looks is part of the result: it sleeps, and takes little of the
 * processor that the mirror needs.
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
    BATCH = 256,
    MOST = 1 << 20, /* latencies kept: a hundred seconds at 10 kpps */
    STAMP_AT = 14 + 20 + 8,
    ROOM = 256,     /* bytes of a frame that are looked at */
    NAP_US = 2000,
};

struct inbox {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    unsigned char frames[BATCH][ROOM];
    char control[BATCH][64];
};

struct latencies {
    long long *values;
    size_t count;
};

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_device(const char *device) {
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
        .sll_ifindex = if_nametoindex(device),
    };
    int one = 1, room = 64 << 20;
    int sock = socket(AF_PACKET, SOCK_RAW, 0);
    if (sock < 0)
        die("socket");
    if (setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one))
        die("SO_TIMESTAMPNS");
    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (!address.sll_ifindex || bind(sock, (struct sockaddr *)&address, sizeof address))
        die(device);
    return sock;
}

static void prepare(struct inbox *inbox) {
    for (int i = 0; i < BATCH; i++) {
        inbox->pieces[i] = (struct iovec){inbox->frames[i], ROOM};
        inbox->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &inbox->pieces[i], .msg_iovlen = 1,
            .msg_control = inbox->control[i], .msg_controllen = sizeof inbox->control[i],
        };
    }
}

/* When the kernel took the frame in; 0 if it does not say. */
static long long arrival_ns(struct msghdr *header) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof time);
            return time.tv_sec * 1000000000LL + time.tv_nsec;
        }
    }
    return 0;
}

static void note(struct latencies *found, struct mmsghdr *message, unsigned offset) {
    struct stamp stamp;
    const unsigned char *frame = message->msg_hdr.msg_iov->iov_base;
    long long arrived = arrival_ns(&message->msg_hdr);
    if (message->msg_len < offset + STAMP_AT + sizeof stamp || !arrived || found->count == MOST)
        return;
    memcpy(&stamp, frame + offset + STAMP_AT, sizeof stamp);
    if (stamp.magic == STAMP_MAGIC)
        found->values[found->count++] = arrived - (long long)stamp.realtime_ns;
}

static void drain(int sock, struct inbox *inbox, struct latencies *found, unsigned offset) {
    int count;
    do {
        prepare(inbox); /* the kernel has shortened the lengths */
        count = recvmmsg(sock, inbox->messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++)
            note(found, &inbox->messages[i], offset);
    } while (count > 0);
}

static int ascending(const void *left, const void *right) {
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

static long long percentile(const struct latencies *found, double share) {
    return found->count ? found->values[(size_t)((found->count - 1) * share)] : -1;
}

static time_t now_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void listen_on(int sock, struct latencies *found, unsigned offset, unsigned seconds) {
    static struct inbox inbox;
    time_t end = now_seconds() + seconds;
    while (!stopped && now_seconds() < end) {
        usleep(NAP_US);
        drain(sock, &inbox, found, offset);
    }
    drain(sock, &inbox, found, offset);
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: probe DEVICE OFFSET SECONDS\n");
        return 2;
    }
    unsigned offset = strtoul(words[2], NULL, 10), seconds = strtoul(words[3], NULL, 10);
    struct latencies found = {.values = calloc(MOST, sizeof(long long))};
    if (!found.values || offset > ROOM || seconds > 600)
        die("probe");
    signal(SIGTERM, stop);
    int sock = open_device(words[1]);
    printf("ready\n");
    fflush(stdout);
    listen_on(sock, &found, offset, seconds);
    qsort(found.values, found.count, sizeof *found.values, ascending);
    printf("{\"seen\": %zu, \"min_ns\": %lld, \"p50_ns\": %lld, \"p99_ns\": %lld, \"max_ns\": %lld}\n",
           found.count, percentile(&found, 0), percentile(&found, 0.5), percentile(&found, 0.99),
           percentile(&found, 1));
    return 0;
}
