/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio console: ports, each a stream of bytes either way, that a control queue tells of. Port
 * N is what is behind medium N, if that is a console; port 0 is a terminal, the others have their
 * media's names. "VIRTIO" 1.2, Console Device.
 */
#pragma once

#include "vdev/virtio/virtio.h"

#define VIRTIO_CONSOLE_PORTS_MAX	HOST_MEDIA_MAX

enum { CONSOLE_SIZE = 0, CONSOLE_MULTIPORT = 1, CONSOLE_EMERG_WRITE = 2 };

/* What control messages tell. */
enum {
	CONSOLE_DEVICE_READY, CONSOLE_PORT_ADD, CONSOLE_PORT_REMOVE, CONSOLE_PORT_READY,
	CONSOLE_CONSOLE_PORT, CONSOLE_RESIZE, CONSOLE_PORT_OPEN, CONSOLE_PORT_NAME,
};

/* Ports 0 and on, of which some may have nothing behind them. */
int virtio_console_create(unsigned ports, struct virtio **out) must_check;
