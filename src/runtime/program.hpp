#pragma once
// Finding and preparing what a container process executes. Runs inside the container, before the
// last privilege is gone; the pointers are for exec_stage.cpp. One thread.

#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"

namespace coffer::runtime {

struct Program {
    std::string path;
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::vector<char*> argv;  // into args, with the final null
    std::vector<char*> envp;
};

// As exec.LookPath of Go, relative to the working folder: runc's and docker's texts.
Result<std::string> find_program(const std::string& name, const std::vector<std::string>& env);
// Enters the working folder, found inside the root, and finds the program. Environment entries
// without '=' are refused; HOME is added from the /etc/passwd entry of `uid` when it is not set.
Result<Program> prepare_program(const oci::Process& process, std::uint32_t uid);

}  // namespace coffer::runtime
