#pragma once
// The commands of coffer-oci. Single-threaded.

#include "command/command.hpp"
#include "runtime/args.hpp"
#include "runtime/lifecycle.hpp"

namespace coffer::runtime {

// The only word after the flags.
Result<std::string> one_id(const Args& args, const char* command);
// What create, run and restore have in common.
Result<ContainerRequest> make_request(const Args& args, const char* command);
// A terminal needs somebody who holds its other end, and only a terminal has one.
Result<void> check_console(const ContainerRequest& request, bool in_front);
// How many descriptors from 3 up are to be passed on: --preserve-fds beside $LISTEN_FDS. Each must
// have been given to us.
Result<unsigned> preserved_fds(const Args& args);
// What tells a program of sockets in $LISTEN_FDS, if we have been told.
std::vector<std::string> listen_environment();

// Each from its words to its exit status. An error is printed and logged; the exit status is
// then 1.
Result<int> checkpoint_command(const Containers& containers, const Args& args);
Result<int> complete_command(const Containers& containers, const Args& args);
Result<int> completion_command(const Containers& containers, const Args& args);
Result<int> create_command(const Containers& containers, const Args& args);
Result<int> delete_command(const Containers& containers, const Args& args);
Result<int> events_command(const Containers& containers, const Args& args);
Result<int> exec_command(const Containers& containers, const Args& args);
Result<int> features_command(const Containers& containers, const Args& args);
Result<int> help_command(const Containers& containers, const Args& args);
Result<int> kill_command(const Containers& containers, const Args& args);
Result<int> list_command(const Containers& containers, const Args& args);
Result<int> man_command(const Containers& containers, const Args& args);
Result<int> pause_command(const Containers& containers, const Args& args);
Result<int> ps_command(const Containers& containers, const Args& args);
Result<int> restore_command(const Containers& containers, const Args& args);
Result<int> resume_command(const Containers& containers, const Args& args);
Result<int> run_command(const Containers& containers, const Args& args);
Result<int> spec_command(const Containers& containers, const Args& args);
Result<int> start_command(const Containers& containers, const Args& args);
Result<int> state_command(const Containers& containers, const Args& args);
Result<int> update_command(const Containers& containers, const Args& args);

void print_help(const command::Command& command, const std::string& path);

// Holds our signals back, for attend(): begins before the process does, so that none kills us.
Result<sys::Fd> watch_signals();
// Waits for a process that we are in front of, passing our signals on; with a console, copies
// between it and our terminal. The result is a shell's status.
Result<int> attend(Created& process, const sys::Fd& signals);

}  // namespace coffer::runtime
