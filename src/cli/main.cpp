// coffer: the command line.
#include <cstdio>
#include <exception>

#include "cli/program.hpp"

int main(int argc, char** argv) {
    try {
        return coffer::cli::run_program({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "coffer: %s\n", error.what());
        return 125;
    }
}
