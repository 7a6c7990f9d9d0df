#pragma once
// Signals as a descriptor, and signals to processes that cannot hit a recycled pid. Blocking
// signals is per thread: meant for processes with one.

#include <initializer_list>

#include "sys/fd.hpp"

namespace coffer::sys::signals {

// Blocks the signals and returns a non-blocking signalfd that reports them.
Result<Fd> as_descriptor(std::initializer_list<int> numbers);
// Takes what the descriptor reports; 0 when nothing waits.
int take(int signal_fd);
// Not found when the process is gone.
Result<void> send(int pidfd, int number);
Result<void> ignore_signal(int number);

}  // namespace coffer::sys::signals
