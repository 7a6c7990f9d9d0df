#include "registry/repository.hpp"

#include "base/hash.hpp"

namespace coffer::registry {

namespace {

// A mirror that is down must not hold up a pull for long: there is another host to ask.
constexpr std::chrono::milliseconds kMirrorConnect{5'000};
constexpr int kMirrorTries = 2;

struct Place {
    RouteHost route;
    std::unique_ptr<Client> client;

    const std::string& address() const { return route.host.address; }
};

using IsGood = std::function<bool(const Reply&)>;
using MakeAsk = std::function<Ask(const std::string& repository)>;

// The sink, telling whether it was what failed.
Client::Sink watch(const Client::Sink& sink, bool& failed) {
    return [&](std::string_view bytes) {
        auto taken = sink(bytes);
        failed = failed || !taken;
        return taken;
    };
}

}  // namespace

struct Repository::Impl {
    explicit Impl(Registries& given) : registries(given) {}

    // The hosts to ask, best first. Those that have just failed are left out while there are
    // others.
    std::vector<Place*> with(bool Capabilities::*capability) {
        std::vector<Place*> all;
        std::vector<Place*> up;
        for (Place& place : places) {
            if (!(place.route.host.can.*capability)) continue;
            all.push_back(&place);
            if (!registries.has_failed(place.address())) up.push_back(&place);
        }
        return up.empty() ? all : up;
    }
    Result<Reply> ask(bool Capabilities::*capability, const MakeAsk& make, const IsGood& is_good);
    // After a host failed: the error to give up with; nullopt when the next one is to be asked.
    std::optional<Error> pass_over(const Place& place, bool last, Error error,
                                   std::vector<std::string>& before) {
        if (error.code == Code::Cancelled) return error;
        if (last) {
            if (!before.empty()) error.message += format(" (before that: {})", join(before, "; "));
            return error;
        }
        if (error.code == Code::Unavailable) registries.note_failure(place.address());
        before.push_back(format("{}: {}", place.address(), error.message));
        return std::nullopt;
    }
    Failure nobody(std::string_view what) const {
        return fail(Code::NotFound, "no host of {} may be asked to {}", name, what);
    }

    Registries& registries;
    std::string name;
    std::vector<Place> places;
    Sync<std::vector<std::string>> gave;  // addresses that blobs came from
};

Repository::Repository(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Repository::~Repository() = default;

Result<std::unique_ptr<Repository>> Repository::open(Registries& registries,
                                                     const oci::Reference& reference,
                                                     const RepositoryOptions& options,
                                                     const Cancel& cancel) {
    Route route = TRY(registries.route(reference));
    auto impl = std::make_unique<Impl>(registries);
    impl->name = reference.familiar_name();
    for (RouteHost& host : route.hosts) {
        const bool last = &host == &route.hosts.back();
        Credentials credentials =
            TRY(credentials_for(host.host, reference.domain, options.credentials));
        ClientOptions one{.host = host.host.address,
                          .access = host.host,
                          .credentials = std::move(credentials),
                          .tokens = &registries.tokens(),
                          .config = registries.config(),
                          .limits = options.limits,
                          .first_pause = options.first_pause};
        if (host.host.names_origin) one.origin = reference.domain;
        if (!last) {
            one.limits.connect = std::min(one.limits.connect, kMirrorConnect);
            one.tries = kMirrorTries;
        }
        auto client = std::make_unique<Client>(std::move(one), cancel);
        impl->places.push_back({std::move(host), std::move(client)});
    }
    return std::unique_ptr<Repository>(new Repository(std::move(impl)));
}

Result<Reply> Repository::Impl::ask(bool Capabilities::*capability, const MakeAsk& make,
                                    const IsGood& is_good) {
    const std::vector<Place*> hosts = with(capability);
    std::vector<std::string> before;
    for (Place* place : hosts) {
        const bool last = place == hosts.back();
        auto reply = place->client->send(make(place->route.repository));
        if (reply && (last || is_good(*reply))) {
            if (!is_good(*reply)) reply->before = join(before, "; ");
            return reply;
        }
        if (!reply) {
            auto error = pass_over(*place, last, std::move(reply).error(), before);
            if (error) return fail(*std::move(error));
            continue;
        }
        const std::string why =
            reply->status == 200 ? "an answer with another digest" : parse_error(*reply).text;
        before.push_back(format("{}: {}", place->address(), why));
    }
    return nobody(capability == &Capabilities::resolve ? "resolve a tag" : "pull");
}

Result<Reply> Repository::manifest(HttpMethod method, const std::string& object,
                                   const std::vector<std::string>& accept, std::size_t limit) {
    const bool by_digest = is_digest(object);
    const auto make = [&](const std::string& repository) {
        Ask ask = pull_ask(repository, "manifests/" + object, accept, limit);
        ask.method = method;
        return ask;
    };
    const auto is_good = [&](const Reply& reply) {
        if (reply.status != 200) return false;
        return !by_digest || method == HttpMethod::Head || digest_of(reply.body) == object;
    };
    return impl_->ask(by_digest ? &Capabilities::pull : &Capabilities::resolve, make, is_good);
}

Result<Reply> Repository::get(About about, const std::string& path,
                              const std::vector<std::string>& accept, std::size_t limit) {
    const auto make = [&](const std::string& repository) {
        return pull_ask(repository, path, accept, limit);
    };
    return impl_->ask(about == About::Tags ? &Capabilities::resolve : &Capabilities::pull, make,
                      [](const Reply& reply) { return reply.status == 200; });
}

Result<void> Repository::download(const std::string& digest, std::uint64_t size,
                                  std::uint64_t received, const Client::Sink& sink) {
    const std::vector<Place*> hosts = impl_->with(&Capabilities::pull);
    std::vector<std::string> before;
    bool sink_failed = false;
    const Client::Sink watched = watch(sink, sink_failed);
    for (Place* place : hosts) {
        const std::uint64_t from = received;
        auto done =
            place->client->download(place->route.repository, digest, size, received, watched);
        if (received > from) impl_->gave.lock()->push_back(place->address());
        if (done) return {};
        if (sink_failed) return fail(std::move(done).error());
        auto error =
            impl_->pass_over(*place, place == hosts.back(), std::move(done).error(), before);
        if (error) return fail(*std::move(error));
    }
    return impl_->nobody("pull");
}

Result<void> Repository::download_from(const std::vector<std::string>& urls,
                                       const std::string& digest, std::uint64_t size,
                                       std::uint64_t received, const Client::Sink& sink) {
    const std::vector<Place*> hosts = impl_->with(&Capabilities::pull);
    if (hosts.empty()) return impl_->nobody("pull");
    bool sink_failed = false;
    const Client::Sink watched = watch(sink, sink_failed);
    Result<void> done = fail(Code::NotFound, "nothing says where blob {} is", digest);
    for (const std::string& url : urls) {
        done = hosts.back()->client->download_from(url, digest, size, received, watched);
        if (done || sink_failed || done.error().code == Code::Cancelled) break;
    }
    return done;
}

void Repository::reject() {
    const std::vector<std::string> gave = *impl_->gave.lock();
    for (const std::string& address : gave) impl_->registries.note_failure(address);
}

void Repository::abort() {
    for (const Place& place : impl_->places) place.client->abort();
}

Result<Repository::Target> Repository::push_target() {
    for (const Place& place : impl_->places) {
        if (place.route.host.can.push) return Target{*place.client, place.route.repository};
    }
    return impl_->nobody("take a push");
}

}  // namespace coffer::registry
