#include "base/rollback.hpp"

#include <atomic>
#include <cstdlib>

namespace coffer {

namespace {

// The step that is to fail, from the environment; 0 for none.
std::uint64_t failing_step() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): read once, nothing sets the environment
    static const char* text = std::getenv("MUST_FAIL_AT");
    static const std::uint64_t step = text == nullptr ? 0 : parse_uint(text).value_or(0);
    return step;
}

std::atomic<std::uint64_t> steps{0};

}  // namespace

Result<void> Rollback::add(std::function<void()> action) {
    actions_.push_back(std::move(action));
    const std::uint64_t step = ++steps;
    if (step == failing_step()) return fail(Code::Internal, "step {} fails on request", step);
    return {};
}

void Rollback::run() {
    while (!actions_.empty()) {
        const std::function<void()> action = std::move(actions_.back());
        actions_.pop_back();
        action();
    }
}

}  // namespace coffer
