/* What a link is measured with: a server, and clients that time themselves.
 *
 *   peer serve PORT                   a thread for each connection; the first 9 bytes say what it does: a letter and a
 *                                     64-bit count. 'd' sends so many bytes and ends; 'u' takes so many, then sends 1;
 *                                     'e' echoes
 *   peer down PORT BYTES              seconds that a download takes
 *   peer up PORT BYTES                seconds that an upload takes
 *   peer burst PORT N ROUNDS BYTES    N connections at once, each downloads; prints p50 in seconds, and how many failed
 *   peer abort PORT N ROUNDS BYTES    the same, but each is reset after the first bytes
 *   peer hold PORT N                  N connections that stay: prints how many echo; after a line on its standard
 *                                     input it prints how many still do, and ends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1 << 18)
#define ORDER 9
static char zeros[CHUNK];

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static size_t least(uint64_t a, size_t b) { return a < b ? a : b; }

static void undelayed(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int send_all(int fd, const char *from, uint64_t count)
{
    while (count) {
        ssize_t sent = send(fd, from, least(count, CHUNK), MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        count -= sent;
    }
    return 0;
}

static uint64_t take(int fd, char *into, uint64_t most)
{
    uint64_t got = 0;
    while (got < most) {
        ssize_t came = recv(fd, into, least(most - got, CHUNK), 0);
        if (came <= 0)
            break;
        got += came;
    }
    return got;
}

static void order(char *into, char verb, uint64_t count)
{
    into[0] = verb;
    memcpy(into + 1, &count, sizeof count);
}

/* -- the server ---------------------------------------------------------------------------------------------------- */

static void *serve_one(void *given)
{
    int fd = (intptr_t)given;
    char said[ORDER], *room = malloc(CHUNK);
    size_t have = 0;
    uint64_t count;
    ssize_t came;
    undelayed(fd);
    while (have < ORDER && (came = recv(fd, said + have, ORDER - have, 0)) > 0)
        have += came;
    memcpy(&count, said + 1, sizeof count);
    if (have == ORDER && said[0] == 'd')
        send_all(fd, zeros, count);
    else if (have == ORDER && said[0] == 'u' && take(fd, room, count) == count)
        send_all(fd, zeros, 1);
    else if (have == ORDER && said[0] == 'e')
        while ((came = recv(fd, room, CHUNK, 0)) > 0 && !send_all(fd, room, came))
            ;
    free(room);
    close(fd);
    return NULL;
}

static int serve(struct sockaddr_in *at)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_attr_t small;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)at, sizeof *at) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files))
        files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 16);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t made;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && pthread_create(&made, &small, serve_one, (void *)(intptr_t)fd))
            close(fd);
    }
}

/* -- the clients --------------------------------------------------------------------------------------------------- */

static int dial(struct sockaddr_in *to, int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    undelayed(fd);
    if (connect(fd, (void *)to, sizeof *to) && errno != EINPROGRESS) {
        perror("connect");
        exit(3);
    }
    return fd;
}

static int transfer(struct sockaddr_in *to, char verb, uint64_t count)
{
    char said[ORDER], *room = malloc(CHUNK);
    double began = now();
    int fd = dial(to, 0);
    uint64_t want = verb == 'd' ? count : 1;
    order(said, verb, count);
    if (send_all(fd, said, ORDER) || (verb == 'u' && send_all(fd, zeros, count)) || take(fd, room, want) != want)
        return 2;
    printf("%.6f\n", now() - began);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void reset(int fd)
{
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* One round: every connection is made at once; times of those that succeed are appended. Returns how many failed. */
static int burst(struct sockaddr_in *to, int n, uint64_t size, int aborting, double *times, long *done)
{
    int poll = epoll_create1(0), left = n, failed = 0, *fds = malloc(n * sizeof *fds);
    uint64_t *got = calloc(n, sizeof *got);
    char said[ORDER], *room = malloc(CHUNK), *told = calloc(n, 1);
    double began = now();
    order(said, 'd', size);
    for (int i = 0; i < n; i++) {
        struct epoll_event want = {.events = EPOLLOUT, .data.u32 = i};
        fds[i] = dial(to, SOCK_NONBLOCK);
        epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &want);
    }
    while (left) {
        struct epoll_event ready[256];
        int count = epoll_wait(poll, ready, 256, 10000);
        if (count <= 0)
            break;
        for (int k = 0; k < count; k++) {
            int i = ready[k].data.u32;
            ssize_t came = 1;
            if (!told[i] && ready[k].events & EPOLLOUT) {
                struct epoll_event want = {.events = EPOLLIN, .data.u32 = i};
                told[i] = send(fds[i], said, ORDER, MSG_NOSIGNAL) == ORDER;
                epoll_ctl(poll, EPOLL_CTL_MOD, fds[i], &want);
                continue;
            }
            while ((came = recv(fds[i], room, CHUNK, 0)) > 0 && !(aborting && (got[i] += came)))
                got[i] += came;
            if (came < 0 && errno == EAGAIN)
                continue;
            if (aborting)
                reset(fds[i]);
            if (got[i] >= size || (aborting && got[i]))
                times[(*done)++] = now() - began;
            else
                failed++;
            close(fds[i]);
            fds[i] = -1;
            left--;
        }
    }
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    close(poll);
    free(fds), free(got), free(room), free(told);
    return failed + left;
}

/* Send a byte on every connection and take it back; those that fail are closed. Returns how many have not. */
static int echoed(int *fds, int n)
{
    int alive = 0;
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0 && send(fds[i], "x", 1, MSG_NOSIGNAL) != 1)
            close(fds[i]), fds[i] = -1;
    for (int i = 0; i < n; i++) {
        char back;
        if (fds[i] >= 0 && recv(fds[i], &back, 1, 0) != 1)
            close(fds[i]), fds[i] = -1;
        alive += fds[i] >= 0;
    }
    return alive;
}

static int hold(struct sockaddr_in *to, int n)
{
    struct rlimit files = {n + 64, n + 64};
    struct timeval patience = {10, 0};
    char said[ORDER];
    int *fds = malloc(n * sizeof *fds);
    setrlimit(RLIMIT_NOFILE, &files);
    order(said, 'e', 0);
    for (int i = 0; i < n; i++) {
        fds[i] = dial(to, 0);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        send(fds[i], said, ORDER, MSG_NOSIGNAL);
    }
    printf("%d\n", echoed(fds, n));
    fflush(stdout);
    getchar();
    printf("%d\n", echoed(fds, n));
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc < 3)
        return 9;
    signal(SIGPIPE, SIG_IGN);
    at.sin_port = htons(atoi(argv[2]));
    if (!strcmp(argv[1], "serve"))
        return serve(&at);
    if (!strcmp(argv[1], "down") || !strcmp(argv[1], "up"))
        return transfer(&at, argv[1][0], strtoull(argv[3], NULL, 10));
    if (!strcmp(argv[1], "hold"))
        return hold(&at, atoi(argv[3]));
    int n = atoi(argv[3]), rounds = atoi(argv[4]), failed = 0;
    double *times = malloc(sizeof *times * n * rounds);
    long done = 0;
    for (int i = 0; i < rounds; i++) {
        failed += burst(&at, n, strtoull(argv[5], NULL, 10), argv[1][0] == 'a', times, &done);
        usleep(10000);
    }
    qsort(times, done, sizeof *times, by_size);
    printf("%.6f %d\n", done ? times[done / 2] : 0.0, failed);
    return 0;
}
