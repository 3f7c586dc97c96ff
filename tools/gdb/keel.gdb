# SPDX-License-Identifier: BSD-2-Clause
# Looking into a running Keel:
#     tools/run --iso build/keel.iso --emulator=-s            in one terminal, and in another
#     gdb -x tools/gdb/keel.gdb build/keel.elf
# The image runs where it is linked, so symbols fit. `help user-defined` lists what is here.

set pagination off
set print pretty on
set disassembly-flavor intel
target remote 127.0.0.1:1234

define keel-cpus
    set $i = 0
    while $i < cpu_count
        set $at = (unsigned long)&percpu_start + percpu_distance[$i]
        printf "cpu %d: copy of the per-CPU template at 0x%lx\n", $i, $at
        set $i = $i + 1
    end
end
document keel-cpus
The CPUs that are up, and where their per-CPU variables are.
end

define keel-percpu
    python t = gdb.parse_and_eval("$arg0").type.pointer()
    python at = gdb.parse_and_eval("(unsigned long)&$arg0 + percpu_distance[$arg1]")
    python print(at.cast(t).dereference())
end
document keel-percpu
keel-percpu VARIABLE CPU: that CPU's copy of a per-CPU variable.
end

define keel-log
    set $n = 'log.c'::next_sequence
    set $i = $n > 40 ? $n - 40 : 0
    while $i < $n
        set $e = &'log.c'::entries[$i % 1024]
        printf "[%5lu.%06lu] ", $e->time_ns / 1000000000, $e->time_ns / 1000 % 1000000
        set $c = 0
        while $c < $e->length
            printf "%c", 'log.c'::text[($e->start + $c) % 65536]
            set $c = $c + 1
        end
        printf "\n"
        set $i = $i + 1
    end
end
document keel-log
The last 40 lines of the log.
end

define keel-trace
    set $r = (struct trace_ring *)((unsigned long)&trace_ring + percpu_distance[$arg0])
    set $i = $r->next > 20 ? $r->next - 20 : 0
    while $i < $r->next
        print $r->record[$i % (sizeof($r->record) / sizeof($r->record[0]))]
        set $i = $i + 1
    end
end
document keel-trace
keel-trace CPU: the last 20 records of its trace ring.
end

define keel-vcpu
    print *(struct vcpu *)$arg0
end
document keel-vcpu
keel-vcpu ADDRESS: a vCPU's canonical state.
end
