#include "volume/local.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "base/text.hpp"
#include "sys/file.hpp"
#include "sys/loop.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"
#include "sys/quota.hpp"
#include "sys/socket_address.hpp"

namespace coffer::volume {

namespace {

namespace m = sys::mount;
using sys::Fd;

constexpr std::uint64_t kFlags = m::kNoSuid | m::kNoDev;
constexpr std::chrono::minutes kMkfsLimit{2};
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

std::string data_of(const std::string& folder) {
    return folder + "/_data";
}

Result<std::uint64_t> parse_size(const std::string& text) {
    const auto size = parse_bytes(text);
    if (!size || *size <= 0) return fail(Code::InvalidArgument, "invalid size: '{}'", text);
    return static_cast<std::uint64_t>(*size);
}

Result<std::uint32_t> parse_id(std::string_view name, std::string_view text) {
    const auto id = parse_uint(text);
    if (!id || *id >= 0xffffffffU)
        return fail(Code::InvalidArgument, "invalid option: \"o\": {}={}", name, text);
    return static_cast<std::uint32_t>(*id);
}

// False when it holds what only a device could have.
Result<bool> take_own(const std::string& data, LocalOptions& out) {
    for (const std::string& option : split(data, ',')) {
        const auto parts = cut(option, "=");
        const std::string_view name = parts ? parts->first : option;
        const std::string value(parts ? parts->second : "");
        if (name == "size") {
            out.size = TRY(parse_size(value));
        } else if (name == "uid") {
            out.uid = TRY(parse_id(name, value));
        } else if (name == "gid") {
            out.gid = TRY(parse_id(name, value));
        } else if (name == "mode") {
            const auto mode = parse_octal(value);
            if (!mode || *mode > 077777)
                return fail(Code::InvalidArgument, "invalid option: \"o\": {}", option);
            out.mode = *mode & 07777U;
        } else {
            return false;
        }
    }
    return true;
}

// The kernel takes servers by number alone.
Result<std::string> resolve(const std::string& host) {
    if (sys::SocketAddress::parse(host, 0)) return host;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int rc = ::getaddrinfo(host.c_str(), nullptr, &hints, &raw);
    if (rc != 0) {
        return fail(Code::Internal,
                    "error resolving passed in network volume address: lookup {}: {}", host,
                    ::gai_strerror(rc));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
    char text[INET6_ADDRSTRLEN] = {};
    const void* address =
        found->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(found->ai_addr)->sin6_addr;
    if (::inet_ntop(found->ai_family, address, text, sizeof text) == nullptr)
        return fail_errno("address of '{}'", host);
    return std::string(text);
}

struct Request {
    m::Options options;
    std::uint64_t attributes = kFlags;
    bool read_only = false;
    bool bind = false;
    bool loop = false;
    m::Depth depth = m::Depth::One;
};

Result<Request> read_data(const LocalOptions& wanted) {
    Request request;
    for (const std::string& option : split(wanted.data, ',')) {
        if (option.empty() || m::is_without_effect(option)) continue;
        if (option == "bind" || option == "rbind") {
            request.bind = true;
            if (option == "rbind") request.depth = m::Depth::Recursive;
        } else if (option == "loop") {
            request.loop = true;
        } else if (const auto flag = m::find_flag(option)) {
            request.attributes = (request.attributes & ~flag->clear) | flag->set;
        } else {
            const auto parts = cut(option, "=");
            request.options.emplace_back(parts ? parts->first : option, parts ? parts->second : "");
        }
    }
    request.attributes |= kFlags;
    request.read_only = (request.attributes & m::kReadOnly) != 0;
    if (wanted.type.starts_with("nfs") || wanted.type == "cifs" || wanted.type == "smb3") {
        const auto address = std::find_if(request.options.begin(), request.options.end(),
                                          [](const auto& one) { return one.first == "addr"; });
        if (address != request.options.end()) {
            address->second = TRY(resolve(address->second));
        } else if (!wanted.type.starts_with("nfs") && wanted.device.starts_with("//")) {
            const std::string host = wanted.device.substr(2, wanted.device.find('/', 2) - 2);
            request.options.emplace_back("addr", TRY(resolve(host)));
        }
    }
    return request;
}

// The file system in a file, detached.
Result<Fd> mount_file(int file, const std::string& type, Request request) {
    const auto device = TRY(sys::loop::attach(
        file, request.read_only ? sys::loop::Access::ReadOnly : sys::loop::Access::ReadWrite));
    if (request.read_only) request.options.emplace_back("ro", "");
    return m::create(type, request.options, request.attributes, device.path);
}

Result<Fd> open_disk(const std::string& folder) {
    const Fd file = TRY(sys::open_file(disk_of(folder), O_RDWR | O_NOFOLLOW));
    return mount_file(file.get(), "ext4", {});
}

Result<Fd> open_device(const LocalOptions& wanted) {
    Request request = TRY(read_data(wanted));
    // What is no file system of the host's must not become one by its options.
    const bool from_host = wanted.takes_from_host();
    if (from_host && request.bind) {
        Fd tree = TRY(m::clone_tree(AT_FDCWD, wanted.device, request.depth));
        TRY(m::set_attributes(tree.get(),
                              {.set = request.attributes, .propagation = m::Propagation::Private},
                              m::Depth::One));
        return tree;
    }
    struct stat status {};
    const bool is_file = wanted.device.starts_with('/') &&
                         ::stat(wanted.device.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (from_host && (request.loop || is_file)) {
        const Fd file = TRY(sys::open_file(wanted.device, request.read_only ? O_RDONLY : O_RDWR));
        return mount_file(file.get(), wanted.type, std::move(request));
    }
    if (request.read_only) request.options.emplace_back("ro", "");
    return m::create(wanted.type, request.options, request.attributes, wanted.device);
}

Result<void> set_owner(int folder, const LocalOptions& options) {
    const auto id = [](const std::optional<std::uint32_t>& given) {
        return given ? *given : static_cast<std::uint32_t>(-1);
    };
    if (::fchown(folder, id(options.uid), id(options.gid)) != 0)
        return fail_errno("set the owner of the volume");
    if (options.mode && ::fchmod(folder, *options.mode) != 0)
        return fail_errno("set the mode of the volume");
    return {};
}

Result<void> make_disk(const LocalOptions& options, const std::string& folder) {
    const std::string disk = disk_of(folder);
    const Fd file = TRY(sys::open_file(disk, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (::ftruncate(file.get(), static_cast<off_t>(options.size)) != 0)
        return fail_errno("make a disk of {} bytes", options.size);
    const auto made = sys::run({.argv = {"mkfs.ext4", "-q", "-F", "-m", "0", disk},
                                .path = "/sbin/mkfs.ext4",
                                .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}},
                               "", kMkfsLimit);
    if (!made) {
        return fail(Code::InvalidArgument,
                    "quota size requested but no quota support: the file system has no project "
                    "quotas, and a disk in a file needs mkfs.ext4 of e2fsprogs: {}",
                    made.error().message);
    }
    if (made->status != 0) {
        return fail(Code::InvalidArgument, "make a disk of {} bytes: {}", options.size,
                    trim(made->err));
    }
    const Fd mount = TRY(open_disk(folder));
    const Fd root = TRY(sys::open_at(mount.get(), ".", kFolder));
    // An image's files come into an empty volume alone.
    TRY(sys::remove_tree(root.get(), "lost+found"));
    if (::fchmod(root.get(), 0755) != 0) return fail_errno("set the mode of the volume");
    return set_owner(root.get(), options);
}

// A message without the password of a file server, which goes into logs and records.
std::string without_password(const LocalOptions& options, std::string message) {
    for (const std::string& option : split(options.data, ',')) {
        if (!option.starts_with("password=")) continue;
        for (std::size_t at = message.find(option); at != std::string::npos;
             at = message.find(option, at + 1))
            message.replace(at, option.size(), "password=********");
    }
    return message;
}

}  // namespace

std::string disk_of(const std::string& folder) {
    return folder + "/disk.ext4";
}

bool LocalOptions::is_read_only() const {
    const std::vector<std::string> given = split(data, ',');
    return std::find(given.begin(), given.end(), "ro") != given.end();
}

Result<LocalOptions> parse_local_options(const std::map<std::string, std::string>& options) {
    LocalOptions out;
    const auto take = [&](const std::string& name, std::string& to) {
        const auto found = options.find(name);
        if (found != options.end()) to = found->second;
    };
    for (const auto& [name, value] : options) {
        if (name != "type" && name != "device" && name != "o" && name != "size")
            return fail(Code::InvalidArgument, "invalid option: \"{}\"", name);
        if (value.find('\0') != std::string::npos)
            return fail(Code::InvalidArgument, "invalid option: \"{}\": a NUL byte", name);
    }
    std::string size;
    take("type", out.type);
    take("device", out.device);
    take("o", out.data);
    take("size", size);
    if (!size.empty()) out.size = TRY(parse_size(size));
    if (out.type.empty() && out.device.empty()) {
        if (out.data.empty() || TRY(take_own(out.data, out))) return out;
    }
    if (out.device.empty())
        return fail(Code::InvalidArgument, "missing required option: \"device\"");
    if (out.type.empty()) return fail(Code::InvalidArgument, "missing required option: \"type\"");
    if (!size.empty()) {
        return fail(Code::InvalidArgument,
                    "invalid option: \"size\": a device has the size it has; a tmpfs takes it in "
                    "\"o\"");
    }
    return out;
}

Result<void> create_local(const LocalOptions& options, const std::string& folder,
                          std::uint32_t project) {
    const std::string data = data_of(folder);
    TRY(sys::make_dirs(data, 0755));
    if (!options.type.empty()) return {};
    const Fd dir = TRY(sys::open_file(data, kFolder));
    TRY(set_owner(dir.get(), options));
    if (options.size == 0) return {};
    auto counted = [&]() -> Result<void> {
        TRY(sys::quota::assign(dir.get(), project));
        return sys::quota::limit(dir.get(), project, options.size);
    }();
    if (counted || counted.error().code != Code::NotImplemented) return counted;
    return make_disk(options, folder);
}

Result<void> mount_local(const LocalOptions& options, const std::string& folder) {
    const bool disk = options.type.empty() && sys::exists(disk_of(folder));
    if (options.type.empty() && !disk) return {};
    const std::string data = data_of(folder);
    const Fd place = TRY(sys::open_file(data, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    if (TRY(m::is_mount_root(place.get()))) return {};
    const auto mounted = [&]() -> Result<void> {
        const Fd tree = TRY(disk ? open_disk(folder) : open_device(options));
        return m::attach(tree.get(), place.get());
    }();
    if (mounted) return {};
    return fail(
        mounted.error().code, "{}",
        without_password(
            options, format("error while mounting volume '{}': failed to mount local volume: mount "
                            "{}:{}{}: {}",
                            data, disk ? disk_of(folder) : options.device, data,
                            options.data.empty() ? "" : ", data: " + options.data,
                            mounted.error().message)));
}

Result<void> unmount_local(const std::string& folder) {
    const std::string data = data_of(folder);
    TRY_CONTEXT(m::detach_path(data), "unmount volume '{}'", data);
    return {};
}

void clear_local(const std::string& folder, std::uint32_t project) {
    const auto dir = sys::open_file(folder, kFolder);
    if (!dir || project == 0) return;
    ignore(sys::quota::limit(dir->get(), project, 0), "an unused limit hurts nobody");
}

}  // namespace coffer::volume
