#pragma once

#include <cstddef>

namespace entrepot::daemon {

/// What the process asks of the kernel and the C library so that an event loop need not wait for them later.
/// Main's thread; `keep_buffers_on_the_heap` before anything large is allocated, `prepare_to_serve` while
/// there is no other thread.

/// Buffers of some hundred KiB come and go with every piece of a fill. By default each would be a mapping of
/// its own: a system call, its pages faulted in anew, and a lock on the address space for which an event loop
/// would sleep. What is larger than 1 MiB, a large manifest and its parsing, stays a mapping, so that its
/// memory is given back at once.
void keep_buffers_on_the_heap();

/// Reads the program's code into memory, raises the soft limit of descriptors to what a full house needs (or
/// the hard limit), and lets the kernel's table of them grow to it.
void prepare_to_serve();

/// Touches memory of this thread's heap, and keeps it: the first megabyte that a loop receives would be as
/// many page faults in one turn, at up to 10 us each where the machine is virtual. For one of `loops` loops;
/// they share 2 MiB.
void warm_heap(size_t loops);

}  // namespace entrepot::daemon
