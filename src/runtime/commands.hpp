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

// The only word after the flags.
Result<std::string> one_id(const Args& args, const char* command);
// How many descriptors from 3 up are to be passed on: --preserve-fds beside $LISTEN_FDS. Each must
// have been given to us.
Result<unsigned> preserved_fds(const Args& args);
// What tells a program of sockets in $LISTEN_FDS, if we have been told.
std::vector<std::string> listen_environment();

// Those in files of their own.
Result<int> exec_command(const Containers& containers, const Words& words);
Result<int> pause_command(const Containers& containers, const Words& words);
Result<int> resume_command(const Containers& containers, const Words& words);
Result<int> update_command(const Containers& containers, const Words& words);
Result<int> events_command(const Containers& containers, const Words& words);
Result<int> features_command(const Containers& containers, const Words& words);
Result<int> spec_command(const Containers& containers, const Words& words);

// Waits for a process that we are in front of, passing our signals on; with a console, copies
// between it and our terminal. The result is a shell's status.
Result<int> attend(Created& process);

}  // namespace coffer::runtime
