#include "runtime/sysctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

enum class Home { Ipc, Network, Uts };
enum class Grammar { Numbers, Word };

struct Key {
    std::string_view name;
    Home home;
    Grammar grammar;
};

constexpr Key kKeys[] = {
    {"kernel.msgmax", Home::Ipc, Grammar::Numbers},
    {"kernel.msgmnb", Home::Ipc, Grammar::Numbers},
    {"kernel.msgmni", Home::Ipc, Grammar::Numbers},
    {"kernel.sem", Home::Ipc, Grammar::Numbers},
    {"kernel.shmall", Home::Ipc, Grammar::Numbers},
    {"kernel.shmmax", Home::Ipc, Grammar::Numbers},
    {"kernel.shmmni", Home::Ipc, Grammar::Numbers},
    {"kernel.shm_rmid_forced", Home::Ipc, Grammar::Numbers},
    {"fs.mqueue.msg_default", Home::Ipc, Grammar::Numbers},
    {"fs.mqueue.msg_max", Home::Ipc, Grammar::Numbers},
    {"fs.mqueue.msgsize_default", Home::Ipc, Grammar::Numbers},
    {"fs.mqueue.msgsize_max", Home::Ipc, Grammar::Numbers},
    {"fs.mqueue.queues_max", Home::Ipc, Grammar::Numbers},
    {"kernel.domainname", Home::Uts, Grammar::Word},
};

bool is_numbers(std::string_view text) {
    const auto allowed = [](char c) { return (c >= '0' && c <= '9') || c == ' ' || c == '\t'; };
    if (text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

bool is_word(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '-' || c == '_' || c == ' ' || c == '\t' || c == ',';
    };
    return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), allowed);
}

bool safe_key(std::string_view key) {
    const auto allowed = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '-' || c == '_' || c == '/';
    };
    return !key.empty() && key.find("..") == std::string_view::npos &&
           key.find("//") == std::string_view::npos && !key.starts_with('/') &&
           std::all_of(key.begin(), key.end(), allowed);
}

std::string dotted(std::string_view key) {
    std::string text(key);
    // With a '/' in it, '/' separates and '.' belongs to names ("net/ipv4/conf/eth0.1/x").
    if (text.find('/') != std::string::npos) std::replace(text.begin(), text.end(), '/', '.');
    return text;
}

}  // namespace

Result<void> check_sysctl(const std::string& key, const std::string& value,
                          const SysctlScope& scope) {
    const std::string name = dotted(key);
    if (!safe_key(key)) return fail(Code::InvalidArgument, "sysctl \"{}\" is not a key", key);
    const auto need = [&](bool has, const char* what) -> Result<void> {
        if (has) return {};
        return fail(Code::InvalidArgument, "sysctl \"{}\" not allowed in host {} namespace", key,
                    what);
    };
    const auto bad_value = [&] {
        return fail(Code::InvalidArgument, "sysctl \"{}\": value '{}' is not allowed", key, value);
    };
    if (name.starts_with("net.")) {
        TRY(need(scope.network, "network"));
        if (!is_numbers(value) && !is_word(value)) return bad_value();
        return {};
    }
    for (const Key& known : kKeys) {
        if (name != known.name) continue;
        if (known.home == Home::Ipc) TRY(need(scope.ipc, "ipc"));
        if (known.home == Home::Uts) TRY(need(scope.uts, "uts"));
        if (known.grammar == Grammar::Numbers ? !is_numbers(value) : !is_word(value)) {
            return bad_value();
        }
        return {};
    }
    return fail(Code::InvalidArgument, "sysctl \"{}\" is not in a separate kernel namespace", key);
}

std::string sysctl_path(const std::string& key) {
    std::string path = key;
    if (path.find('/') == std::string::npos) std::replace(path.begin(), path.end(), '.', '/');
    return "sys/" + path;
}

Result<void> write_sysctls_in_child(int proc_fd, const std::map<std::string, std::string>& values) {
    const sys::RootedDir proc(sys::Fd(::fcntl(proc_fd, F_DUPFD_CLOEXEC, 3)));
    for (const auto& [key, value] : values) {
        {
            const sys::Fd file =
                TRY_CONTEXT(proc.open_same_mount(sysctl_path(key), O_WRONLY), "sysctl \"{}\"", key);
            TRY_CONTEXT(sys::write_all(file.get(), value), "set sysctl \"{}\" to '{}'", key, value);
        }
        const sys::Fd file = TRY(proc.open_same_mount(sysctl_path(key), O_RDONLY));
        const std::string now = TRY(sys::read_all(file.get(), 4096));
        if (split_fields(now) != split_fields(value)) {
            return fail(Code::Internal, "sysctl \"{}\" is '{}' after '{}' was written", key,
                        trim(now), value);
        }
    }
    return {};
}

}  // namespace coffer::runtime
