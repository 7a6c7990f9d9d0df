// coffer-files: reads or writes files of one container for the engine, once. See view.hpp for what
// it gives up first, and protocol.hpp for what it is told.

#include <csignal>

#include "base/hash.hpp"
#include "files/serve.hpp"

namespace {

using namespace coffer;  // NOLINT(google-build-using-namespace): a composition root

Result<void> run() {
    // Whatever libraries load when they are first used must be there before the files are those of
    // somebody else.
    static_cast<void>(digest_of(""));
    const sys::Message message = TRY(sys::receive_message(files::kControl, files::kLargestMessage));
    const files::Request request = TRY(files::decode_request(message.payload));
    const files::View view = TRY(files::enter_view(request));
    return files::serve(request, view);
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    const auto done = run();
    files::Answer last;
    if (done) {
        last.ok = true;
    } else {
        last = files::answer_of(done.error());
    }
    return files::send(last) && done ? 0 : 1;
}
