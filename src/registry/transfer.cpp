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
constexpr std::int64_t kMaxStatement = 16 << 20;  // of an attestation
constexpr unsigned kParallelDownloads = 3;
constexpr std::size_t kMaxUrls = 8;  // of a foreign layer that are tried
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
    std::vector<std::string> urls;  // where else it is
    Sync<State> state;
    std::condition_variable changed;
};

// Fails for a blob that is here and not of the size that a manifest declares.
Result<bool> is_stored(const store::Content& content, const std::string& digest,
                       std::uint64_t size) {
    if (!content.has(digest)) return false;
    const std::uint64_t actual = TRY(content.size(digest));
    if (actual == size) return true;
    return fail(Code::InvalidArgument, "blob {} has {} bytes, not the declared {}", digest, actual,
                size);
}

// What a connection or a user broke off may go on later; what was wrong may not.
bool may_go_on(Code why) {
    return why == Code::Unavailable || why == Code::Cancelled;
}

struct LayerJob {
    const oci::Descriptor* descriptor = nullptr;
    std::string diff_id;
    std::string chain_id;
    Blob* blob = nullptr;  // null: blob and layer are there
};

class Fetch {
  public:
    Fetch(Repository& repository, const TransferTarget& target, const Plan& plan,
          const OnLayer& on_layer, const Cancel& cancel)
        : repository_(repository),
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
    Result<sys::Fd> read_along(LayerJob& job, WorkerPool& feeders);
    void unpack_all(WorkerPool& feeders);
    Result<void> wait_verified(Blob& blob);
    Result<void> fetch_small(const oci::Descriptor& descriptor);
    Result<void> fetch_attestation(const oci::Descriptor& entry);
    Result<void> add_image();
    void leave_partials(Code why);
    void note_failure(Error error);
    void tell(const std::string& digest, LayerStep step, std::uint64_t current = 0,
              std::uint64_t total = 0) {
        on_layer_({digest, step, current, total});
    }

    Repository& repository_;
    store::Store& store_;
    InFlight& in_flight_;
    const Plan& plan_;
    const OnLayer& on_layer_;
    const Cancel& cancel_;
    std::unique_ptr<store::Lease> lease_;
    std::map<std::string, Blob> blobs_;  // by digest: a manifest may name one twice
    std::vector<LayerJob> jobs_;
    std::vector<store::ImageBlob> attachments_;
    Sync<std::optional<Error>> failure_;  // the first one
};

void Fetch::note_failure(Error error) {
    {
        auto failure = failure_.lock();
        if (!failure->has_value()) *failure = std::move(error);
    }
    repository_.abort();
}

// A blob that nobody waits for meanwhile.
Result<void> Fetch::fetch_small(const oci::Descriptor& descriptor) {
    lease_->blob(descriptor.digest);
    const auto size = static_cast<std::uint64_t>(descriptor.size);
    if (TRY(is_stored(store_.content(), descriptor.digest, size))) return {};
    auto writer = TRY(store_.content().create(size));
    TRY(repository_.download(descriptor.digest, size, 0,
                             [&](std::string_view bytes) { return writer.write(bytes); }));
    TRY(writer.commit(descriptor.digest));
    return {};
}

// With all that it names, or not at all.
Result<void> Fetch::fetch_attestation(const oci::Descriptor& entry) {
    const auto document = TRY(fetch_document(repository_, plan_.reference, entry.digest));
    const auto manifest = TRY(oci::parse_manifest(document.text, document.media_type));
    std::vector<store::ImageBlob> blobs = {
        {store::BlobKind::Attachment, document.digest, document.media_type, document.text.size()}};
    std::vector<oci::Descriptor> parts = manifest.layers;
    parts.push_back(manifest.config);
    std::int64_t size = 0;
    for (const auto& part : parts) {
        if (part.size > kMaxStatement - size)
            return fail(Code::Internal, "more than {} bytes", kMaxStatement);
        size += part.size;
    }
    lease_->blob(document.digest);
    TRY(store_.content().put(document.text));
    for (const auto& part : parts) {
        TRY(fetch_small(part));
        blobs.push_back({store::BlobKind::Attachment, part.digest, part.media_type,
                         static_cast<std::uint64_t>(part.size)});
    }
    attachments_.insert(attachments_.end(), blobs.begin(), blobs.end());
    return {};
}

Result<oci::ImageConfig> Fetch::fetch_config() {
    const auto& descriptor = plan_.manifest.config;
    if (std::cmp_greater(descriptor.size, kMaxConfig))
        return fail(Code::Internal, "config of the image has {} bytes, more than {}",
                    descriptor.size, kMaxConfig);
    TRY(fetch_small(descriptor));
    return oci::parse_image_config(TRY(store_.content().read(descriptor.digest, kMaxConfig)));
}

Result<void> Fetch::plan_layers(const oci::ImageConfig& config) {
    const auto& layers = plan_.manifest.layers;
    const auto& diff_ids = config.rootfs.diff_ids;
    if (layers.size() != diff_ids.size())
        return fail(Code::Internal, "layers from manifest don't match image configuration");
    if (layers.size() > store::kMaxDepth)
        return fail(Code::Internal, "max depth exceeded: {} layers are the most", store::kMaxDepth);
    std::string parent;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        LayerJob job{&layers[i], diff_ids[i], store::chain_id_of(parent, diff_ids[i])};
        parent = job.chain_id;
        lease_->blob(job.descriptor->digest);
        lease_->layer(job.chain_id);
        const auto size = static_cast<std::uint64_t>(layers[i].size);
        if (TRY(is_stored(store_.content(), layers[i].digest, size)) &&
            store_.layers().has(job.chain_id)) {
            tell(job.descriptor->digest, LayerStep::AlreadyExists);
        } else {
            job.blob = &blobs_[job.descriptor->digest];
            job.blob->digest = job.descriptor->digest;
            job.blob->size = size;
            if (oci::is_foreign_layer_type(layers[i].media_type)) {
                job.blob->urls = layers[i].urls;
                if (job.blob->urls.size() > kMaxUrls) job.blob->urls.resize(kMaxUrls);
            }
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
    auto writer = TRY(store_.content().resume(blob.digest, blob.size));
    auto reader = TRY(writer.reader());
    {
        auto state = blob.state.lock();
        state->file = std::move(reader);
        state->written = writer.written();
    }
    blob.changed.notify_all();
    auto told = Clock::now();
    tell(blob.digest, LayerStep::Downloading, writer.written(), blob.size);
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
    auto done = repository_.download(blob.digest, blob.size, writer.written(), sink);
    if (!done && !blob.urls.empty() && done.error().code != Code::Cancelled)
        done = repository_.download_from(blob.urls, blob.digest, blob.size, writer.written(), sink);
    TRY(done);
    tell(blob.digest, LayerStep::VerifyingChecksum);
    if (auto committed = writer.commit(blob.digest); !committed) {
        repository_.reject();
        return fail(std::move(committed).error());
    }
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
        if (TRY(is_stored(store_.content(), blob.digest, blob.size))) return publish_stored(blob);
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

// The blob as it arrives.
Result<sys::Fd> Fetch::read_along(LayerJob& job, WorkerPool& feeders) {
    auto pipe = TRY(sys::make_pipe());
    // Shared by this thread and the worker: std::function wants copies.
    auto write_end = std::make_shared<sys::Fd>(std::move(pipe.write));
    feeders.submit([this, &job, write_end]() mutable {
        feed(*job.blob, *write_end);
        write_end->reset();
    });
    return std::move(pipe.read);
}

void Fetch::unpack_all(WorkerPool& feeders) {
    std::vector<store::Layers::Stacked> stack;
    stack.reserve(jobs_.size());
    for (LayerJob& job : jobs_) {
        stack.push_back({job.diff_id, [&] { return read_along(job, feeders); }});
    }
    const auto finish = [&](const LayerJob& job) -> Result<void> {
        if (job.blob == nullptr) return {};
        TRY(wait_verified(*job.blob));
        tell(job.descriptor->digest, LayerStep::Extracting, job.blob->size, job.blob->size);
        tell(job.descriptor->digest, LayerStep::PullComplete);
        return {};
    };
    const auto stacked = store_.layers().add_stack(stack, [&](std::size_t index,
                                                              const Result<store::Layer>& layer) {
        const LayerJob& job = jobs_[index];
        if (!layer) {
            note_failure(
                wrap(layer.error(), "failed to register layer " + job.descriptor->digest).error);
        } else if (const auto done = finish(job); !done) {
            note_failure(done.error());
        }
    });
    if (!stacked) note_failure(stacked.error());
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
    record.blobs.insert(record.blobs.end(), attachments_.begin(), attachments_.end());
    return store_.images().add(record);
}

Result<std::string> Fetch::run() {
    const auto config = TRY(fetch_config());
    TRY(plan_layers(config));
    {
        WorkerPool feeders(0, static_cast<unsigned>(jobs_.size()));
        WorkerPool downloads(kParallelDownloads);
        unsigned submitted = 0;
        for (const auto& job : jobs_) {
            // The first job of a blob fetches it; `written` is not set before that.
            Blob* blob = job.blob;
            if (blob == nullptr) continue;
            const bool first =
                &job == &*std::find_if(jobs_.begin(), jobs_.end(),
                                       [&](const auto& o) { return o.blob == blob; });
            if (!first) continue;
            // docker's users see which ones have to wait for their turn.
            if (++submitted > kParallelDownloads) tell(blob->digest, LayerStep::Waiting);
            downloads.submit([this, blob] { download(*blob); });
        }
        unpack_all(feeders);
    }
    // Whatever came of it first.
    if (cancel_.cancelled()) *failure_.lock() = Error{Code::Cancelled, 0, "context canceled"};
    if (auto failure = failure_.lock(); failure->has_value()) {
        leave_partials((*failure)->code);
        return fail(std::move(**failure));
    }
    for (const auto& entry : plan_.attestations) {
        // The image runs without.
        const auto fetched = fetch_attestation(entry);
        if (!fetched)
            LOG_WARN("attestation {} of {} left out: {}", entry.digest,
                     plan_.reference.familiar_string(), fetched.error().message);
        if (cancel_.cancelled()) return fail(Code::Cancelled, "context canceled");
    }
    TRY(add_image());
    for (auto& [digest, blob] : blobs_) {
        blob.state.lock()->file.reset();  // with its lock
        store_.content().forget(digest);
    }
    return plan_.manifest.config.digest;
}

void Fetch::leave_partials(Code why) {
    auto& content = store_.content();
    for (auto& [digest, blob] : blobs_) {
        blob.state.lock()->file.reset();  // with its lock
        if (!may_go_on(why)) content.forget(digest);
    }
    ignore(content.prune_partials({}), "the next start does it");
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

Result<void> fetch_blob(Repository& repository, const TransferTarget& target, store::Lease& lease,
                        const oci::Descriptor& descriptor, const OnLayer& on_layer,
                        const Cancel& cancel) {
    const std::string& digest = descriptor.digest;
    const auto size = static_cast<std::uint64_t>(descriptor.size);
    store::Content& content = target.store.content();
    const auto tell = [&](LayerStep step, std::uint64_t current = 0) {
        on_layer({digest, step, current, size});
    };
    lease.blob(digest);
    TRY(target.in_flight.claim(digest, cancel, [&] { tell(LayerStep::Waiting); }));
    Rollback unclaim;
    MUST(unclaim.add([&] { target.in_flight.release(digest); }));
    if (TRY(is_stored(content, digest, size))) {
        tell(LayerStep::AlreadyExists);
        return {};
    }
    const auto fetched = [&]() -> Result<void> {
        auto writer = TRY(content.resume(digest, size));
        auto told = Clock::now() - kProgressInterval;
        const auto sink = [&](std::string_view bytes) -> Result<void> {
            TRY(writer.write(bytes));
            if (Clock::now() - told >= kProgressInterval) {
                told = Clock::now();
                tell(LayerStep::Downloading, writer.written());
            }
            return {};
        };
        TRY(repository.download(digest, size, writer.written(), sink));
        auto committed = writer.commit(digest);
        if (committed) return {};
        repository.reject();
        return fail(std::move(committed).error());
    }();
    if (fetched || !may_go_on(fetched.error().code))
        content.forget(digest);  // the writer has gone, and its lock
    TRY(fetched);
    tell(LayerStep::DownloadComplete);
    return {};
}

Result<std::string> fetch_image(Repository& repository, const TransferTarget& target,
                                const Plan& plan, const OnLayer& on_layer, const Cancel& cancel) {
    return Fetch(repository, target, plan, on_layer, cancel).run();
}

}  // namespace coffer::registry
