#include "registry/upload.hpp"

#include "base/text.hpp"

namespace coffer::registry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kParallelUploads = 3;
constexpr std::chrono::milliseconds kProgressInterval{100};

std::string push_scope(const std::string& repository) {
    return "repository:" + repository + ":pull,push";
}

Ask push_ask(HttpMethod method, const std::string& repository, const std::string& path) {
    Ask request;
    request.method = method;
    request.path = repository + path;
    request.scope = push_scope(repository);
    return request;
}

Failure refusal(const Reply& reply, std::string_view action) {
    const RegistryError error = parse_error(reply);
    const bool access = reply.status == 401 || reply.status == 403;
    // What docker's users know: the registry's words alone where they are about access.
    if (access) return fail(Code::Forbidden, "{}", error.text);
    return fail(Code::Internal, "{}: {}", action, error.text);
}

// "0-1023": 1 024 bytes have come. An upload that has none yet says "0-0".
std::uint64_t received_of(const std::string& range) {
    const auto parts = cut(range, "-");
    const auto last = parts ? parse_uint(parts->second) : std::nullopt;
    return last && *last > 0 ? *last + 1 : 0;
}

class Upload {
  public:
    Upload(Client& client, const std::string& repository, const BlobToSend& blob,
           const std::function<void(std::uint64_t)>& on_sent)
        : client_(client), repository_(repository), blob_(blob), on_sent_(on_sent) {}

    Result<SendStep> run() {
        const Reply known = TRY(client_.send(ask(HttpMethod::Head, "/blobs/" + blob_.digest)));
        if (known.status == 200) return SendStep::AlreadyExists;
        if (known.status != 404) return refusal(known, action());
        for (int attempt = 0;; ++attempt) {
            const Reply begun = TRY(begin());
            if (begun.status == 201) return SendStep::Mounted;
            auto sent = send(begun.location);
            if (sent) return SendStep::Pushed;
            const bool again = sent.error().code == Code::Unavailable && attempt + 1 < kTries;
            if (!again) return fail(std::move(sent).error());
        }
    }

  private:
    std::string action() const { return "push blob " + blob_.digest; }

    Ask ask(HttpMethod method, const std::string& path) const {
        Ask request = push_ask(method, repository_, path);
        if (!blob_.mount_from.empty()) request.scope += " " + pull_scope(blob_.mount_from);
        return request;
    }

    Result<Reply> begin() {
        std::string query;
        if (!blob_.mount_from.empty())
            query =
                format("?mount={}&from={}", url_encode(blob_.digest), url_encode(blob_.mount_from));
        Ask request = ask(HttpMethod::Post, "/blobs/uploads/" + query);
        request.body.emplace();
        Reply reply = TRY(client_.send(request));
        const bool mounted = reply.status == 201 && !blob_.mount_from.empty();
        if (mounted || (reply.status == 202 && !reply.location.empty())) return reply;
        return refusal(reply, action());
    }

    // The bytes from `offset` to the end; gives where to go on.
    Result<std::string> patch(const std::string& location, std::uint64_t offset) {
        Ask request = ask(HttpMethod::Patch, {});
        request.url = location;
        request.tries = 1;
        request.headers = {"Content-Type: application/octet-stream",
                           format("Content-Range: {}-{}", offset, blob_.size - 1)};
        HttpBody& body = request.body.emplace();
        body.file = blob_.file.get();
        body.offset = offset;
        body.size = blob_.size - offset;
        body.on_sent = [&](std::uint64_t sent) { on_sent_(offset + sent); };
        const Reply reply = TRY(client_.send(request));
        if (is_worth_a_retry(reply.status))
            return fail(Code::Unavailable, "{}: {}", action(), parse_error(reply).text);
        if (reply.status != 202 && reply.status != 201 && reply.status != 204)
            return refusal(reply, action());
        return reply.location.empty() ? location : reply.location;
    }

    // Where the upload stands after a broken connection.
    Result<std::uint64_t> ask_received(std::string& location) {
        Ask request = ask(HttpMethod::Get, {});
        request.url = location;
        const Reply reply = TRY(client_.send(request));
        if (reply.status != 204)
            return fail(Code::Unavailable, "{}: the registry has forgotten the upload", action());
        if (!reply.location.empty()) location = reply.location;
        return received_of(reply.range);
    }

    Result<void> send(std::string location) {
        std::uint64_t offset = 0;
        for (int attempt = 0; offset < blob_.size;) {
            auto next = patch(location, offset);
            if (next) {
                location = *next;
                break;
            }
            if (next.error().code != Code::Unavailable || ++attempt == kTries)
                return fail(std::move(next).error());
            const std::uint64_t before = offset;
            offset = TRY(ask_received(location));
            if (offset > blob_.size)
                return fail(Code::Unavailable, "{}: the registry has too many bytes", action());
            if (offset > before) attempt = 0;
        }
        Ask request = ask(HttpMethod::Put, {});
        request.url = location + (location.find('?') == std::string::npos ? '?' : '&') +
                      "digest=" + url_encode(blob_.digest);
        request.body.emplace();
        const Reply reply = TRY(client_.send(request));
        if (reply.status != 201 && reply.status != 204) return refusal(reply, action());
        return {};
    }

    Client& client_;
    const std::string& repository_;
    const BlobToSend& blob_;
    const std::function<void(std::uint64_t)>& on_sent_;
};

}  // namespace

Result<void> send_blobs(Client& client, const std::string& repository,
                        const std::vector<BlobToSend>& blobs, const OnSend& on_send) {
    Sync<std::optional<Error>> failure;
    const auto send = [&](std::size_t index) {
        if (failure.lock()->has_value()) return;
        auto told = Clock::now() - kProgressInterval;
        const auto on_sent = [&](std::uint64_t sent) {
            if (Clock::now() - told < kProgressInterval) return;
            told = Clock::now();
            on_send({index, SendStep::Pushing, sent});
        };
        auto done = Upload(client, repository, blobs[index], on_sent).run();
        if (done) {
            on_send({index, *done, 0});
            return;
        }
        {
            auto first = failure.lock();
            if (!first->has_value()) *first = std::move(done).error();
        }
        client.abort();
    };
    for (std::size_t i = 0; i < blobs.size(); ++i) on_send({i, SendStep::Preparing, 0});
    {
        WorkerPool workers(kParallelUploads);
        for (std::size_t i = 0; i < blobs.size(); ++i) workers.submit([&, i] { send(i); });
    }
    if (auto first = failure.lock(); first->has_value()) return fail(std::move(**first));
    return {};
}

Result<bool> has_manifest(Client& client, const std::string& repository,
                          const ManifestToSend& manifest) {
    Ask request = push_ask(HttpMethod::Head, repository, "/manifests/" + manifest.digest);
    request.headers = {"Accept: " + manifest.media_type};
    const Reply reply = TRY(client.send(request));
    return reply.status == 200 && reply.digest == manifest.digest;
}

Result<std::string> send_manifest(Client& client, const std::string& repository,
                                  const ManifestToSend& manifest) {
    Ask request = push_ask(HttpMethod::Put, repository, "/manifests/" + manifest.tag);
    request.headers = {"Content-Type: " + manifest.media_type};
    request.body.emplace().text = manifest.text;
    const Reply reply = TRY(client.send(request));
    if (reply.status != 201 && reply.status != 200)
        return refusal(reply, "push manifest " + manifest.tag);
    if (!reply.digest.empty() && reply.digest != manifest.digest)
        return fail(Code::Internal, "push manifest {}: the registry calls it {} instead of {}",
                    manifest.tag, reply.digest, manifest.digest);
    return reply.subject;
}

}  // namespace coffer::registry
