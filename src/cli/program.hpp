#pragma once
// The whole program behind main(): command line in, exit status out. One thread.

#include <string>
#include <vector>

namespace coffer::cli {

int run_program(const std::vector<std::string>& args);

}  // namespace coffer::cli
