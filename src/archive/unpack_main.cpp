// coffer-unpack: extracts one layer. Started by the engine for each layer; jails itself before it
// reads any of it. See jail.hpp for what it keeps.

#include <string>
#include <vector>

#include "archive/jail.hpp"
#include "archive/unpack_wire.hpp"

namespace {

coffer::Result<coffer::archive::AppliedLayer> unpack(const std::vector<std::string>& arguments) {
    auto request = TRY(coffer::archive::parse_arguments(arguments));
    const coffer::sys::Fd target =
        TRY_CONTEXT(coffer::archive::enter_jail(request.target_fd), "jail the unpacker");
    request.target_fd = target.get();
    return coffer::archive::unpack_here(request);
}

}  // namespace

int main(int argc, char** argv) {
    const auto result = unpack(std::vector<std::string>(argv + 1, argv + argc));
    const auto sent = coffer::sys::write_all(1, coffer::archive::to_answer(result));
    return result && sent ? 0 : 1;
}
