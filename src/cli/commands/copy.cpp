// coffer cp: between a container and the files of this machine. A container chooses what the names
// in its archive are: below the place that was asked for, and nowhere else, they become files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <memory>
#include <thread>

#include "archive/copy.hpp"
#include "base/text.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/units.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr std::uint64_t kGoFolder = 1U << 31U;
constexpr std::uint64_t kGoLink = 1U << 27U;
constexpr std::uint64_t kGoDevice = 1U << 26U;

constexpr std::array kCopyFlags = {
    toggle("archive", 'a', "Archive mode (copy all uid/gid information)"),
    toggle("follow-link", 'L', "Always follow symbol link in SRC_PATH"),
    toggle("quiet", 'q',
           "Suppress progress output during copy. Progress output is automatically suppressed if "
           "no terminal is attached"),
};

// "container:path"; no container in an absolute path, or one that begins with a dot.
struct Side {
    std::string container;
    std::string path;
};
Side side_of(const std::string& argument) {
    const auto parts = cut(argument, ":");
    if (!parts || argument.starts_with('/') || argument.starts_with('.')) return {"", argument};
    return {std::string(parts->first), std::string(parts->second)};
}

bool asks_for_folder(std::string_view path) {
    return path.ends_with('/') || path.ends_with("/.") || path == ".";
}

// The path without what says that it is a folder.
std::string plain(std::string path) {
    while (path.size() > 1 && (path.ends_with('/') || path.ends_with("/."))) path.pop_back();
    return path;
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_of(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
    const std::string folder = here ? here.get() : "";
    if (path == ".") return folder + "/.";
    return folder + "/" + (path.starts_with("./") ? path.substr(2) : path);
}

struct RemoteFile {
    std::string name;
    std::uint64_t mode = 0;
    std::string link_target;
    bool is_folder() const { return (mode & kGoFolder) != 0; }
};

Result<RemoteFile> read_stat(const http::Headers& headers) {
    const auto text = from_base64(headers.get("X-Docker-Container-Path-Stat"));
    if (!text) return fail(Code::Internal, "unable to decode container path stat header");
    const json::Value stat = TRY(json::parse(*text));
    return RemoteFile{text_of(stat, "name"), static_cast<std::uint64_t>(int_of(stat, "mode")),
                      text_of(stat, "linkTarget")};
}

ApiCall archive_call(http::Method method, const Side& side) {
    return ApiCall{.method = method,
                   .path = container_path(side.container, "/archive"),
                   .query = {{"path", side.path}}};
}

Result<RemoteFile> stat_remote(Api& api, const Side& side) {
    const http::Response response = TRY(api.open(archive_call(http::Method::Head, side)));
    return read_stat(response.headers());
}

// Shows how much went where, where somebody looks.
class Report {
  public:
    explicit Report(const Values& flags)
        : wanted_(!flags.is_set("quiet") && is_terminal(STDOUT_FILENO)) {}
    void add(std::size_t bytes) { bytes_ += bytes; }
    void done(const std::string& where) const {
        if (!wanted_) return;
        warn_line(format("Successfully copied {} to {}",
                         human_size(static_cast<double>(bytes_.load()), 3), where));
    }

  private:
    bool wanted_;
    std::atomic<std::uint64_t> bytes_ = 0;
};

// --- from a container

class BodySource : public archive::Source {
  public:
    BodySource(http::BodyReader& body, Report& report)
        : body_(body), report_(report), buffer_(std::size_t{1} << 18U, '\0') {}
    Result<std::string_view> next() override {
        const std::size_t n = TRY(body_.read(buffer_.data(), buffer_.size()));
        report_.add(n);
        return std::string_view(buffer_).substr(0, n);
    }

  private:
    http::BodyReader& body_;
    Report& report_;
    std::string buffer_;
};

// The folder that is extracted into, and what the copy is called there; "": it is the folder.
struct Destination {
    sys::Fd folder;
    std::string name;
};

Result<void> check_output_path(const std::string& path) {
    struct stat status {};
    const std::string folder = parent_of(plain(path));
    if (::stat(folder.c_str(), &status) != 0 && errno == ENOENT) {
        return fail(Code::NotFound, "invalid output path: directory {} does not exist",
                    quoted(folder));
    }
    if (::stat(path.c_str(), &status) == 0 &&
        (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))) {
        return fail(Code::InvalidArgument,
                    "invalid output path: {} must be a directory or a regular file: got a device",
                    quoted(path));
    }
    return {};
}

// `name` is the source's.
Result<Destination> local_destination(const std::string& path, const std::string& name,
                                      bool is_folder) {
    const auto open = [](const std::string& folder) {
        return sys::open_file(folder, O_RDONLY | O_DIRECTORY);
    };
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) {
            const bool contents = name == "." || name == "/";
            return Destination{TRY(open(path)), contents ? "" : name};
        }
        if (is_folder) return fail(Code::InvalidArgument, "cannot copy directory");
        const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                               &std::free);
        const std::string file = real ? real.get() : path;
        return Destination{TRY(open(parent_of(file))), base_of(file)};
    }
    if (!is_folder && asks_for_folder(path)) return fail(Code::NotFound, "no such directory");
    const std::string file = plain(path);
    return Destination{TRY(open(parent_of(file))), base_of(file)};
}

// Names of the archive, all of which must be `from` or below it, as they are to be.
auto renaming(std::string from, std::string to) {
    return [from = std::move(from),
            to = std::move(to)](const std::string& name) -> Result<std::string> {
        std::string rest = name;
        if (from != "." && from != "/") {
            if (name != from && !name.starts_with(from + "/")) {
                return fail(Code::InvalidArgument, "'{}' is not what was asked for", name);
            }
            rest.erase(0, std::min(name.size(), from.size() + 1));
        }
        if (to.empty() || rest.empty()) return to + rest;
        return to + "/" + rest;
    };
}

Result<int> copy_from(Invocation& call, Side source, std::string path) {
    if (path != "-") {
        path = absolute(path);
        TRY(check_output_path(path));
    }
    std::string name;
    if (call.flags.is_set("follow-link")) {
        const auto found = stat_remote(call.api, source);
        if (found && (found->mode & kGoLink) != 0 && !found->link_target.empty()) {
            name = base_of(plain(source.path));
            source.path = found->link_target;
        }
    }
    http::Response response = TRY(call.api.open(archive_call(http::Method::Get, source)));
    if (path == "-") {
        TRY(receive(response, STDOUT_FILENO));
        return 0;
    }
    Report report(call.flags);
    BodySource tar(response.body(), report);
    const RemoteFile file = TRY(read_stat(response.headers()));
    const Destination destination =
        TRY(local_destination(path, name.empty() ? file.name : name, file.is_folder()));
    archive::LayerTree tree(destination.folder.get(), archive::TarLimits{}.depth,
                            archive::LayerTree::Mounts::Inside);
    TRY(archive::extract_tar(tar, tree,
                             {.owner = archive::Owner::Ours,
                              .keep_kinds = true,
                              .rename = renaming(file.name, destination.name)}));
    report.done(path);
    return 0;
}

// --- to a container

// A tar of local files, made on a thread of its own.
class Packer {
  public:
    Packer(const std::string& folder, std::string base, std::string name, Report& report)
        : folder_(sys::open_file(folder, O_RDONLY | O_DIRECTORY)),
          base_(std::move(base)),
          name_(std::move(name)),
          report_(report) {}
    ~Packer() {
        pipe_.read.reset();
        if (thread_.joinable()) thread_.join();
    }
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;
    Packer(Packer&&) = delete;
    Packer& operator=(Packer&&) = delete;

    Result<void> start() {
        if (!folder_) return fail(folder_.error());
        pipe_ = TRY(sys::make_pipe(sys::PipeSize::Wide));
        thread_ = std::thread([this] {
            result_ = pack();
            pipe_.write.reset();
        });
        return {};
    }
    Result<std::size_t> read(char* to, std::size_t size) {
        const std::size_t n = TRY(read_some(pipe_.read.get(), to, size));
        report_.add(n);
        if (n > 0) return n;
        thread_.join();
        if (!result_) return fail(result_.error());
        return n;
    }

  private:
    Result<void> pack() {
        archive::FdSink output(pipe_.write.get());
        archive::TarWriter tar(output.sink());
        TRY(archive::TreeReader(tar).add(folder_->get(), base_, name_));
        TRY(tar.finish());
        return output.flush();
    }

    Result<sys::Fd> folder_;
    std::string base_;
    std::string name_;
    Report& report_;
    sys::PipeEnds pipe_;
    Result<void> result_;
    std::thread thread_;
};

struct LocalFile {
    std::string folder;
    std::string base;  // "." for the folder itself
    std::string name;  // in the archive
    bool is_folder = false;
};

Result<LocalFile> local_source(const std::string& path, bool follow) {
    std::string real = plain(path);
    struct stat status {};
    const bool folder = asks_for_folder(path);
    const bool through = follow || folder;
    if ((through ? ::stat(real.c_str(), &status) : ::lstat(real.c_str(), &status)) != 0) {
        return fail(code_of_errno(errno), "lstat {}: {}", path, to_lower(errno_text(errno)));
    }
    if (folder && !S_ISDIR(status.st_mode)) return fail(Code::InvalidArgument, "not a directory");
    LocalFile file;
    file.is_folder = S_ISDIR(status.st_mode);
    file.name = path.ends_with("/.") ? "." : base_of(real);
    if (through) {
        const std::unique_ptr<char, decltype(&std::free)> end(::realpath(real.c_str(), nullptr),
                                                              &std::free);
        if (end) real = end.get();
    }
    if (file.is_folder) {
        file.folder = real;
        file.base = ".";
        if (file.name.empty()) file.name = "/";
    } else {
        file.folder = parent_of(real);
        file.base = base_of(real);
    }
    return file;
}

struct RemoteDestination {
    std::string path;
    bool exists = false;
    bool is_folder = false;
};

Result<RemoteDestination> remote_destination(Api& api, const Side& side) {
    RemoteDestination destination{side.path};
    auto found = stat_remote(api, side);
    if (found && (found->mode & kGoLink) != 0) {
        destination.path = found->link_target;
        found = stat_remote(api, {side.container, destination.path});
    }
    // That it is missing, or the container, is told by what comes next.
    if (!found) return destination;
    if ((found->mode & kGoDevice) != 0) {
        return fail(Code::InvalidArgument,
                    "destination \"{}:{}\" must be a directory or a regular file: got a device",
                    side.container, side.path);
    }
    destination.exists = true;
    destination.is_folder = found->is_folder();
    return destination;
}

Result<void> upload(Invocation& call, const std::string& container, const std::string& path,
                    std::function<Result<std::size_t>(char*, std::size_t)> content) {
    ApiCall request = archive_call(http::Method::Put, {container, path});
    request.query.emplace("noOverwriteDirNonDir", "true");
    if (call.flags.is_set("archive")) request.query.emplace("copyUIDGID", "true");
    request.headers.set("Content-Type", "application/x-tar");
    request.source = std::move(content);
    TRY(call.api.text(request));
    return {};
}

Result<int> copy_to(Invocation& call, std::string path, const Side& side) {
    RemoteDestination destination = TRY(remote_destination(call.api, side));
    Report report(call.flags);
    if (path == "-") {
        if (!destination.is_folder) {
            return fail(Code::InvalidArgument, "destination \"{}:{}\" must be a directory",
                        side.container, side.path);
        }
        TRY(upload(call, side.container, destination.path,
                   [](char* to, std::size_t size) { return read_some(STDIN_FILENO, to, size); }));
        return 0;
    }
    path = absolute(path);
    LocalFile source = TRY(local_source(path, call.flags.is_set("follow-link")));
    std::string folder = destination.path;
    if (!destination.is_folder) {
        if (destination.exists && source.is_folder) {
            return fail(Code::InvalidArgument, "cannot copy directory");
        }
        if (!destination.exists && !source.is_folder && asks_for_folder(folder)) {
            return fail(Code::NotFound, "no such directory");
        }
        source.name = base_of(plain(folder));
        folder = parent_of(plain(folder));
    }
    Packer packer(source.folder, source.base, source.name, report);
    TRY(packer.start());
    TRY(upload(call, side.container, folder,
               [&](char* to, std::size_t size) { return packer.read(to, size); }));
    report.done(side.container + ":" + side.path);
    return 0;
}

Result<int> copy(Invocation& call) {
    if (call.args[0].empty()) return fail(Code::InvalidArgument, "source can not be empty");
    if (call.args[1].empty()) return fail(Code::InvalidArgument, "destination can not be empty");
    const Side source = side_of(call.args[0]);
    const Side destination = side_of(call.args[1]);
    if (!source.container.empty() && !destination.container.empty()) {
        return fail(Code::InvalidArgument, "copying between containers is not supported");
    }
    if (!source.container.empty()) return copy_from(call, source, destination.path);
    if (!destination.container.empty()) return copy_to(call, source.path, destination);
    return fail(Code::InvalidArgument, "must specify at least one container source");
}

}  // namespace

namespace commands {

constinit const Command kCp{
    .name = "cp",
    .arguments =
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tcoffer cp [OPTIONS] SRC_PATH|- "
        "CONTAINER:DEST_PATH",
    .summary = "Copy files/folders between a container and the local filesystem",
    .run = &copy,
    .flags = {kCopyFlags},
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Files,
    .spellings = "container cp, cp",
};

}  // namespace commands

}  // namespace coffer::cli
