#pragma once
// Processes started in running containers: Engine API 1.50. Plain data. A member is the snake case
// of its wire name; std::optional is absent or null.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::api {

struct ExecCreateRequest {
    std::string user;
    bool privileged = false;
    bool tty = false;
    std::optional<std::vector<std::uint32_t>> console_size;  // height, width
    bool attach_stdin = false;
    bool attach_stderr = false;
    bool attach_stdout = false;
    std::string detach_keys;
    std::vector<std::string> env;
    std::string working_dir;
    std::vector<std::string> cmd;
};

struct ExecStartRequest {
    bool detach = false;
    bool tty = false;
    std::optional<std::vector<std::uint32_t>> console_size;
};

struct ExecProcessConfig {
    bool tty = false;
    std::string entrypoint;
    std::vector<std::string> arguments;
    std::optional<bool> privileged;
    std::string user;
};

struct ExecInspect {
    std::string id;
    bool running = false;
    std::optional<std::int64_t> exit_code;
    ExecProcessConfig process_config;
    bool open_stdin = false;
    bool open_stderr = false;
    bool open_stdout = false;
    bool can_remove = false;
    std::string container_id;
    std::string detach_keys;  // base64
    std::int64_t pid = 0;
};

void describe(json::Fields& f, const ExecCreateRequest& s);
void describe(json::Fields& f, const ExecStartRequest& s);
void describe(json::Fields& f, const ExecProcessConfig& s);
void describe(json::Fields& f, const ExecInspect& s);

}  // namespace coffer::api
