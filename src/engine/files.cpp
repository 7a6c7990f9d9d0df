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

// There are as many as somebody made files: only the piece that was read last is kept.
class ChangeReader {
  public:
    // The lease keeps the layers that are read.
    explicit ChangeReader(files::Client client, std::shared_ptr<store::Lease> lease = nullptr)
        : lease_(std::move(lease)), client_(std::move(client)) {}

    Result<std::optional<api::ChangeItem>> next() {
        for (;;) {
            if (const auto end = pending_.find('\0', done_); end != std::string::npos) {
                const auto text = std::string_view(pending_).substr(done_, end - done_);
                done_ = end + 1;
                const files::Change change = TRY(files::decode_change(text));
                return std::optional(
                    api::ChangeItem{static_cast<std::uint8_t>(change.kind), to_utf8(change.path)});
            }
            pending_.erase(0, done_);
            done_ = pending_.size();
            if (done_ > kLongestPath)
                return fail(Code::Internal, "coffer-files names a path that is too long");
            pending_.resize(done_ + kPiece);
            const std::size_t n = TRY(client_.read(pending_.data() + done_, kPiece));
            pending_.resize(done_ + n);
            done_ = 0;
            if (n == 0) return std::optional<api::ChangeItem>();
        }
    }

  private:
    static constexpr std::size_t kPiece = 65536;
    static constexpr std::size_t kLongestPath = std::size_t{1} << 20U;

    std::shared_ptr<store::Lease> lease_;
    files::Client client_;
    std::string pending_;   // what came, of which
    std::size_t done_ = 0;  // bytes were given
};

NextChange read_with(std::shared_ptr<ChangeReader> reader) {
    return [reader = std::move(reader)] { return reader->next(); };
}

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
    Record record = *prepared.record;
    prepared.mounted = std::make_unique<Rollback>();
    TRY(containers.mount_volumes(record.id, record.mounts, *prepared.mounted));
    prepared.request.spec = json::encode(build_files_spec(
        record, containers.folder(record), kIdBase, TRY(containers.image_layers(record))));
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

Result<NextChange> Files::changes(const std::string& name, const Cancel& cancel) {
    const auto record = TRY(impl_->containers.find(name))->record();
    files::Request request = TRY(impl_->layers_of(*record));
    request.verb = files::Verb::Changes;
    request.place = files::Place::Layers;
    return read_with(std::make_shared<ChangeReader>(TRY(impl_->start(request, -1, cancel))));
}

Result<NextChange> Files::image_changes(const std::string& image, const std::string& base,
                                        const Cancel& cancel) {
    auto& store = impl_->core.store;
    const std::shared_ptr<store::Lease> lease = store.lease();
    const auto layers_of = [&](const std::string& name) -> Result<std::vector<std::string>> {
        const auto found = TRY(impl_->core.images.resolve(name));
        lease->layer(found.chain_id);
        return store.layers().lower_dirs(found.chain_id);
    };
    files::Request request;
    request.verb = files::Verb::Compare;
    request.place = files::Place::Images;
    request.lower_dirs = TRY(layers_of(image));
    if (!base.empty()) {
        request.base_dirs = TRY(layers_of(base));
    } else if (!request.lower_dirs.empty()) {
        request.base_dirs.assign(request.lower_dirs.begin() + 1, request.lower_dirs.end());
    }
    if (request.lower_dirs.empty() && request.base_dirs.empty())
        return NextChange([] { return std::optional<api::ChangeItem>(); });
    return read_with(std::make_shared<ChangeReader>(TRY(impl_->start(request, -1, cancel)), lease));
}

}  // namespace coffer::engine
