#include <fcntl.h>
#include <sys/stat.h>

#include "engine/files_impl.hpp"
#include "store/store.hpp"
#include "sys/clone.hpp"
#include "sys/file.hpp"
#include "sys/signal.hpp"

namespace coffer::engine {

namespace {

// Seen on the host as nobody's, and never a container's while it runs.
constexpr std::uint32_t kIdBase = 0x80000000U;
// What every container has of the engine, where its image has no such file to mount on.
const std::vector<std::string>& engines_own() {
    static const std::vector<std::string> kOwn = {
        "/dev", "/proc", "/sys", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
    return kOwn;
}

// Go's os.FileMode.
std::uint32_t go_mode(std::uint32_t mode) {
    std::uint32_t out = mode & 0777U;
    const auto add = [&](bool is, unsigned bit) {
        if (is) out |= 1U << bit;
    };
    add(S_ISDIR(mode), 31);
    add(S_ISLNK(mode), 27);
    add(S_ISBLK(mode) || S_ISCHR(mode), 26);
    add(S_ISFIFO(mode), 25);
    add(S_ISSOCK(mode), 24);
    add((mode & S_ISUID) != 0, 23);
    add((mode & S_ISGID) != 0, 22);
    add(S_ISCHR(mode), 21);
    add((mode & S_ISVTX) != 0, 20);
    return out;
}

Result<api::PathStat> to_api(const std::optional<files::Stat>& stat) {
    if (!stat) return fail(Code::Internal, "coffer-files gave no valid answer");
    return api::PathStat{stat->name, stat->size, go_mode(stat->mode), stat->mtime,
                         stat->link_target};
}

// A file that is not there in docker's words.
Failure explain(Error error, const std::string& container, const std::string& path) {
    if (error.sys_errno == ENOENT || error.sys_errno == ENOTDIR || error.sys_errno == ELOOP) {
        return fail(Code::NotFound, "Could not find the file {} in container {}", path, container);
    }
    return fail(std::move(error));
}

// A process of the container, not one that came to have its number: its control group bears the
// container's id, and it has not ended since that was read.
Result<sys::Fd> open_init(const Record& record) {
    sys::Fd pidfd = TRY(sys::open_pidfd(record.pid));
    const std::string groups = TRY(sys::read_file(format("/proc/{}/cgroup", record.pid)));
    if (groups.find(record.id) == std::string::npos) {
        return fail(Code::Conflict, "container {} is not running", record.id);
    }
    TRY(sys::signals::send(pidfd.get(), 0));
    return pidfd;
}

class Archive : public FileArchive {
  public:
    Archive(Files::Impl::Prepared prepared, files::Client client, api::PathStat stat)
        : prepared_(std::move(prepared)), client_(std::move(client)), stat_(std::move(stat)) {}
    const api::PathStat& stat() const override { return stat_; }
    Result<std::size_t> read(char* to, std::size_t size) override { return client_.read(to, size); }

  private:
    Files::Impl::Prepared prepared_;
    files::Client client_;  // ends before the container may change
    api::PathStat stat_;
};

}  // namespace

Files::Files(Core& core, Containers& containers, std::string program)
    : impl_(new Impl{core, containers.impl(), std::move(program)}) {}
Files::~Files() = default;

Result<files::Request> Files::Impl::layers_of(const Record& record) const {
    files::Request request;
    request.lower_dirs = TRY(core.store.layers().lower_dirs(record.chain_id));
    request.upper_dir = containers.folder(record);
    request.engines_own = engines_own();
    return request;
}

Result<Files::Impl::Prepared> Files::Impl::prepare(const std::string& name) const {
    const auto container = TRY(containers.find(name));
    Prepared prepared;
    prepared.record = container->record();
    if (prepared.record->is_running()) {
        auto init = open_init(*prepared.record);
        if (init) {
            prepared.pidfd = std::move(*init);
            return prepared;
        }
    }
    prepared.claim.emplace(container);
    if (container->removed()) return fail(Code::NotFound, "No such container: {}", name);
    prepared.record = container->record();
    if (prepared.record->is_running()) {
        // It has started while we waited for our turn.
        prepared.pidfd = TRY(open_init(*prepared.record));
        prepared.claim.reset();
        return prepared;
    }
    prepared.request = TRY(layers_of(*prepared.record));
    prepared.request.place = files::Place::Assembled;
    prepared.request.spec =
        json::encode(build_files_spec(*prepared.record, containers.folder(*prepared.record),
                                      kIdBase, TRY(containers.image_layers(*prepared.record))));
    return prepared;
}

Result<api::PathStat> Files::stat(const std::string& container, const std::string& path,
                                  const Cancel& cancel) {
    auto prepared = TRY(impl_->prepare(container));
    prepared.request.verb = files::Verb::Stat;
    prepared.request.path = path;
    const auto client = impl_->start(prepared.request, prepared.pidfd.get(), cancel);
    if (!client) return explain(client.error(), container, path);
    return to_api(client->stat());
}

Result<std::unique_ptr<FileArchive>> Files::read(const std::string& container,
                                                 const std::string& path, const Cancel& cancel) {
    auto prepared = TRY(impl_->prepare(container));
    prepared.request.verb = files::Verb::Read;
    prepared.request.path = path;
    auto client = impl_->start(prepared.request, prepared.pidfd.get(), cancel);
    if (!client) return explain(client.error(), container, path);
    api::PathStat stat = TRY(to_api(client->stat()));
    impl_->containers.publish_event(*prepared.record, "archive-path");
    return std::unique_ptr<FileArchive>(
        std::make_unique<Archive>(std::move(prepared), std::move(*client), std::move(stat)));
}

Result<void> Files::write(const std::string& container, const std::string& path,
                          const WriteOptions& options, const ReadBytes& tar, const Cancel& cancel) {
    auto prepared = TRY(impl_->prepare(container));
    prepared.request.verb = files::Verb::Write;
    prepared.request.path = path;
    prepared.request.keep_kinds = options.keep_kinds;
    if (options.own) prepared.request.owner = prepared.record->config.user;
    auto client = impl_->start(prepared.request, prepared.pidfd.get(), cancel);
    if (!client) return explain(client.error(), container, path);
    if (auto written = client->write_all(tar); !written) {
        // What is missing now is something that the archive itself names.
        if (written.error().code == Code::NotFound) written.error().code = Code::InvalidArgument;
        return written;
    }
    impl_->containers.publish_event(*prepared.record, "extract-to-dir");
    return {};
}

Result<std::unique_ptr<FileArchive>> Files::read_root(const std::string& name,
                                                      const Cancel& cancel) {
    Impl::Prepared prepared;
    prepared.record = TRY(impl_->containers.find(name))->record();
    prepared.request = TRY(impl_->layers_of(*prepared.record));
    prepared.request.verb = files::Verb::Tree;
    prepared.request.place = files::Place::Image;
    auto client = TRY_CONTEXT(impl_->start(prepared.request, -1, cancel),
                              "Error exporting container {}", name);
    impl_->containers.publish_event(*prepared.record, "export");
    return std::unique_ptr<FileArchive>(
        std::make_unique<Archive>(std::move(prepared), std::move(client), api::PathStat()));
}

Result<std::vector<api::ChangeItem>> Files::changes(const std::string& name, const Cancel& cancel) {
    const auto record = TRY(impl_->containers.find(name))->record();
    files::Request request = TRY(impl_->layers_of(*record));
    request.verb = files::Verb::Changes;
    request.place = files::Place::Layers;
    auto client = TRY(impl_->start(request, -1, cancel));
    std::vector<api::ChangeItem> items;
    std::string pending;
    std::string piece(65536, '\0');
    for (;;) {
        const std::size_t n = TRY(client.read(piece.data(), piece.size()));
        if (n == 0) break;
        for (const char c : std::string_view(piece).substr(0, n)) {
            if (c != '\0') {
                pending += c;
                continue;
            }
            files::Change change = TRY(files::decode_change(pending));
            items.push_back({static_cast<std::uint8_t>(change.kind), to_utf8(change.path)});
            pending.clear();
        }
    }
    return items;
}

}  // namespace coffer::engine
