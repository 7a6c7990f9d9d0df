#include "registry/transfer.hpp"

#include <fcntl.h>
#include <signal.h>

#include <map>
#include <memory>

#include "base/log.hpp"
#include "base/rollback.hpp"

namespace coffer::registry {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxConfig = 8U << 20U;
constexpr std::size_t kMaxLayers = 1000;
constexpr unsigned kParallelDownloads = 3;
constexpr int kPipeBytes = 1 << 20;
constexpr std::chrono::milliseconds kProgressInterval{100};

// A blob on its way into the store. Its writer tells how far it is, so that the unpacker can read
// along in the same file.
struct Blob {
    struct State {
        sys::Fd file;
        std::uint64_t written = 0;
        bool verified = false;
        bool failed = false;
    };
    std::string digest;
    std::uint64_t size = 0;
    Sync<State> state;
    std::condition_variable changed;
};

struct LayerJob {
    const oci::Descriptor* descriptor = nullptr;
    std::string diff_id;
    std::string parent;
    std::string chain_id;
    Blob* blob = nullptr;  // null: blob and layer are there
    bool unpacked = false;
};

class Fetch {
  public:
    Fetch(Client& client, const TransferTarget& target, const Plan& plan, const OnLayer& on_layer,
          const Cancel& cancel)
        : client_(client),
          store_(target.store),
          in_flight_(target.in_flight),
          plan_(plan),
          on_layer_(on_layer),
          cancel_(cancel),
          lease_(target.store.lease()) {}

    Result<std::string> run();

  private:
    Result<oci::ImageConfig> fetch_config();
    Result<void> plan_layers(const oci::ImageConfig& config);
    void download(Blob& blob);
    Result<void> download_into_store(Blob& blob);
    Result<void> publish_stored(Blob& blob);
    void feed(Blob& blob, const sys::Fd& pipe);
    Result<void> unpack(LayerJob& job, WorkerPool& feeder);
    Result<void> wait_verified(Blob& blob);
    Result<void> add_image();
    void note_failure(Error error);
    void tell(const std::string& digest, LayerStep step, std::uint64_t current = 0,
              std::uint64_t total = 0) {
        on_layer_({digest, step, current, total});
    }

    Client& client_;
    store::Store& store_;
    InFlight& in_flight_;
    const Plan& plan_;
    const OnLayer& on_layer_;
    const Cancel& cancel_;
    std::unique_ptr<store::Lease> lease_;
    std::map<std::string, Blob> blobs_;  // by digest: a manifest may name one twice
    std::vector<LayerJob> jobs_;
    Sync<std::optional<Error>> failure_;  // the first one
};

void Fetch::note_failure(Error error) {
    {
        auto failure = failure_.lock();
        if (!failure->has_value()) *failure = std::move(error);
    }
    client_.abort();
}

Result<oci::ImageConfig> Fetch::fetch_config() {
    const auto& descriptor = plan_.manifest.config;
    if (std::cmp_greater(descriptor.size, kMaxConfig))
        return fail(Code::Internal, "config of the image has {} bytes, more than {}",
                    descriptor.size, kMaxConfig);
    lease_->blob(descriptor.digest);
    if (!store_.content().has(descriptor.digest)) {
        auto writer = TRY(store_.content().create(static_cast<std::uint64_t>(descriptor.size)));
        TRY(client_.download(plan_.reference.path, descriptor.digest,
                             static_cast<std::uint64_t>(descriptor.size),
                             [&](std::string_view bytes) { return writer.write(bytes); }));
        TRY(writer.commit(descriptor.digest));
    }
    return oci::parse_image_config(TRY(store_.content().read(descriptor.digest, kMaxConfig)));
}

Result<void> Fetch::plan_layers(const oci::ImageConfig& config) {
    const auto& layers = plan_.manifest.layers;
    const auto& diff_ids = config.rootfs.diff_ids;
    if (layers.size() != diff_ids.size() || layers.size() > kMaxLayers)
        return fail(Code::Internal, "layers from manifest don't match image configuration");
    std::string parent;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        LayerJob job{&layers[i], diff_ids[i], parent, store::chain_id_of(parent, diff_ids[i])};
        parent = job.chain_id;
        lease_->blob(job.descriptor->digest);
        lease_->layer(job.chain_id);
        job.unpacked = store_.layers().has(job.chain_id);
        if (job.unpacked && store_.content().has(job.descriptor->digest)) {
            tell(job.descriptor->digest, LayerStep::AlreadyExists);
        } else {
            job.blob = &blobs_[job.descriptor->digest];
            job.blob->digest = job.descriptor->digest;
            job.blob->size = static_cast<std::uint64_t>(job.descriptor->size);
            tell(job.descriptor->digest, LayerStep::PullingFsLayer);
        }
        jobs_.push_back(std::move(job));
    }
    return {};
}

Result<void> Fetch::publish_stored(Blob& blob) {
    auto file = TRY(store_.content().open(blob.digest));
    {
        auto state = blob.state.lock();
        state->file = std::move(file);
        state->written = blob.size;
        state->verified = true;
    }
    blob.changed.notify_all();
    tell(blob.digest, LayerStep::DownloadComplete);
    return {};
}

Result<void> Fetch::download_into_store(Blob& blob) {
    auto writer = TRY(store_.content().create(blob.size));
    auto reader = TRY(writer.reader());
    blob.state.lock()->file = std::move(reader);
    auto told = Clock::now();
    tell(blob.digest, LayerStep::Downloading, 0, blob.size);
    const auto sink = [&](std::string_view bytes) -> Result<void> {
        TRY(writer.write(bytes));
        blob.state.lock()->written += bytes.size();
        blob.changed.notify_all();
        if (Clock::now() - told >= kProgressInterval) {
            told = Clock::now();
            tell(blob.digest, LayerStep::Downloading, writer.written(), blob.size);
        }
        return {};
    };
    TRY(client_.download(plan_.reference.path, blob.digest, blob.size, sink));
    tell(blob.digest, LayerStep::VerifyingChecksum);
    TRY(writer.commit(blob.digest));
    blob.state.lock()->verified = true;
    blob.changed.notify_all();
    tell(blob.digest, LayerStep::DownloadComplete);
    return {};
}

// Runs in a worker.
void Fetch::download(Blob& blob) {
    const auto attempt = [&]() -> Result<void> {
        if (failure_.lock()->has_value()) return fail(Code::Cancelled, "context canceled");
        TRY(in_flight_.claim(blob.digest, cancel_, [&] { tell(blob.digest, LayerStep::Waiting); }));
        Rollback unclaim;
        MUST(unclaim.add([&] { in_flight_.release(blob.digest); }));
        if (store_.content().has(blob.digest)) return publish_stored(blob);
        return download_into_store(blob);
    };
    auto done = attempt();
    if (done) return;
    // The failure first: who wakes up by `failed` reports it, not what follows from it.
    note_failure(std::move(done).error());
    blob.state.lock()->failed = true;
    blob.changed.notify_all();
}

// Runs in a worker: moves the blob's bytes into the unpacker's pipe as they arrive. Ends early when
// the blob fails or the unpacker has closed its end; the pipe is closed by the caller then.
void Fetch::feed(Blob& blob, const sys::Fd& pipe) {
    sigset_t pipe_signal;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    ::fcntl(pipe.get(), F_SETPIPE_SZ, kPipeBytes);
    off64_t offset = 0;
    auto told = Clock::now();
    while (std::cmp_less(offset, blob.size)) {
        int file = -1;
        std::uint64_t written = 0;
        bool verified = false;
        {
            auto state = blob.state.lock();
            state.wait(blob.changed,
                       [&] { return state->failed || std::cmp_greater(state->written, offset); });
            if (state->failed) return;
            file = state->file.get();
            written = state->written;
            verified = state->verified;
        }
        while (std::cmp_less(offset, written)) {
            const auto wanted =
                std::min<std::uint64_t>(written - static_cast<std::uint64_t>(offset), kPipeBytes);
            const auto moved =
                ::splice(file, &offset, pipe.get(), nullptr, static_cast<std::size_t>(wanted), 0);
            if (moved <= 0 || cancel_.cancelled()) return;
            if (verified && Clock::now() - told >= kProgressInterval) {
                told = Clock::now();
                tell(blob.digest, LayerStep::Extracting, static_cast<std::uint64_t>(offset),
                     blob.size);
            }
        }
    }
}

Result<void> Fetch::wait_verified(Blob& blob) {
    auto state = blob.state.lock();
    state.wait(blob.changed, [&] { return state->failed || state->verified; });
    if (state->failed) return fail(Code::Internal, "blob {} failed", blob.digest);
    return {};
}

Result<void> Fetch::unpack(LayerJob& job, WorkerPool& feeder) {
    if (!job.unpacked) {
        auto pipe = TRY(sys::make_pipe());
        // Shared by this thread and the worker: std::function wants copies.
        auto write_end = std::make_shared<sys::Fd>(std::move(pipe.write));
        feeder.submit([this, &job, write_end]() mutable {
            feed(*job.blob, *write_end);
            write_end->reset();
        });
        TRY_CONTEXT(store_.layers().add({.parent = job.parent,
                                         .diff_id = job.diff_id,
                                         .digest = {},
                                         .input_fd = pipe.read.get()}),
                    "failed to register layer {}", job.descriptor->digest);
    }
    TRY(wait_verified(*job.blob));
    tell(job.descriptor->digest, LayerStep::Extracting, job.blob->size, job.blob->size);
    tell(job.descriptor->digest, LayerStep::PullComplete);
    return {};
}

Result<void> Fetch::add_image() {
    store::ImageRecord record;
    record.id = plan_.manifest.config.digest;
    if (!jobs_.empty()) record.chain_id = jobs_.back().chain_id;
    const auto size = [](const oci::Descriptor& one) {
        return static_cast<std::uint64_t>(one.size);
    };
    const auto& config = plan_.manifest.config;
    record.blobs.push_back(
        {store::BlobKind::Config, config.digest, config.media_type, size(config)});
    for (const auto& job : jobs_) {
        const auto& layer = *job.descriptor;
        record.blobs.push_back(
            {store::BlobKind::Layer, layer.digest, layer.media_type, size(layer)});
    }
    for (const auto& document : plan_.documents) {
        lease_->blob(document.digest);
        TRY(store_.content().put(document.text));
        const auto kind = &document == &plan_.documents.back() ? store::BlobKind::Manifest
                                                               : store::BlobKind::Index;
        record.blobs.push_back({kind, document.digest, document.media_type, document.text.size()});
    }
    return store_.images().add(record);
}

Result<std::string> Fetch::run() {
    const auto config = TRY(fetch_config());
    TRY(plan_layers(config));
    {
        WorkerPool feeder(1);
        WorkerPool downloads(kParallelDownloads);
        for (const auto& job : jobs_) {
            // The first job of a blob fetches it; `written` is not set before that.
            Blob* blob = job.blob;
            if (blob == nullptr) continue;
            const bool first =
                &job == &*std::find_if(jobs_.begin(), jobs_.end(),
                                       [&](const auto& o) { return o.blob == blob; });
            if (first) downloads.submit([this, blob] { download(*blob); });
        }
        for (auto& job : jobs_) {
            if (job.blob == nullptr) continue;
            auto done = unpack(job, feeder);
            if (!done) {
                note_failure(std::move(done).error());
                break;
            }
        }
    }
    if (cancel_.cancelled()) return fail(Code::Cancelled, "context canceled");
    if (auto failure = failure_.lock(); failure->has_value()) return fail(std::move(**failure));
    TRY(add_image());
    return plan_.manifest.config.digest;
}

}  // namespace

Result<void> InFlight::claim(const std::string& digest, const Cancel& cancel,
                             const std::function<void()>& before_waiting) {
    auto busy = busy_.lock();
    if (busy->contains(digest)) {
        busy.unlock();
        before_waiting();
        busy = busy_.lock();
    }
    while (busy->contains(digest)) {
        busy.wait_for(changed_, kProgressInterval, [&] { return !busy->contains(digest); });
        if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
    }
    busy->insert(digest);
    return {};
}

void InFlight::release(const std::string& digest) {
    busy_.lock()->erase(digest);
    changed_.notify_all();
}

Result<std::string> fetch_image(Client& client, const TransferTarget& target, const Plan& plan,
                                const OnLayer& on_layer, const Cancel& cancel) {
    return Fetch(client, target, plan, on_layer, cancel).run();
}

}  // namespace coffer::registry
