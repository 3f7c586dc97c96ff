/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keel.conf: an INI file that defines the host's name and the virtual machines. The parser takes
 * any bytes; it touches nothing but its result, and asks through callbacks what modules there are.
 * Every error names the line, what is wrong and what is allowed. A VM with an error is not defined;
 * the others are. What was read can be written again, as text that is read as the same. Thread
 * context (it allocates); no locks.
 */
#pragma once

#include "include/compiler.h"
#include "kernel/cpu_set.h"
#include "vmm/cpu_model.h"
#include "vmm/cpu_topology.h"

#define CONFIG_VM_MAX		2048
#define CONFIG_ERROR_MAX	64	/* kept; all are counted */
#define CONFIG_NAME_MAX		64	/* with the NUL, as are the next two */
#define CONFIG_MODULE_MAX	128
#define CONFIG_CMDLINE_MAX	2048
#define CONFIG_CLASS_MAX	32
#define CONFIG_CABLE_MAX	32
#define CONFIG_NVME		"nvme"		/* the class of disks with a controller each */
#define CONFIG_CHANNEL_MAX	32
#define CONFIG_BALLOON		"virtio-balloon-pci"
#define CONFIG_SERIAL		"virtio-serial-pci"	/* the class of channels and such a console */
#define CONFIG_SERIAL_PORTS	6u	/* 0 is the console's */
#define CONFIG_SATA		"ich9-ahci"	/* the class of disks at SATA ports */
#define CONFIG_SATA_PORTS	6u
#define CONFIG_IDE		"piix3-ide"	/* and at an IDE controller */
#define CONFIG_IDE_PORTS	4u
#define CONFIG_VIDEO		"VGA"		/* the class of a screen */

/* What follows when a VM ends, in libvirt's words. */
enum config_action { CONFIG_DESTROY, CONFIG_RESTART, CONFIG_PRESERVE };

/* Kinds of devices that firmware may start from. */
enum config_boot { CONFIG_BOOT_NONE, CONFIG_BOOT_DISK, CONFIG_BOOT_CDROM, CONFIG_BOOT_NETWORK };
#define CONFIG_BOOT_KINDS	3

/* A further module of a VM's kernel; the list is in the file's order. */
struct config_module {
	struct config_module *next;
	char name[CONFIG_MODULE_MAX];
	char arguments[CONFIG_CMDLINE_MAX];	/* "" if none */
};

/* A PCI device; the list is in the file's order. */
struct config_device {
	struct config_device *next;
	char class[CONFIG_CLASS_MAX];
	bool placed;			/* it has a slot; bus N: behind the Nth root port */
	uint8_t bus, device, function;
	uint16_t boot;			/* firmware starts from 1 first; 0: not given */
	/* Of a disk or a disc. */
	char module[CONFIG_MODULE_MAX];	/* "": it is none */
	bool overlay;
	uint8_t port;			/* of the SATA or IDE controller, or of the serial one */
	/* Of a network card. */
	char cable[CONFIG_CABLE_MAX];
	uint8_t mac[6];			/* all 0: not given */
	char channel[CONFIG_CHANNEL_MAX];	/* of a channel */
	uint64_t vram;			/* of a screen, bytes; its BIOS is the module */
};

/* Where one vCPU may run. */
struct config_pin {
	struct config_pin *next;
	unsigned vcpu, line;
	struct cpu_set allowed;
};

/* In libvirt's words, microseconds; all 0 if not given. */
struct config_cputune {
	uint64_t shares;		/* 1024 is one */
	uint64_t global_period, global_quota;	/* of all vCPUs; a quota of 0: there is none */
	uint64_t vcpu_period, vcpu_quota;	/* of each */
};

/*
 * What a VM is to be: made once, then constant and shared, so that what a running one was started
 * with and what holds from its next start are two values of one type.
 */
struct config_vm {
	uint32_t refs;			/* (atomic) beyond the first */
	char name[CONFIG_NAME_MAX];
	uint8_t uuid[16];		/* as given, or made from the host's name and this one */
	unsigned vcpus;			/* the topology's, or 1, if not given */
	struct cpu_topology topology;	/* of so many; one socket if not given */
	struct config_cputune cputune;
	struct cpu_set cpuset;		/* where they may run: anywhere if not given */
	struct config_pin *pin;		/* and single ones; any number, the last of each holds */
	uint64_t memory;		/* bytes, a multiple of 4 KiB */
	struct cpu_model cpu;		/* the host's processor if not given */
	char firmware[CONFIG_MODULE_MAX];	/* "": the kernel is started directly */
	char nvram[CONFIG_MODULE_MAX];		/* what its flash begins with; "": none */
	char kernel[CONFIG_MODULE_MAX];		/* "" if none: with firmware alone */
	char initrd[CONFIG_MODULE_MAX];	/* "" if none */
	struct config_module *module;	/* behind the initrd; any number */
	struct config_device *device;	/* any number */
	struct config_device *disk;	/* likewise, behind these */
	struct config_device *nic;	/* and behind these */
	struct config_device *cdrom;	/* all at the SATA or IDE controller */
	struct config_device *video;	/* one at most */
	struct config_device *channel;	/* ports of one device; 0 is the console, without a name */
	struct config_module *option_rom;	/* without arguments; with firmware alone */
	/* With firmware alone: from what it starts, if no device has its own number... */
	uint8_t boot[CONFIG_BOOT_KINDS];	/* enum config_boot; NONE behind the last */
	bool boot_menu;			/* and whether it offers to choose */
	uint16_t boot_menu_ms;		/* for so long; 0: as long as it likes */
	/* What SMBIOS tells: "" if it is not given. */
	char manufacturer[CONFIG_NAME_MAX], product[CONFIG_NAME_MAX], serial[CONFIG_NAME_MAX];
	char cmdline[CONFIG_CMDLINE_MAX];
	bool autostart;
	/* destroy, restart, destroy if not given */
	enum config_action on_poweroff, on_reboot, on_crash;
	bool debug_exit;
	unsigned line;			/* of its section */
	unsigned firmware_line, kernel_line, initrd_line;
};

struct config_error {
	unsigned line;			/* 0: the file as a whole */
	char text[512];			/* printable; without "keel.conf:LINE: " */
};

struct config_host {
	char hostname[CONFIG_NAME_MAX];	/* as config_limits.host has it, if not given */
};

struct config {
	struct config_host host;
	unsigned vm_count;
	struct config_vm *vm[CONFIG_VM_MAX];	/* in the file's order */
	unsigned error_count;			/* may exceed CONFIG_ERROR_MAX */
	struct config_error error[CONFIG_ERROR_MAX];
};

/* What the values are checked against. */
struct config_limits {
	unsigned vcpus_max;
	unsigned cpus;			/* of the host; 0: nobody knows */
	uint64_t memory_max;		/* bytes for one VM */
	const struct config_host *host;	/* where there is no [host]; NULL: "keel" */
	void *arg;
	/* Is there a module of that name? NULL: every name is taken. */
	bool (*module)(void *arg, const char *name);
	/* Can guests have what that model asks for? 0, or an error with one line in `why`. NULL:
	 * nobody knows. */
	int (*cpu)(void *arg, const struct cpu_model *m, char *why, size_t why_size);
	/* May a VM have its last device, disk or card, beside the others? Gives it a slot where it
	 * has none. NULL: nobody knows. */
	int (*device)(void *arg, struct config_vm *vm, char *why, size_t why_size);
	/* A last look at a VM that is right so far (is the kernel one that can be loaded?). 0, or
	 * an error with one line in `why`. NULL: none. */
	int (*check)(void *arg, const struct config_vm *vm, char *why, size_t why_size);
};

/* Fills `out` (about 50 KiB: not for a stack) from any bytes. 0 even when there are errors in the
 * text; -ENOMEM. */
int config_parse(struct config *out, const char *text, size_t size,
		 const struct config_limits *limits) must_check;
/* Frees what config_parse allocated, but for VMs that were taken out (NULL is left). */
void config_fini(struct config *c);
void config_vm_get(struct config_vm *vm);
void config_vm_put(struct config_vm *vm);	/* frees it with the last; NULL is fine */

/*
 * The section's lines, piece by piece; without those of the key `skip`, if it is not NULL. What is
 * as without a line has none, but for vcpus and uuid.
 */
typedef void config_emit(void *arg, const char *text);
void config_write_vm(const struct config_vm *vm, const char *skip, config_emit *emit, void *arg);
void config_write_host(const struct config_host *host, config_emit *emit, void *arg);
/* A number with K, M or G, or without. */
bool config_size_parse(const char *text, uint64_t *out);
bool config_uuid_parse(const char *text, uint8_t uuid[16]);

/* The ports of a disk's or disc's controller; 0: it has a slot of its own. */
unsigned config_ports(const struct config_device *d);
const char *config_disk_bus(const struct config_device *d);	/* as `bus=` has it */
/* The value of a line for that `cdrom`, with such a module in it; "": none. */
void config_cdrom_text(const struct config_device *d, const char *module, char *text, size_t size);

/* A network card's model, in the words of `nic`. */
const char *config_nic_model(const struct config_device *d);
/* Where that vCPU may run. */
const struct cpu_set *config_affinity(const struct config_vm *vm, unsigned vcpu);
/* The device with the lowest boot=N above that; NULL: none. */
const struct config_device *config_boot_next(const struct config_vm *vm, unsigned after);
/* May the key stand in a section more than once, each line adding to those before? */
bool config_key_repeats(const char *name);

const char *config_action_name(enum config_action a);	/* "destroy" ... */
