// coffer-files: reads or writes files of one container for the engine, once. See view.hpp for what
// it gives up first, and protocol.hpp for what it is told.

#include <csignal>

#include "files/serve.hpp"

namespace coffer::files {
namespace {

Result<void> run() {
    const sys::Message message = TRY(sys::receive_message(kControl, kLargestMessage));
    const Request request = TRY(decode_request(message.payload));
    const View view = TRY(enter_view(request));
    return serve(request, view);
}

}  // namespace
}  // namespace coffer::files

int main() {
    namespace files = coffer::files;
    std::signal(SIGPIPE, SIG_IGN);
    const auto done = files::run();
    const files::Answer last = done ? files::Answer{.ok = true} : files::answer_of(done.error());
    return files::send(last) && done ? 0 : 1;
}
