#pragma once
// Archives between a file or standard stream and the daemon, for save, load, export and cp.
// Stateless.

#include <string>

#include "cli/api_client.hpp"

namespace coffer::cli {

// At least one byte; 0 is the end.
Result<std::size_t> read_some(int fd, char* to, std::size_t size);
// The whole body of the reply.
Result<void> receive(http::Response& response, int fd);
// docker's refusal to write an archive to a terminal; `output` is where else it is to go.
Result<void> refuse_terminal(const std::string& output);

}  // namespace coffer::cli
