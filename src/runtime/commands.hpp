#pragma once
// The commands of coffer-oci, each from its words to its exit status. Single-threaded.

#include "runtime/args.hpp"
#include "runtime/lifecycle.hpp"

namespace coffer::runtime {

using Words = std::vector<std::string>;

// Fails with the message to print and to log; the exit status of coffer-oci is then 1.
Result<int> run_command(const Containers& containers, const std::string& name, const Words& words);

// "name  what it does", a line each.
std::string command_help();

// Those in files of their own.
Result<int> exec_command(const Containers& containers, const Words& words);
Result<int> features_command(const Containers& containers, const Words& words);
Result<int> spec_command(const Containers& containers, const Words& words);

// Waits for a process that we are in front of, passing our signals on; with a console, copies
// between it and our terminal. The result is a shell's status.
Result<int> attend(Created& process);

}  // namespace coffer::runtime
