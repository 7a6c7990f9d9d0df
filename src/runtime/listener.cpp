#include "runtime/listener.hpp"

#include <sys/socket.h>

#include "json/codec.hpp"
#include "runtime/hooks.hpp"
#include "runtime/seccomp_profile.hpp"

namespace coffer::runtime {

OnListener listener_sender(const oci::Spec& spec, const State& state, const char* status) {
    if (!spec.linux || !spec.linux->seccomp || !uses_listener(*spec.linux->seccomp)) return {};
    const oci::LinuxSeccomp& seccomp = *spec.linux->seccomp;
    json::Object document{{"ociVersion", oci::kRuntimeSpecVersion},
                          {"fds", json::Array{"seccompFd"}},
                          {"pid", std::int64_t{state.pid}}};
    if (!seccomp.listener_metadata.empty()) {
        document.push_back({"metadata", seccomp.listener_metadata});
    }
    document.push_back(
        {"state", json::to_value(hook_state(spec, state.id, state.bundle, state.pid, status))});
    return [path = seccomp.listener_path,
            text = json::write(document)](sys::Fd listener) -> Result<void> {
        const int fds[] = {listener.get()};
        const sys::Fd socket = TRY_CONTEXT(sys::connect_unix(path, SOCK_STREAM),
                                           "linux.seccomp.listenerPath '{}'", path);
        return sys::send_message(socket.get(), text, fds);
    };
}

}  // namespace coffer::runtime
