#include "runtime/criu.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <span>

#include "base/text.hpp"
#include "sys/clone.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"
#include "sys/process.hpp"

namespace coffer::runtime::criu {

namespace {

constexpr std::uint64_t kNotify = 6;  // criu_req_type
constexpr std::string_view kReady = "ready";
constexpr std::uint64_t kNewNet = 0x40000000;

// Protocol buffers: a field is its number and form in one varint, then a varint or counted bytes.
enum class Form : std::uint8_t { Number = 0, Bytes = 2 };

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7U) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
    return out;
}
std::string number(unsigned field, std::uint64_t value) {
    return varint(field << 3U | static_cast<unsigned>(Form::Number)) + varint(value);
}
std::string bytes(unsigned field, std::string_view value) {
    return varint(field << 3U | static_cast<unsigned>(Form::Bytes)) + varint(value.size()) +
           std::string(value);
}

// Takes fields off the front of a message; numbers are also the sizes of what follows.
class Reader {
  public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    struct Field {
        std::uint64_t number = 0;
        std::uint64_t value = 0;
        std::string_view bytes;
    };
    // nullopt at the end, and at what is no message.
    std::optional<Field> next() {
        Field field;
        const auto key = take();
        const auto value = take();
        if (!key || !value) return std::nullopt;
        field.number = *key >> 3U;
        field.value = *value;
        const auto form = static_cast<Form>(*key & 7U);
        if (form == Form::Number) return field;
        if (form != Form::Bytes || *value > rest_.size()) return std::nullopt;
        field.bytes = rest_.substr(0, *value);
        rest_.remove_prefix(*value);
        return field;
    }

  private:
    std::optional<std::uint64_t> take() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) return value;
        }
        return std::nullopt;
    }
    std::string_view rest_;
};

// `folders` are those of the images and of the work.
std::string encode(const Options& options, std::span<const sys::Fd> folders, bool restore,
                   bool notify) {
    std::string out = number(1, static_cast<unsigned>(folders[0].get()));
    const auto flag = [&](unsigned field, bool value) {
        if (value) out += number(field, 1);
    };
    const auto text = [&](unsigned field, const std::string& value) {
        if (!value.empty()) out += bytes(field, value);
    };
    if (options.pid != 0) out += number(2, static_cast<unsigned>(options.pid));
    flag(3, options.leave_running);
    flag(4, options.external_unix_sockets);
    flag(5, options.tcp_established);
    flag(7, options.shell_job);
    flag(8, options.file_locks);
    out += number(9, 4);  // the level of its log: all
    text(10, options.log_file);
    flag(12, notify);
    text(13, options.root);
    text(14, options.parent_images);
    flag(15, options.track_memory);
    flag(16, options.auto_dedup);
    out += number(17, static_cast<unsigned>(folders[1].get()));
    flag(18, options.link_remap);
    for (const auto& [key, value] : options.external_mounts) {
        out += bytes(23, bytes(1, key) + bytes(2, value));
    }
    flag(24, true);  // manage_cgroups, by the mode below
    if (!options.cgroup_root.empty()) out += bytes(25, bytes(2, options.cgroup_root));
    flag(26, restore);  // rst_sibling
    for (const auto& [key, fd] : options.inherited) {
        out += bytes(27, bytes(1, key) + number(2, static_cast<unsigned>(fd)));
    }
    out += number(34, static_cast<unsigned>(options.cgroup_mode));
    for (const std::string& object : options.external) out += bytes(37, object);
    if (options.empty_network) out += number(38, kNewNet);
    text(44, options.freeze_cgroup);
    if (options.status_fd >= 0) out += number(49, static_cast<unsigned>(options.status_fd));
    flag(50, true);  // orphan_pts_master: the master of a terminal is with who started it
    return out;
}

// criu_resp.
struct Response {
    std::uint64_t type = 0;
    bool success = false;
    Notice notice;
    std::uint64_t error = 0;
    std::string message;
};

Response decode(std::string_view payload) {
    Response response;
    Reader reader(payload);
    while (const auto field = reader.next()) {
        if (field->number == 1) response.type = field->value;
        if (field->number == 2) response.success = field->value != 0;
        if (field->number == 7) response.error = field->value;
        if (field->number == 9) response.message = field->bytes;
        if (field->number != 5) continue;
        Reader notice(field->bytes);
        while (const auto part = notice.next()) {
            if (part->number == 1) response.notice.script = part->bytes;
            if (part->number == 2) response.notice.pid = static_cast<int>(part->value);
        }
    }
    return response;
}

Result<std::string> find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): one thread
    for (const std::string& folder : split(path != nullptr ? path : "/usr/sbin:/usr/bin", ':')) {
        std::string file = format("{}/{}", folder, name);
        if (folder.starts_with('/') && ::access(file.c_str(), X_OK) == 0) return file;
    }
    return fail(Code::NotFound, "'{}' is not in $PATH", name);
}

struct Child {
    const Call& call;
    std::string program;
    int socket;
};

Result<void> become_criu(const Child& child) {
    if (child.call.cgroup != nullptr) TRY(child.call.cgroup->join_self());
    if (child.call.prepare_in_child) TRY(child.call.prepare_in_child());
    // It mounts in them, which must be in its own mount namespace, but looks for them among the
    // descriptors of who asks.
    const Options& options = child.call.options;
    const auto images = TRY(sys::open_file(options.image_folder, O_RDONLY | O_DIRECTORY));
    const auto work = TRY(sys::open_file(options.work_folder, O_RDONLY | O_DIRECTORY));
    const int fds[] = {images.get(), work.get()};
    TRY(sys::send_message(child.socket, kReady, fds));
    for (const auto& [name, fd] : options.inherited) {
        if (::fcntl(fd, F_SETFD, 0) != 0) return fail_errno("pass '{}' to criu", name);
    }
    // Without close-on-exec, and not one of the standard ones.
    const int socket = ::fcntl(child.socket, F_DUPFD, 3);
    if (socket < 0) return fail_errno("pass the socket to '{}'", child.program);
    const std::string name = format("{}", socket);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);  // who asks may hold its own signals back
    ::execl(child.program.c_str(), "criu", "swrk", name.c_str(), nullptr);
    return fail_errno("execute '{}'", child.program);
}

void criu_in_child(void* argument) {
    const Child& child = *static_cast<Child*>(argument);
    const auto failed = become_criu(child);
    // As criu would say it.
    ignore(sys::send_message(child.socket,
                             number(1, 0) + number(2, 0) + bytes(9, failed.error().message)),
           "the end of the socket tells as much");
    ::_exit(1);
}

Result<void> converse(const Call& call, int socket) {
    const bool restore = call.request == Request::Restore;
    const sys::Message first = TRY(sys::receive_message(socket));
    if (first.payload != kReady) {
        return fail(Code::Unavailable, "{}", decode(first.payload).message);
    }
    const std::string options = encode(call.options, first.fds, restore, bool(call.on_notice));
    auto sent = sys::send_message(
        socket, number(1, static_cast<unsigned>(call.request)) + bytes(2, options));
    if (!sent && sent.error().sys_errno != EPIPE) return sent;  // else it has left its reason
    Result<void> noticed;
    for (;;) {
        sys::Message message = TRY(sys::receive_message(socket));
        if (message.payload.empty()) return fail(Code::Unavailable, "it ended without an answer");
        Response response = decode(message.payload);
        if (response.type == kNotify) {
            if (!message.fds.empty()) response.notice.master = std::move(message.fds.front());
            // After a failure CRIU undoes what it has done, and then answers.
            if (call.on_notice) noticed = call.on_notice(std::move(response.notice));
            TRY(sys::send_message(socket, number(1, kNotify) + number(3, noticed ? 1 : 0)));
            continue;
        }
        TRY(noticed);
        if (response.success) return {};
        if (!response.message.empty()) return fail(Code::Unavailable, "{}", response.message);
        if (response.error == 0) return fail(Code::Unavailable, "it gives no reason");
        return fail_with(static_cast<int>(response.error), "its error");
    }
}

}  // namespace

Result<void> request(const Call& call) {
    sys::assert_single_threaded();
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    const sys::Fd group = call.cgroup == nullptr ? sys::Fd() : TRY(call.cgroup->clone_fd());
    Child child{call, TRY(find_program(call.program)), pair.theirs.get()};
    const std::uint64_t own_mounts = call.prepare_in_child ? sys::ns::bit(sys::ns::Kind::Mount) : 0;
    sys::Cloned cloned = TRY(sys::clone_process(
        {.namespaces = own_mounts, .cgroup_fd = group.get()}, criu_in_child, &child));
    sys::Process process(cloned.pid, std::move(cloned.pidfd));
    pair.theirs.reset();
    TRY(converse(call, pair.ours.get()));
    pair.ours.reset();
    TRY(process.wait());
    return {};
}

}  // namespace coffer::runtime::criu
