#pragma once
// Archives between a file or standard stream and the daemon, for save, load, export and cp.
// Stateless.

#include <functional>
#include <memory>
#include <string>

#include "cli/api_client.hpp"
#include "sys/fd.hpp"

namespace coffer::cli {

// At least one byte; 0 is the end.
Result<std::size_t> read_some(int fd, char* to, std::size_t size);
// The whole body of the reply; `on_bytes` is told of each piece.
Result<void> receive(http::Response& response, int fd,
                     const std::function<void(std::size_t)>& on_bytes = {});
// To standard output without a path, else all of a file or nothing of it: `write` gets one beside
// `path`, whose name it takes at the end; what is there and no regular file, as a device, is
// written to as it is.
Result<void> write_whole(const std::string& path, const std::function<Result<void>(int fd)>& write);
// A file, or standard input for "" and "-", and how it becomes the body of a request.
Result<std::shared_ptr<sys::Fd>> open_input(const std::string& path);
std::function<Result<std::size_t>(char*, std::size_t)> body_from(std::shared_ptr<sys::Fd> file);
// docker's refusal to write an archive to a terminal; `output` is where else it is to go.
Result<void> refuse_terminal(const std::string& output);

}  // namespace coffer::cli
