/* delay LEFT RIGHT MICROSECONDS [DEVICE]: joins two network namespaces by a line of that delay each way.
 *
 * Each namespace gets a TUN device, `line0` where nothing else is said; LEFT may be `-`, the namespace we are in. Whole
 * packets are copied from one to the other when they are due. SIGUSR1 drops everything both ways from then on, without
 * a word; SIGUSR2 lets it pass again. Prints "up" when both are there, and reads lines `MICROSECONDS PERCENT`: the delay
 * each way and the packets lost from then on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 32768
#define LONGEST 70000
#define IDLE_US 1000000
#define SEED 7

struct packet {
    int size;
    char *bytes;
    long long due;
};
struct queue {
    struct packet slots[SLOTS];
    unsigned head, tail;
};
static struct queue queues[2];
static volatile sig_atomic_t dropping;
static long long delay;
static double loss;

static void drop(int number) { dropping = number == SIGUSR1; }

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000LL + at.tv_nsec / 1000;
}

static void enter(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "/var/run/netns/%s", name);
    int space = open(path, O_RDONLY);
    if (space < 0 || setns(space, CLONE_NEWNET)) {
        perror(path);
        exit(1);
    }
    close(space);
}

static int device(const char *space, const char *name)
{
    struct ifreq wanted = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(wanted.ifr_name, name, IFNAMSIZ - 1);
    if (strcmp(space, "-"))
        enter(space);
    int made = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (made < 0 || ioctl(made, TUNSETIFF, &wanted)) {
        perror("/dev/net/tun");
        exit(1);
    }
    return made;
}

static int lost(void) { return dropping || rand() < loss / 100 * RAND_MAX; }

static void take(struct queue *into, int from)
{
    static char room[LONGEST];
    for (int i = 0; i < 64; i++) {
        int size = read(from, room, sizeof room);
        if (size <= 0)
            return;
        if (lost() || into->tail - into->head == SLOTS)
            continue;
        struct packet *kept = &into->slots[into->tail++ % SLOTS];
        *kept = (struct packet){size, malloc(size), now() + delay};
        memcpy(kept->bytes, room, size);
    }
}

static void pass(struct queue *from, int into)
{
    while (from->head != from->tail && from->slots[from->head % SLOTS].due <= now()) {
        struct packet *next = &from->slots[from->head++ % SLOTS];
        if (!dropping && write(into, next->bytes, next->size) < 0)
            perror("write");
        free(next->bytes);
    }
}

static long long wait_for(struct queue *of)
{
    if (of->head == of->tail)
        return IDLE_US;
    long long left = of->slots[of->head % SLOTS].due - now();
    return left < 0 ? 0 : left;
}

static int told(void)
{
    char line[100];
    int size = read(0, line, sizeof line - 1);
    if (size <= 0)
        return 0;
    line[size] = 0;
    sscanf(line, "%lld %lf", &delay, &loss);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        return 9;
    const char *name = argc == 5 ? argv[4] : "line0";
    int ends[2] = {device(argv[1], name), device(argv[2], name)};
    delay = atoll(argv[3]);
    srand(SEED);
    signal(SIGUSR1, drop);
    signal(SIGUSR2, drop);
    prctl(PR_SET_TIMERSLACK, 1);
    puts("up");
    fflush(stdout);
    for (int listening = 1;;) {
        struct pollfd ready[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}, {listening ? 0 : -1, POLLIN, 0}};
        long long one = wait_for(&queues[0]), other = wait_for(&queues[1]), wait = one < other ? one : other;
        struct timespec until = {wait / 1000000, wait % 1000000 * 1000};
        if (ppoll(ready, 3, &until, NULL) < 0)
            continue;
        if (ready[2].revents)
            listening = told();
        for (int i = 0; i < 2; i++) {
            if (ready[i].revents & POLLIN)
                take(&queues[i], ends[i]);
            pass(&queues[i], ends[1 - i]);
        }
    }
}
